//! DynamoDB by Amazon's SDK, against the emulator, which checks every signature.

mod faults;
mod program;
mod refusals;
mod tables;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use portico::aws::connect;
use portico::entropy::SystemEntropy;
use portico::env::AwsSettings;
use portico::store::dynamo::SdkClient;
use portico_core::conformance::store::Harness;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::retry::Sender;
use portico_core::dynamo::store::DynamoStore;
use portico_core::memory::clock::ManualClock;
use portico_core::ports::clock::Clock;
use portico_core::time::Timestamp;
use portico_tests::emulators::Emulators;

/// Shows what it is told to, but really sleeps.
#[derive(Debug)]
struct SleepingClock(Arc<ManualClock>);

impl Clock for SleepingClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(duration_ms)))
    }
}

/// Sleeps by moving itself forward.
#[derive(Debug)]
struct RestlessClock(Arc<ManualClock>);

impl Clock for RestlessClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        self.0.advance_ms(i64::try_from(duration_ms).expect("a short sleep"));
        Box::pin(tokio::task::yield_now())
    }
}

/// A whole second, a day from now: DynamoDB removes what has expired by its own clock.
fn tomorrow() -> Arc<ManualClock> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a right clock").as_secs();
    let tomorrow = i64::try_from(now).expect("a right clock") + 24 * 60 * 60;
    Arc::new(ManualClock::at(Timestamp::from_millis(tomorrow * 1000)))
}

/// A client of its own, its clock, and the names of its tables.
struct Account {
    client: Arc<SdkClient>,
    clock: Arc<dyn Clock>,
    names: TableNames,
}

impl Account {
    async fn of(settings: &AwsSettings, clock: Arc<dyn Clock>) -> Self {
        let names = TableNames::from_fn(|table| Some(format!("Test_{}", table.name)));
        Self { client: Arc::new(SdkClient::new(&connect(settings).await)), clock, names }
    }

    /// Waits like the real one.
    async fn patient(emulators: &Emulators) -> Self {
        Self::of(&emulators.settings(), Arc::new(SleepingClock(tomorrow()))).await
    }

    /// Does not wait.
    async fn restless(emulators: &Emulators) -> Self {
        Self::of(&emulators.settings(), Arc::new(RestlessClock(tomorrow()))).await
    }

    fn store(&self) -> DynamoStore {
        let client = Arc::clone(&self.client);
        DynamoStore::new(client, Arc::clone(&self.clock), Arc::new(SystemEntropy), self.names.clone())
    }

    async fn prepared_store(&self) -> DynamoStore {
        let store = self.store();
        store.prepare().await.expect("tables can be made");
        store
    }

    fn sender(&self) -> Sender<'_> {
        Sender { client: &*self.client, clock: &*self.clock, entropy: &SystemEntropy }
    }
}

mod kit {
    use super::*;

    async fn new() -> Harness {
        let (emulators, clock) = (Emulators::start(), tomorrow());
        let account = Account::of(&emulators.settings(), Arc::new(SleepingClock(Arc::clone(&clock)))).await;
        let store = account.prepared_store().await;
        Harness::new(Arc::new(store), clock).keeping(emulators)
    }

    portico_core::store_conformance!(attribute = [tokio::test(flavor = "multi_thread")], new = new);
}
