//! Clients that send and take as little as they can, each just enough not to be idle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use portico_bench::connection::open;
use portico_tests::client::registration;
use portico_tests::process::{Folder, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout_at};

use crate::support::{Probes, address, allow_descriptors, alone, clients, descriptors, resident_kib};

const HEADS: usize = 2_000;
const BODIES: usize = 1_000;
const READERS: usize = 500;

/// Long enough that no system takes it into its buffers.
const FILE_BYTES: usize = 24 << 20;

/// What the server may take for all of them, in KiB: for each reader a piece of a file and of the answer.
const MOST_KIB: u64 = 256 * 1024;

/// When heads, bodies and readers must be gone; the promised time, and some for a machine that is busy. What the system
/// takes into its buffers counts as taken, and it may let them grow once.
const HEADS_GONE: Duration = Duration::from_secs(15 + 5);
const BODIES_GONE: Duration = Duration::from_secs(30 + 6);
const READERS_GONE: Duration = Duration::from_secs(2 * 30 + 15);

#[test]
fn a5_thousands_of_slow_clients_are_hung_up_on_and_hinder_nobody() {
    let _alone = alone();
    allow_descriptors((HEADS + BODIES + READERS) as u64 + 500);
    clients().block_on(async {
        let folder = Folder::new();
        let server = folder.serve(&[]).await;
        let (token, path) = file(&server).await;
        let to = address(&server);
        let probes = Probes::start(&server);
        let before = descriptors(&server);
        let begun = Instant::now();

        let heads = join_all((0..HEADS).map(|_| trickle(to, head(), b"X-A: y\r\n".to_vec(), 3)));
        let bodies = join_all((0..BODIES).map(|_| trickle(to, body(), b" ".to_vec(), 4)));
        let readers = join_all((0..READERS).map(|_| take(to, get(&path, &token))));
        let (heads, bodies, readers) = (tokio::spawn(heads), tokio::spawn(bodies), tokio::spawn(readers));
        sleep(Duration::from_secs(10)).await;
        let held = descriptors(&server) - before;
        assert!(held >= HEADS + BODIES + READERS, "{held} connections are open: the clients are too slow");
        let taken_kib = resident_kib(&server);
        println!("{held} slow clients: {taken_kib} KiB resident");
        assert!(taken_kib <= MOST_KIB, "{taken_kib} KiB");

        for (what, gone, left) in [
            ("heads", HEADS_GONE, BODIES + 2 * READERS),
            ("bodies", BODIES_GONE, 2 * READERS),
            ("readers", READERS_GONE, 0),
        ] {
            tokio::time::sleep_until((begun + gone).into()).await;
            let open = descriptors(&server).saturating_sub(before);
            println!("after {gone:?} {open} descriptors are open");
            // A few probes may be under way.
            assert!(open <= left + 20, "slow {what} are not hung up on: {open} descriptors after {gone:?}");
        }
        probes.judge("slow clients");
        for answer in bodies.await.expect("clients") {
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        }
        drop(heads.await.expect("clients"));
        let taken = readers.await.expect("clients");
        assert!(taken.iter().all(|bytes| *bytes < FILE_BYTES), "a file was taken whole");
        server.stop().await;
    });
}

/// A user, and a file that takes its time.
async fn file(server: &Server) -> (String, String) {
    let (_, account) = server.post("/v1/users", &registration("ada")).await.expect("an account");
    let token = account["access_token"].as_str().expect("a token").to_owned();
    let upload = portico_bench::scenario::Call::upload("upload", &token, &vec![7; FILE_BYTES]).request;
    let mut connection = portico_bench::connection::Connection::new(address(server), Duration::from_secs(30));
    let answer = connection.exchange(upload).await.expect("an answer");
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let file: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let path = format!("/v1/files/{}", file["id"].as_str().expect("an id"));
    (token, path)
}

fn head() -> String {
    "GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n".to_owned()
}

fn body() -> String {
    "POST /v1/sessions/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
     Content-Length: 1000\r\n\r\n{"
        .to_owned()
}

fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// Sends a beginning, and then a little every so many seconds, until the server hangs up; returns what it said.
async fn trickle(server: SocketAddr, beginning: String, piece: Vec<u8>, pause_seconds: u64) -> String {
    let Ok(stream) = open(server, None).await else { panic!("the server accepts no connection") };
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        let mut sent = writer.write_all(beginning.as_bytes()).await;
        while sent.is_ok() {
            sleep(Duration::from_secs(pause_seconds)).await;
            sent = writer.write_all(&piece).await;
        }
        // The answer may still be on its way.
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = send => {}
        // A reset is a hang-up too.
        _ended = reader.read_to_end(&mut answer) => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks for a file and takes a few bytes of it every second; then all that is left of it. Returns how many there were.
async fn take(server: SocketAddr, request: String) -> usize {
    let mut stream = narrow(server).await;
    stream.write_all(request.as_bytes()).await.expect("a request that is taken");
    let (mut taken, end) = (0, Instant::now() + READERS_GONE);
    let mut little = [0; 256];
    while Instant::now() < end {
        match timeout_at(end.into(), stream.read(&mut little)).await {
            Ok(Ok(length)) if length > 0 => taken += length,
            _ => return taken,
        }
        sleep(Duration::from_secs(1)).await;
    }
    let mut rest = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut rest).await {
        taken += length;
    }
    taken
}

/// A connection that takes as little as the system allows.
async fn narrow(server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2_048).expect("a small buffer");
    socket.connect(server).await.expect("a connection")
}
