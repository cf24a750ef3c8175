//! Where a scenario is played: an app over one of the stores, and the way its callers race.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use portico::aws::connect;
use portico::store::dynamo::SdkClient;
use portico::store::sqlite::SqliteStore;
use portico_core::auth::keys::{PublicKey, SigningKeys};
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::store::DynamoStore;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::store::{Lag, MemoryStore};
use portico_core::ports::Ports;
use portico_core::ports::clock::Clock;
use portico_core::ports::signer::{Signer, SignerError};
use portico_core::ports::store::{Key, Store};
use portico_core::time::Timestamp;
use portico_tests::client::Client;
use portico_tests::emulators::Emulators;
use portico_tests::lab::{Lab, LabOptions, test_keys};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::history::History;
use crate::scheduler::{Inline, ScheduledBlobs, ScheduledStore, Scheduler};
use portico_tests::chance::Chance;

/// What callers do at the same time, and what must hold afterwards.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How many seeds it is played with on the memory store.
    pub(crate) seeds: u64,
    /// Variables of the app.
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) play: for<'a> fn(&'a Stage) -> BoxFuture<'a, ()>,
}

/// The store, and the way in which callers race.
pub(crate) enum Ground {
    /// The memory store, on one thread. With every third seed, its indexes trail.
    Memory,
    /// SQLite, on one thread; its writer has answered when a call returns.
    SqliteInline,
    /// SQLite, on several threads.
    Sqlite,
    /// DynamoDB at the emulator, by Amazon's SDK, on several threads.
    Dynamo { _emulators: Emulators, client: Arc<SdkClient> },
    /// A store in memory that another is wrapped around, on one thread.
    Wrapped(fn(Arc<dyn Store>) -> Arc<dyn Store>),
}

impl Ground {
    /// An emulator with tables.
    pub(crate) fn dynamo() -> Self {
        runtime().block_on(Self::prepare_dynamo())
    }

    async fn prepare_dynamo() -> Self {
        let emulators = Emulators::start();
        let client = Arc::new(SdkClient::new(&connect(&emulators.settings()).await));
        let clock = Arc::new(portico::clock::SystemClock);
        let entropy = Arc::new(SeededEntropy::new(0));
        let store = DynamoStore::new(client.clone(), clock, entropy, TableNames::default());
        store.prepare().await.expect("tables can be made");
        Self::Dynamo { _emulators: emulators, client }
    }

    fn has_threads(&self) -> bool {
        matches!(self, Self::Sqlite | Self::Dynamo { .. })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::SqliteInline => "SQLite on one thread",
            Self::Sqlite => "SQLite on several threads",
            Self::Dynamo { .. } => "DynamoDB on several threads",
            Self::Wrapped(_) => "a wrapped store",
        }
    }
}

/// Plays a scenario once for each seed, prints how many interleavings that were, and names the seed that fails.
pub(crate) fn play(scenario: &Scenario, ground: &Ground, seeds: impl IntoIterator<Item = u64>) {
    let (mut played, mut operations, mut points) = (0, 0, 0);
    let (mut first, mut last) = (None, 0);
    for seed in seeds {
        let stage = Stage::new(scenario, ground, seed);
        let outcome = catch_unwind(AssertUnwindSafe(|| stage.run(scenario.play)));
        if let Err(panic) = outcome {
            eprintln!("{} on {}\n{}", scenario.name, ground.name(), stage.history);
            eprintln!("it repeats with CONCURRENCY_SEED={seed}");
            resume_unwind(panic);
        }
        (played, operations) = (played + 1, operations + stage.history.len());
        points += stage.scheduler.points();
        (first, last) = (first.or(Some(seed)), seed);
    }
    let first = first.unwrap_or_default();
    let (name, ground) = (scenario.name, ground.name());
    println!(
        "{name} on {ground}: {played} interleavings (seeds {first} to {last}), {operations} operations, \
         {points} scheduling points"
    );
}

/// The seeds to play with: so many, or as many times more as `CONCURRENCY_TIMES` says, or the one of
/// `CONCURRENCY_SEED`.
pub(crate) fn seeds(count: u64) -> Vec<u64> {
    let variable = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match variable("CONCURRENCY_SEED") {
        Some(seed) => vec![seed],
        None => (1..=count * variable("CONCURRENCY_TIMES").unwrap_or(1)).collect(),
    }
}

