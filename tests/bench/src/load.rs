//! Connections under load, until told to stop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::report::{Recorder, Sample};
use crate::scenario::{Call, Scenario};

/// So many connections share an address of this machine, for each has only so many ports.
const PER_SOURCE: usize = 5_000;

/// Where the load goes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server.
    pub server: SocketAddr,
    /// How long an answer is waited for.
    pub patience: Duration,
    /// What is not recorded of the beginning.
    pub warm_up: Duration,
    /// When requests are sent.
    pub pace: Pace,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// In a closed loop: each connection sends its next request so long after its last answer.
    Closed {
        /// The pause.
        pause: Duration,
    },
    /// In an open loop: so many requests a second, by whichever connection is free. Latency counts from the moment at
    /// which a request was due, so that a server that holds connections up does not hide it.
    Open {
        /// Requests per second.
        rate: f64,
    },
}

/// A load that is under way. Dropping it ends it at once.
#[derive(Debug)]
pub struct Running<S, R> {
    stop: Arc<AtomicBool>,
    connections: JoinSet<(S, R)>,
}

/// The moments at which requests are due.
#[derive(Debug)]
struct Schedule {
    start: Instant,
    taken: AtomicU64,
    rate: f64,
}

impl Load {
    /// A closed loop without pauses and without a warm-up.
    #[must_use]
    pub fn closed(server: SocketAddr) -> Self {
        let pace = Pace::Closed { pause: Duration::ZERO };
        Self { server, patience: Duration::from_secs(60), warm_up: Duration::ZERO, pace }
    }

    /// An open loop without a warm-up.
    #[must_use]
    pub fn open(server: SocketAddr, rate: f64) -> Self {
        Self { pace: Pace::Open { rate }, ..Self::closed(server) }
    }

    /// Starts one connection for each scenario.
    pub fn start<S: Scenario, R: Recorder>(&self, scenarios: impl IntoIterator<Item = S>) -> Running<S, R> {
        let stop = Arc::<AtomicBool>::default();
        let start = Instant::now();
        let rate = if let Pace::Open { rate } = self.pace { rate } else { 0.0 };
        let schedule = Arc::new(Schedule { start, taken: AtomicU64::new(0), rate });
        let mut connections = JoinSet::new();
        for (index, scenario) in scenarios.into_iter().enumerate() {
            let connection = Connection::new(self.server, self.patience).from(source(index));
            let (stop, schedule) = (Arc::clone(&stop), Arc::clone(&schedule));
            connections.spawn(follow(*self, connection, scenario, stop, schedule));
        }
        Running { stop, connections }
    }

    /// Runs for so long, the warm-up not counted, and gives back what each connection did.
    pub async fn run<S: Scenario, R: Recorder>(
        &self,
        scenarios: impl IntoIterator<Item = S>,
        duration: Duration,
    ) -> Vec<(S, R)> {
        let running = self.start(scenarios);
        tokio::time::sleep(self.warm_up + duration).await;
        running.stop().await
    }
}

impl<S: Scenario, R: Recorder> Running<S, R> {
    /// Lets the requests under way come to their end, and sends no more.
    ///
    /// # Panics
    /// When a scenario did.
    pub async fn stop(mut self) -> Vec<(S, R)> {
        self.stop.store(true, Ordering::SeqCst);
        let mut done = Vec::new();
        while let Some(ended) = self.connections.join_next().await {
            done.push(ended.expect("a scenario that does not panic"));
        }
        done
    }
}

impl Schedule {
    /// The next moment that nobody has taken.
    fn take(&self) -> Instant {
        let nth = self.taken.fetch_add(1, Ordering::Relaxed);
        self.start + Duration::from_secs_f64(nth as f64 / self.rate)
    }
}

