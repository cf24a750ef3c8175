//! How many calls each step makes to each service when all goes well, by which retries are judged.

use std::collections::BTreeMap;
use std::time::Duration;

use portico_bench::connection::Connection;
use portico_bench::report::Sample;
use portico_bench::scenario::Scenario;
use portico_tests::emulators::Emulators;
use serde_json::Value;

use crate::life::STEPS;
use crate::stage::{PATIENCE, Stage};

/// The services, as the emulators name them.
pub const SERVICES: [&str; 4] = ["dynamodb", "s3", "sns", "smtp"];

/// Calls by service.
pub type Calls = BTreeMap<&'static str, u64>;

/// What each step costs, with the message that it promises.
#[derive(Clone, Debug)]
pub struct Costs(BTreeMap<&'static str, Calls>);

impl Costs {
    /// Takes each step once, alone, and counts.
    pub async fn measure(stage: &Stage) -> Self {
        let mut life = stage.cast(1).await.remove(0);
        let mut connection = Connection::new(stage.server, PATIENCE);
        let mut costs = BTreeMap::new();
        for step in STEPS.iter().chain(&STEPS) {
            assert!(life.can(*step), "{step:?}");
            life.only(*step);
            settle(&stage.emulators).await;
            stage.emulators.forget_calls().await;
            let outcome = connection.exchange(life.next().request).await;
            let status = outcome.as_ref().expect("an answer").status;
            assert!((200..300).contains(&status), "{step:?}: {status}");
            life.note(&outcome);
            costs.insert(step.name(), settle(&stage.emulators).await);
        }
        Self(costs)
    }

    /// What requests asked of each service: all that they cost if they succeeded; if not, no more than the one thing that
    /// failed.
    pub fn asked<'samples>(&self, samples: impl Iterator<Item = &'samples Sample>) -> Calls {
        let mut asked: Calls = SERVICES.iter().map(|service| (*service, 0)).collect();
        for sample in samples {
            for (service, cost) in &self.0[sample.name] {
                *asked.get_mut(service).expect("a service") +=
                    if sample.succeeded() { *cost } else { failing(service).min(*cost) };
            }
        }
        asked
    }
}

/// A put that failed is followed by a look whether it was done all the same.
fn failing(service: &str) -> u64 {
    if service == "s3" { 2 } else { 1 }
}

/// All calls so far.
pub async fn sent(emulators: &Emulators) -> Calls {
    let counts = emulators.tell("/_calls").await["counts"].clone();
    let of = |service: &str| -> u64 {
        counts[service].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    };
    SERVICES.iter().map(|service| (*service, of(service))).collect()
}

/// Waits until nothing is called any more, and counts. Looks for messages that are due go on for ever, and do not count.
async fn settle(emulators: &Emulators) -> Calls {
    let mut before = counted(emulators).await;
    loop {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let now = counted(emulators).await;
        if now == before {
            return now;
        }
        before = now;
    }
}

async fn counted(emulators: &Emulators) -> Calls {
    let calls = emulators.tell("/_calls").await["last"].as_array().cloned().unwrap_or_default();
    let is_look = |call: &Value| call["resource"].as_str().is_some_and(|name| name.starts_with("outbox/"));
    let of = |service: &str| {
        calls.iter().filter(|call| call["service"] == service && !is_look(call)).count() as u64
    };
    SERVICES.iter().map(|service| (*service, of(service))).collect()
}