/// An app over a store.
pub(crate) struct Stage {
    seed: u64,
    /// No other stage on the same store has it.
    pub(crate) number: u64,
    pub(crate) lab: Arc<Lab>,
    pub(crate) history: Arc<History>,
    pub(crate) scheduler: Arc<Scheduler>,
    /// The store as it is, without points.
    pub(crate) store: Arc<dyn Store>,
    memory: Option<Arc<MemoryStore>>,
    lags: bool,
    has_threads: bool,
    chance: Mutex<Chance>,
    _dir: Option<TempDir>,
}

/// Changes of ports made on the way in, for the stage to keep.
#[derive(Default)]
struct Made {
    store: Option<Arc<dyn Store>>,
    memory: Option<Arc<MemoryStore>>,
}

impl Stage {
    fn new(scenario: &Scenario, ground: &Ground, seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let scheduler = Arc::new(Scheduler::new(chance.branch()));
        let lag = if seed.is_multiple_of(3) { 1 + chance.below(6) } else { 0 };
        let lags = lag > 0 && matches!(ground, Ground::Memory);
        let dir = matches!(ground, Ground::Sqlite | Ground::SqliteInline)
            .then(|| tempfile::tempdir().expect("a temporary folder"));
        let made = Arc::new(Mutex::new(Made::default()));
        let ports = ports(ground, dir.as_ref(), seed, if lags { lag } else { 0 }, &scheduler, &made);
        let variables = scenario.variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let options =
            LabOptions { variables: variables.collect(), keys: Some(keys().clone()), ports: Some(ports) };
        let lab = Arc::new(Lab::with(options));
        if let Ground::Dynamo { .. } = ground {
            lab.clock.set(tomorrow());
        }
        let made = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
        Self {
            seed,
            number: if let Ground::Dynamo { .. } = ground { next_number() } else { seed },
            lab,
            history: Arc::default(),
            scheduler,
            store: made.store.expect("the lab took its ports"),
            memory: made.memory,
            lags,
            has_threads: ground.has_threads(),
            chance: Mutex::new(chance),
            _dir: dir,
        }
    }

    fn run(&self, play: for<'a> fn(&'a Self) -> BoxFuture<'a, ()>) {
        if self.has_threads {
            runtime().block_on(play(self));
        } else {
            play(self).now_or_never().expect("on one thread nobody waits but in a race");
        }
    }

    /// Somebody without an account.
    pub(crate) fn client(&self) -> Client {
        self.lab.client()
    }

    /// A stream of chance for the scenario.
    pub(crate) fn chance(&self) -> Chance {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).branch()
    }

    /// How many callers there are: 8 to 64, mostly few.
    pub(crate) fn callers(&self) -> usize {
        let mut chance = self.chance();
        if chance.one_in(20) { 64 } else { 8 + chance.below(12) }
    }

    /// A name that no other stage on the same store uses.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.number)
    }

    /// Lets callers race to their ends; returns their outcomes in the callers' order.
    pub(crate) async fn race<T: Send + 'static>(&self, callers: Vec<BoxFuture<'static, T>>) -> Vec<T> {
        self.catch_up();
        // What follows an answer is part of the race, or comes after it.
        self.lab.settle(self.chance().one_in(2));
        let outcomes = if self.has_threads {
            self.scheduler.race_on_threads(callers).await
        } else {
            self.scheduler.race(callers)
        };
        self.lab.settle(true);
        self.lab.background.run().await;
        outcomes
    }

    /// Whether queries trail transactions.
    pub(crate) fn lags(&self) -> bool {
        self.lags
    }

    /// Lets queries see everything.
    pub(crate) fn catch_up(&self) {
        if let Some(memory) = &self.memory {
            memory.catch_up();
        }
    }

    /// Lets some minutes pass, and with them everything that was promised for then.
    pub(crate) async fn later(&self) {
        self.lab.clock.advance(600);
        for _ in 0..3 {
            self.catch_up();
            self.lab.app.drain_outbox().await;
        }
        self.catch_up();
    }

    /// What is stored under a key; null if nothing is.
    pub(crate) async fn row(&self, key: Key) -> Value {
        let found = self.store.get(&key).await.expect("an answer");
        found.map_or(Value::Null, |found| Value::Object(found.item))
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("seed", &self.seed).finish_non_exhaustive()
    }
}

