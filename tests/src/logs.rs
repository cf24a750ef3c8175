//! What is logged on this thread, every event at every level, with its fields apart.
//!
//! A lab does its work on the thread of the test (unless the test has several), so that tests at the same time do not
//! hear one another.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::subscriber::Subscriber;
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

type Records = Arc<Mutex<Vec<Record>>>;

thread_local! {
    /// Who listens on this thread.
    static LISTENERS: RefCell<Vec<Records>> = const { RefCell::new(Vec::new()) };
}

/// What was logged since [`Logs::capture`].
pub struct Logs {
    records: Records,
    /// It listens on one thread, and must end there.
    _not_send: PhantomData<*const ()>,
}

/// Lets every thread's events reach whoever listens there. Labs call it before anything can be logged: what is logged for
/// the first time while there is no subscriber yet may be taken for something that nobody ever wants to hear.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Collector);
        tracing::subscriber::set_global_default(subscriber).expect("no other subscriber");
    });
}

impl Logs {
    /// Listens on this thread until it is dropped.
    #[must_use]
    pub fn capture() -> Self {
        install();
        let records = Records::default();
        LISTENERS.with_borrow_mut(|listeners| listeners.push(Arc::clone(&records)));
        Self { records, _not_send: PhantomData }
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

impl Drop for Logs {
    fn drop(&mut self) {
        LISTENERS.with_borrow_mut(|listeners| listeners.retain(|other| !Arc::ptr_eq(other, &self.records)));
    }
}

struct Collector;

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        let record = Record { level, target, fields: fields.0 };
        LISTENERS.with_borrow(|listeners| {
            for listener in listeners {
                listener.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
            }
        });
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
