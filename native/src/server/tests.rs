use std::time::Instant;

use http::{Request, Response};
use portico_core::http::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

/// Answers everything, at `/slow` after a while.
struct Pong;

impl Handler for Pong {
    async fn answer(self: &Arc<Self>, request: Request<Body>) -> Response<Body> {
        if request.uri().path() == "/slow" {
            sleep(Duration::from_secs(3)).await;
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
    sleep(Duration::from_millis(1_200)).await;
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