type PortsChange = Box<dyn FnOnce(&mut Ports)>;

fn ports(
    ground: &Ground,
    dir: Option<&TempDir>,
    seed: u64,
    lag: usize,
    scheduler: &Arc<Scheduler>,
    made: &Arc<Mutex<Made>>,
) -> PortsChange {
    let entropy = Arc::new(SeededEntropy::new(!seed));
    let sqlite = {
        let (dir, entropy) = (dir.map(|dir| dir.path().to_owned()), entropy.clone());
        move |clock: &Arc<dyn Clock>| -> Arc<dyn Store> {
            let dir = dir.expect("a folder");
            Arc::new(SqliteStore::open(dir, clock.clone(), entropy).expect("a new database"))
        }
    };
    let memory = move |clock: &Arc<dyn Clock>| {
        Arc::new(MemoryStore::with_lagging_indexes(clock.clone(), entropy, Lag::Transactions(lag)))
    };
    type Make = Box<dyn FnOnce(&Arc<dyn Clock>, &mut Made) -> Arc<dyn Store>>;
    let make: Make = match ground {
        Ground::Memory => Box::new(move |clock, made| made.memory.insert(memory(clock)).clone()),
        Ground::Wrapped(wrap) => {
            let wrap = *wrap;
            Box::new(move |clock, _| wrap(memory(clock)))
        }
        Ground::SqliteInline => Box::new(move |clock, _| Arc::new(Inline(sqlite(clock)))),
        Ground::Sqlite => Box::new(move |clock, _| sqlite(clock)),
        Ground::Dynamo { client, .. } => {
            let client = client.clone();
            let entropy = Arc::new(portico::entropy::SystemEntropy);
            Box::new(move |clock, _| {
                let clock = Arc::new(Sleeping(clock.clone()));
                Arc::new(DynamoStore::new(client, clock, entropy, TableNames::default()))
            })
        }
    };
    // Of tables that stages share, no two stages may write under one id.
    let shared = matches!(ground, Ground::Dynamo { .. });
    let (scheduler, made) = (scheduler.clone(), made.clone());
    Box::new(move |ports| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        let store = make(&ports.clock, &mut made);
        made.store = Some(store.clone());
        ports.store = Arc::new(ScheduledStore { inner: store, scheduler: scheduler.clone() });
        ports.blobs = Arc::new(ScheduledBlobs { inner: ports.blobs.clone(), scheduler });
        ports.signer = Arc::new(QuickSigner);
        if !shared {
            ports.entropy = Arc::new(SeededEntropy::new(seed));
        }
    })
}

/// Numbers for stages that share a store.
fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// The threads of every race that has some; connections live on them from one stage to the next.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let builder = &mut tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(4).enable_all().build().expect("a runtime")
    })
}

/// The keys of every stage: reading them takes longer than a race.
fn keys() -> &'static SigningKeys {
    static KEYS: OnceLock<SigningKeys> = OnceLock::new();
    KEYS.get_or_init(test_keys)
}

/// A day from now: DynamoDB removes what has expired by its own clock.
fn tomorrow() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a right clock").as_secs();
    Timestamp::from_millis((i64::try_from(now).expect("a right clock") + 24 * 60 * 60) * 1000)
}

/// Shows what another clock shows, but really sleeps.
#[derive(Debug)]
struct Sleeping(Arc<dyn Clock>);

impl Clock for Sleeping {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(duration_ms)))
    }
}

/// Signatures that cost nothing and that anybody could make: access tokens are not what is raced for.
#[derive(Debug)]
struct QuickSigner;

#[async_trait]
impl Signer for QuickSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(Sha256::digest(message).to_vec())
    }

    async fn verify(&self, _: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        Ok(Sha256::digest(message).as_slice() == signature)
    }
}
