//! What is logged on this thread, every event at every level, with its fields apart.
//!
//! A lab does its work on the thread of the test (unless the test has several), so that tests at the same time do not
//! hear one another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, Subscriber};
use tracing::{Event, Level};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One event.
#[derive(Clone, Debug)]
pub struct Record {
    /// How grave it is.
    pub level: Level,
    /// Which part of the program speaks.
    pub target: String,
    /// What it says; the sentence is called `message`.
    pub fields: BTreeMap<String, String>,
}

impl Record {
    /// A field; empty if it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// What was logged since [`Logs::capture`].
pub struct Logs {
    records: Arc<Mutex<Vec<Record>>>,
    _guard: DefaultGuard,
}

impl Logs {
    /// Listens on this thread until it is dropped.
    #[must_use]
    pub fn capture() -> Self {
        let records = Arc::<Mutex<Vec<Record>>>::default();
        let subscriber = tracing_subscriber::registry().with(Collector(Arc::clone(&records)));
        Self { records, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Everything so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything so far as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.records().iter().map(|record| format!("{record:?}\n")).collect()
    }

    /// The audit events of a name.
    #[must_use]
    pub fn audit(&self, event: &str) -> Vec<Record> {
        let is_it = |record: &Record| record.target == "portico::audit" && record.field("event") == event;
        self.records().into_iter().filter(is_it).collect()
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

struct Collector(Arc<Mutex<Vec<Record>>>);

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        let record = Record { level, target, fields: fields.0 };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}
