//! Before a fault, during it, and after.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portico_bench::connection::{Connection, Outcome};
use portico_bench::load::{Load, Pace};
use portico_bench::report::{Report, Sample};
use portico_bench::scenario::{Call, Scenario};
use portico_core::outbox::model::SHARDS;
use serde_json::Value;

use crate::costs::{Costs, sent};
use crate::ledger::{Ledger, verify_messages};
use crate::life::Life;
use crate::stage::{PATIENCE, Stage};

/// The longest that any answer may take: DynamoDB is tried for ten seconds, and the attempt under way then may take three
/// more. So may, once each, a look whether a write was applied and an attempt to clear away what was begun. S3 is tried three
/// times for four seconds. The rest is for a machine that is busy.
pub const LONGEST: Duration = Duration::from_secs(10 + 3 + 3 + 3 + 2);

/// By when each connection must be served again.
const RECOVERY: Duration = Duration::from_secs(5);

/// What the machine itself may take, besides.
const SCHEDULING: Duration = Duration::from_millis(500);

const CONNECTIONS: usize = 12;

/// How long a fault lasts unless told otherwise.
const SECONDS: u64 = 6;

/// Calls that need no request: the reserve of attempts that a client has saved up, connections to the mail server, and
/// whatever was under way as the fault began.
const UNASKED: u64 = 100 + 60;

/// A life that tells others when it was last served.
struct Watched {
    life: Life,
    served: Arc<Mutex<Instant>>,
}

impl Scenario for Watched {
    fn next(&mut self) -> Call {
        self.life.next()
    }

    fn note(&mut self, outcome: &Outcome) {
        if outcome.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status)) {
            *self.served.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        self.life.note(outcome);
    }
}

/// What happened to one connection, and when the fault was.
struct Course<'run> {
    connections: Vec<&'run [Sample]>,
    began: Instant,
    ended: Instant,
}

/// Lets users work before, during and after a fault, and holds the server to what it promises.
pub async fn endure(stage: &Stage, costs: &Costs, rules: Value) {
    let (lives, serveds): (Vec<Watched>, Vec<_>) = stage
        .cast(CONNECTIONS)
        .await
        .into_iter()
        .map(|life| {
            let served = Arc::new(Mutex::new(Instant::now()));
            (Watched { life, served: Arc::clone(&served) }, served)
        })
        .unzip();
    let pace = Pace::Closed { pause: Duration::from_millis(10) };
    let load = Load { pace, patience: PATIENCE, ..Load::closed(stage.server) };
    let running = load.start::<Watched, Vec<Sample>>(lives);
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    stage.emulators.forget_calls().await;
    let began = Instant::now();
    stage.emulators.misbehave(rules.clone()).await;
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    let sent = sent(&stage.emulators).await;
    let standing = stage.emulators.tell("/_faults").await;
    stage.emulators.behave().await;
    let ended = Instant::now();

    let is_served =
        |served: &Arc<Mutex<Instant>>| *served.lock().unwrap_or_else(PoisonError::into_inner) > ended;
    while ended.elapsed() < RECOVERY && !serveds.iter().all(is_served) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let done = running.stop().await;

    let course =
        Course { connections: done.iter().map(|(_, samples)| samples.as_slice()).collect(), began, ended };
    println!("{rules}\n{}", course.report());
    course.judge_answers();
    course.judge_recovery();
    let asked = costs.asked(course.during());
    println!("sent {sent:?}, asked {asked:?}");
    for (service, sent) in sent {
        let looks = if service == "dynamodb" { u64::from(SHARDS) * (seconds() / 2 + 2) } else { 0 };
        let asked = asked[service] + looks;
        assert!(sent <= 3 * asked + UNASKED, "{service} was sent {sent} calls, of {asked} that were asked");
    }
    for rule in standing.as_array().expect("a list") {
        let likely = rule["seen"].as_f64().expect("a count") * rule["probability"].as_f64().unwrap_or(1.0);
        assert!(likely < 5.0 || rule["applied"].as_u64() > Some(0), "nothing was hit by {rule}");
    }
    let ledgers: Vec<Ledger> = done.into_iter().map(|(watched, _)| watched.life.ledger).collect();
    let mut connection = Connection::new(stage.server, PATIENCE);
    for ledger in &ledgers {
        ledger.verify(&mut connection).await;
    }
    verify_messages(&stage.emulators, &stage.tables().await, &ledgers).await;
}

fn seconds() -> u64 {
    std::env::var("NETWORK_FAULT_SECONDS").map_or(SECONDS, |text| text.parse().expect("a number of seconds"))
}

impl Course<'_> {
    fn all(&self) -> impl Iterator<Item = &Sample> {
        self.connections.iter().copied().flatten()
    }

    /// What was under way while the fault lasted.
    fn during(&self) -> impl Iterator<Item = &Sample> {
        self.all().filter(|sample| sample.ended >= self.began && sample.begun <= self.ended)
    }

    fn report(&self) -> Report {
        self.all().copied().collect()
    }

    fn judge_answers(&self) {
        for sample in self.all() {
            let is_refusal = sample.result == Ok(503) && sample.retry_after;
            assert!(sample.succeeded() || is_refusal, "{} was answered {:?}", sample.name, sample.result);
            assert!(sample.latency() <= LONGEST, "{} took {:?}", sample.name, sample.latency());
            assert!(sample.succeeded() || sample.ended >= self.began, "{sample:?} before the fault");
        }
    }

    fn judge_recovery(&self) {
        let mut slowest = Duration::ZERO;
        for samples in &self.connections {
            let mut after =
                samples.iter().skip_while(|sample| sample.ended < self.ended || !sample.succeeded());
            let first = after.next().expect("each connection is served again");
            slowest = slowest.max(first.ended - self.ended);
            let failed = after.find(|sample| !sample.succeeded());
            assert!(failed.is_none(), "{failed:?} after the fault");
        }
        println!("every connection is served again after {slowest:.1?}");
        assert!(slowest <= RECOVERY + SCHEDULING, "a connection is served again only after {slowest:?}");
    }
}
