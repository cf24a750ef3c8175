//! DynamoDB by Amazon's SDK and by signed HTTP requests, against the emulator, which checks every signature.

mod faults;
mod program;
mod refusals;
mod tables;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use portico::aws::connect;
use portico::clock::SystemClock;
use portico::entropy::SystemEntropy;
use portico::env::AwsSettings;
use portico::store::dynamo::SdkClient;
use portico_core::conformance::store::Harness;
use portico_core::dynamo::client::DynamoClient;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::retry::Sender;
use portico_core::dynamo::store::DynamoStore;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::ports::clock::Clock;
use portico_core::time::Timestamp;
use portico_edge::aws::dynamo::FetchClient;
use portico_tests::emulators::{Emulators, account};

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

/// A whole second, a day from now: DynamoDB removes what has expired by its own clock.
fn tomorrow() -> Arc<ManualClock> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a right clock").as_secs();
    let tomorrow = i64::try_from(now).expect("a right clock") + 24 * 60 * 60;
    Arc::new(ManualClock::at(Timestamp::from_millis(tomorrow * 1000)))
}

/// What sends requests to DynamoDB.
#[derive(Clone, Copy, Debug)]
enum Adapter {
    /// Amazon's SDK, as natively.
    Sdk,
    /// Signed HTTP requests, as on the edge.
    Fetch,
}

impl Adapter {
    const EACH: [Self; 2] = [Self::Sdk, Self::Fetch];

    async fn client(self, settings: &AwsSettings) -> Arc<dyn DynamoClient> {
        match self {
            Self::Sdk => Arc::new(SdkClient::new(&connect(settings).await)),
            Self::Fetch => Arc::new(FetchClient::new(account(settings, Arc::new(SystemClock)))),
        }
    }
}

/// A client of its own, its clock, and the names of its tables.
struct Account {
    client: Arc<dyn DynamoClient>,
    clock: Arc<dyn Clock>,
    names: TableNames,
}

impl Account {
    async fn by(adapter: Adapter, settings: &AwsSettings, clock: Arc<dyn Clock>) -> Self {
        let names = TableNames::from_fn(|table| Some(format!("Test_{}", table.name)));
        Self { client: adapter.client(settings).await, clock, names }
    }

    /// Waits like the real one.
    async fn patient(emulators: &Emulators) -> Self {
        Self::patient_by(Adapter::Sdk, emulators).await
    }

    /// The same, by either adapter.
    async fn patient_by(adapter: Adapter, emulators: &Emulators) -> Self {
        Self::by(adapter, &emulators.settings(), Arc::new(SleepingClock(tomorrow()))).await
    }

    /// Does not wait.
    async fn restless_by(adapter: Adapter, emulators: &Emulators) -> Self {
        Self::by(adapter, &emulators.settings(), Arc::new(RestlessClock::over(tomorrow()))).await
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
        Sender { client: &*self.client, clock: &*self.clock, entropy: &SystemEntropy, budget: None }
    }
}

mod kit {
    use super::*;

    async fn new(adapter: Adapter) -> Harness {
        let (emulators, clock) = (Emulators::start(), tomorrow());
        let sleeping = Arc::new(SleepingClock(Arc::clone(&clock)));
        let account = Account::by(adapter, &emulators.settings(), sleeping).await;
        let store = account.prepared_store().await;
        Harness::new(Arc::new(store), clock).keeping(emulators)
    }

    mod sdk {
        use super::*;

        portico_core::store_conformance!(
            attribute = [tokio::test(flavor = "multi_thread")],
            new = || new(Adapter::Sdk)
        );
    }

    mod fetch {
        use super::*;

        portico_core::store_conformance!(
            attribute = [tokio::test(flavor = "multi_thread")],
            new = || new(Adapter::Fetch)
        );
    }
}
