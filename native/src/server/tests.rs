use std::time::Instant;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use portico_core::http::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

/// Longer than it takes a connection between two requests to rest.
const A_WHILE: Duration = Duration::from_millis(1_200);

/// Answers everything, at `/slow` after a while, and at `/pieces` with pauses.
struct Pong;

impl Handler for Pong {
    async fn answer(self: &Arc<Self>, request: Request<Body>) -> Response<Body> {
        match request.uri().path() {
            "/slow" => sleep(Duration::from_secs(3)).await,
            "/pieces" => {
                let pieces = stream::iter(["first", "last"]).then(async |piece| {
                    sleep(A_WHILE).await;
                    Ok(Bytes::from_static(piece.as_bytes()))
                });
                return Response::new(Body::stream(pieces));
            }
            _ => {}
        }
        Response::new(Body::empty())
    }
}

/// A server with room for so many connections.
async fn serve(room: usize) -> (SocketAddr, JoinHandle<bool>) {
    let mut server = Server::bind("127.0.0.1", 0, None).await.unwrap();
    server.slots = Arc::new(Semaphore::new(room));
    let address = server.address().unwrap();
    let service = Service { handler: Arc::new(Pong), outbox: None, trusted_proxies: Vec::new() };
    let serving = tokio::spawn(server.serve(Arc::new(service), std::future::pending()));
    (address, serving)
}

async fn send(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
}

/// Whether an answer comes, rather than an end; reads all of it, for it has no body.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return false,
            }
        }
        head.starts_with(b"HTTP/1.1 200")
    };
    timeout(Duration::from_secs(5), read).await.expect("an answer or an end")
}

#[tokio::test]
async fn a_full_server_makes_room_of_what_is_idle_and_of_nothing_else() {
    let (address, serving) = serve(4).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    send(&mut idle, "/").await;
    assert!(is_answered(&mut idle).await);
    let mut silent = TcpStream::connect(address).await.unwrap();
    sleep(A_WHILE).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    send(&mut busy, "/slow").await;
    let mut fresh = TcpStream::connect(address).await.unwrap();
    send(&mut fresh, "/").await;
    assert!(is_answered(&mut fresh).await);

    let begun = Instant::now();
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = TcpStream::connect(address).await.unwrap();
        send(&mut other, "/").await;
        assert!(is_answered(&mut other).await);
        others.push(other);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    silent.read_to_end(&mut rest).await.unwrap();
    for mut stream in [fresh].into_iter().chain(others) {
        send(&mut stream, "/").await;
        assert!(is_answered(&mut stream).await, "what was used lately stays");
    }
    assert!(is_answered(&mut busy).await, "what is being answered is answered");
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_rested_goes_on_where_it_was() {
    let (address, serving) = serve(4).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        send(&mut stream, "/").await;
        assert!(is_answered(&mut stream).await);
        sleep(A_WHILE).await;
    }
    // One and a half requests at once: the connection pauses in the middle of the second.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT").await.unwrap();
    assert!(is_answered(&mut stream).await);
    for rest in [&b"TP/1.1\r\nHos"[..], b"t: x\r\n\r\n"] {
        sleep(A_WHILE).await;
        stream.write_all(rest).await.unwrap();
    }
    assert!(is_answered(&mut stream).await);
    serving.abort();
}

#[tokio::test]
async fn a_pause_within_an_answer_is_no_rest() {
    let (address, serving) = serve(4).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, "/pieces").await;
    assert!(is_answered(&mut stream).await);
    let mut body = [0; "5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n".len()];
    timeout(Duration::from_secs(5), stream.read_exact(&mut body)).await.unwrap().unwrap();
    assert_eq!(&body, b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n");
    send(&mut stream, "/").await;
    assert!(is_answered(&mut stream).await);
    serving.abort();
}

#[tokio::test]
async fn a_stop_waits_for_nobody_who_rests_or_never_spoke() {
    let server = Server::bind("127.0.0.1", 0, None).await.unwrap();
    let address = server.address().unwrap();
    let service = Service { handler: Arc::new(Pong), outbox: None, trusted_proxies: Vec::new() };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(Arc::new(service), stop.clone().cancelled_owned()));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut resting = TcpStream::connect(address).await.unwrap();
    send(&mut resting, "/").await;
    assert!(is_answered(&mut resting).await);
    sleep(A_WHILE).await;
    stop.cancel();
    let finished = timeout(Duration::from_secs(2), serving).await.expect("an end soon").unwrap();
    assert!(finished);
    for stream in [&mut silent, &mut resting] {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "it is closed in order");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_that_come_all_at_once_are_kept_by_the_system_until_they_are_accepted() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let clients = most.trim().parse::<usize>().unwrap().min(500);
    let server = Server::bind("127.0.0.1", 0, None).await.unwrap();
    let address = server.address().unwrap();
    let mut kept = Vec::new();
    for index in 0..clients {
        // One that finds no room tries again only after a second.
        let connected = timeout(Duration::from_millis(900), TcpStream::connect(address)).await;
        kept.push(connected.unwrap_or_else(|_| panic!("no room for client {index}")).unwrap());
    }
}
