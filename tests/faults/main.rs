//! Every fault: in every flow of the contract, every call to a port fails in every way, one at a time.
//!
//! After each, nothing is half done ([`invariants`]), the caller has got what they asked for or a problem that tells them
//! to ask again, and asking again helps. On memory the calls of all ports fail; on SQLite and DynamoDB those of the store;
//! on DynamoDB besides single attempts to reach it, which its retries must hide.
//!
//! DynamoDB is far: there some calls of each flow fail in one way each, taken in turn, unless `PORTICO_FAULTS_ALL` is set.
//!
//! A failure names flow, call and way. `PORTICO_FAULTS=<flow>` runs one flow; `PORTICO_FAULTS_SEED` gives another seed, and
//! other turns.

mod controls;
mod flows;
mod invariants;
mod plan;
mod ports;
mod run;
mod world;

use std::sync::Arc;

use portico::aws::connect;
use portico::clock::SystemClock;
use portico::entropy::SystemEntropy;
use portico::store::dynamo::SdkClient;
use portico_core::dynamo::client::DynamoClient;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::store::DynamoStore;
use portico_core::http::routes::ROUTES;
use portico_tests::emulators::Emulators;

use crate::run::{Report, enumerate};
use crate::world::Backend;

/// Runs every point on a backend and says how many there were.
async fn every_fault(backend: Backend) -> Report {
    let seed = std::env::var("PORTICO_FAULTS_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let begun = std::time::Instant::now();
    let stride = backend.stride().filter(|_| std::env::var_os("PORTICO_FAULTS_ALL").is_none());
    let report = enumerate(&backend, &flows::all(), seed, stride).await;
    let Report { flows, points, unreached, told, failures, .. } = &report;
    let seconds = begun.elapsed().as_secs();
    let name = backend.name();
    println!("{name}: {flows} flows, {points} points ({unreached} not reached), seed {seed}, {seconds} s");
    assert!(unreached * 50 <= *points, "too many points were not reached");
    for (what, count) in told {
        println!("    told when asking again: {what} ({count} times)");
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {points} points failed:\n\n{}", failures.join("\n\n"));
    report
}

#[tokio::test]
async fn every_fault_in_memory() {
    let report = every_fault(Backend::Memory).await;
    if std::env::var_os("PORTICO_FAULTS").is_none() {
        let missing: Vec<&str> = ROUTES
            .iter()
            .map(|route| route.operation)
            .filter(|name| !report.operations.contains(name))
            .collect();
        assert!(missing.is_empty(), "no flow asks for {missing:?}");
    }
}

#[tokio::test]
async fn every_fault_in_sqlite() {
    every_fault(Backend::Sqlite).await;
}

#[tokio::test]
async fn every_fault_in_dynamo() {
    let (_emulators, client) = dynamo().await;
    every_fault(Backend::DynamoStore(client)).await;
}

#[tokio::test]
async fn every_fault_below_the_retries_of_dynamo() {
    let (_emulators, client) = dynamo().await;
    every_fault(Backend::DynamoClient(client)).await;
}

/// Emulators with all tables, and what reaches them.
async fn dynamo() -> (Emulators, Arc<dyn DynamoClient>) {
    let emulators = Emulators::start();
    let client: Arc<dyn DynamoClient> = Arc::new(SdkClient::new(&connect(&emulators.settings()).await));
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = DynamoStore::new(client.clone(), clock, entropy, TableNames::default());
    store.prepare().await.expect("tables");
    (emulators, client)
}