async fn follow<S: Scenario, R: Recorder>(
    load: Load,
    mut connection: Connection,
    mut scenario: S,
    stop: Arc<AtomicBool>,
    schedule: Arc<Schedule>,
) -> (S, R) {
    let (warm_at, mut recorder) = (schedule.start + load.warm_up, R::default());
    loop {
        let due = match load.pace {
            Pace::Closed { pause } => Instant::now() + pause,
            Pace::Open { .. } => schedule.take(),
        };
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        if stop.load(Ordering::Relaxed) {
            return (scenario, recorder);
        }
        let begun = if matches!(load.pace, Pace::Open { .. }) { due } else { Instant::now() };
        let Call { name, request } = scenario.next();
        let outcome = connection.exchange(request).await;
        if begun >= warm_at {
            recorder.record(Sample::of(name, begun, &outcome));
        }
        scenario.note(&outcome);
    }
}

/// The address that a connection comes from: one of this machine's own.
fn source(index: usize) -> IpAddr {
    let nth = u8::try_from(index / PER_SOURCE).unwrap_or(u8::MAX - 1);
    Ipv4Addr::new(127, 0, 0, nth + 1).into()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;

    use super::*;
    use crate::connection::{Failure, Outcome};
    use crate::report::Report;
    use crate::scenarios::{Ping, Refresh};

    async fn rotate(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        use http_body_util::BodyExt;
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let old: u64 = value["refresh_token"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        let answer = serde_json::json!({ "refresh_token": (old + 1).to_string() }).to_string();
        Ok(Response::new(Full::new(answer.into())))
    }

    /// A server that counts refresh tokens up, and takes so long to answer.
    async fn serve(takes: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let answer = service_fn(move |request| async move {
                    tokio::time::sleep(takes).await;
                    rotate(request).await
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        address
    }

    #[tokio::test]
    async fn each_connection_follows_its_own_chain() {
        let server = serve(Duration::ZERO).await;
        let chains = ["0", "1000000"].map(|token| Refresh { refresh_token: token.to_owned() });
        let done: Vec<(Refresh, Report)> = Load::closed(server).run(chains, Duration::from_millis(300)).await;
        for (scenario, report) in done {
            let made = report.total().succeeded();
            let reached: u64 = scenario.refresh_token.parse().expect("a number");
            assert!(made > 0 && reached % 1_000_000 == made, "{made} refreshes lead to {reached}");
        }
    }

    #[tokio::test]
    async fn an_open_loop_counts_from_when_a_request_was_due() {
        // One connection can make 20 requests a second; 100 are due.
        let server = serve(Duration::from_millis(50)).await;
        let load = Load::open(server, 100.0);
        let done: Vec<(Ping, Report)> = load.run([Ping], Duration::from_secs(1)).await;
        let total = Report::merge(done.into_iter().map(|(_, report)| report)).total();
        assert!((1..=21).contains(&total.succeeded()), "{}", total.succeeded());
        assert!(total.longest() > Duration::from_millis(400), "{:?}", total.longest());
    }

    #[tokio::test]
    async fn what_is_not_answered_says_why() {
        let ping = || Ping.next().request;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut connection = Connection::new(nobody, Duration::from_secs(5));
        assert!(matches!(connection.exchange(ping()).await, Err(Failure::Refused)));
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut connection =
            Connection::new(silent.local_addr().expect("an address"), Duration::from_millis(50));
        assert!(matches!(connection.exchange(ping()).await, Err(Failure::Timeout)));
        let mut connection =
            Connection::new(silent.local_addr().expect("an address"), Duration::from_secs(5));
        let hang_up = async {
            drop(silent.accept().await);
            drop(silent.accept().await);
        };
        let (outcome, ()) = tokio::join!(connection.exchange(ping()), hang_up);
        assert!(matches!(outcome, Err(Failure::Reset)), "{outcome:?}");
        let server = serve(Duration::ZERO).await;
        let outcome: Outcome = Connection::new(server, Duration::from_secs(5)).exchange(ping()).await;
        assert_eq!(outcome.expect("an answer").status, StatusCode::OK.as_u16());
    }
}
