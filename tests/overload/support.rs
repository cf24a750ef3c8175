//! What the tests have in common: the machine to themselves, probes of the server's health, and its memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portico_tests::process::Server;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard};

static MACHINE: Mutex<()> = Mutex::const_new(());

/// The longest that a health check may take.
const WITHIN: Duration = Duration::from_millis(100);

/// How long nearly all of them may take on a machine that others use too.
const WITHIN_ON_SHARED_MACHINE: Duration = Duration::from_secs(1);

/// Waits until no other test runs.
pub fn alone() -> MutexGuard<'static, ()> {
    MACHINE.blocking_lock()
}

/// The same, where waiting must not block.
pub async fn alone_async() -> MutexGuard<'static, ()> {
    MACHINE.lock().await
}

/// Threads for clients, which leave the server its cores.
pub fn clients() -> Runtime {
    portico_bench::quiet::runtime(2, 10)
}

/// Where a server listens.
pub fn address(server: &Server) -> SocketAddr {
    ([127, 0, 0, 1], server.port).into()
}

/// Lets this process open so many files, as far as the system does.
///
/// # Panics
/// When it does not: then the test cannot be done here.
pub fn allow_descriptors(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert!(
        most >= wanted,
        "this test opens {wanted} files at once; the system allows {most}: see ulimit -Hn"
    );
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
            .expect("a limit within the limit");
    }
}

/// Asks for the server's health again and again, each time on a new connection, as a load balancer does.
pub struct Probes {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probes {
    pub fn start(server: &Server) -> Self {
        let (address, stop) = (address(server), Arc::<AtomicBool>::default());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                times.push(probe(address));
                std::thread::sleep(Duration::from_millis(20));
            }
            times
        });
        Self { stop, thread }
    }

    /// Stops, and holds the server to its promise.
    pub fn judge(self, what: &str) {
        self.stop.store(true, Ordering::SeqCst);
        let mut times = self.thread.join().expect("every probe is answered");
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let (median, p99, longest) = (at(0.5), at(0.99), at(1.0));
        println!(
            "{what}: {} health checks: median {median:.1?}, p99 {p99:.1?}, longest {longest:.1?}",
            times.len()
        );
        assert!(median <= WITHIN, "{what}: half of all health checks take more than {median:?}");
        assert!(p99 <= WITHIN_ON_SHARED_MACHINE, "{what}: of 100 health checks one takes {p99:?}");
        if is_strict() {
            assert!(longest <= WITHIN, "{what}: a health check took {longest:?}");
        }
    }
}

/// Whether the aims themselves are asserted, for which the machine must be the test's own and the binary a release.
pub fn is_strict() -> bool {
    std::env::var_os("OVERLOAD_STRICT").is_some()
}

fn probe(address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let request = "GET /v1/health-check/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request that is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    begun.elapsed()
}

/// The memory that the server has resident.
pub fn resident_kib(server: &Server) -> u64 {
    memory_kib(server, "VmRSS:")
}

/// The most that it ever had.
pub fn peak_kib(server: &Server) -> u64 {
    memory_kib(server, "VmHWM:")
}

fn memory_kib(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(process(server).join("status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How many connections and files the server has open.
pub fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(process(server).join("fd")).expect("descriptors").count()
}

fn process(server: &Server) -> std::path::PathBuf {
    Path::new("/proc").join(server.child.id().expect("it runs").to_string())
}
