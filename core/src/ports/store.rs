//! The store: items in tables, changed by conditional transactions.
//!
//! The port is three methods, one of which has a second form; whatever else the rules need derives from them in [`super::store_ext`].
//! A backend is right when it passes the kit in `conformance::store`, which states each property below
//! as a test.

use std::fmt;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::schema::Table;

/// An item: a JSON object. Its key attributes repeat the key.
pub type Item = Map<String, Value>;

/// The largest item, in bytes of its JSON text (DynamoDB's limit is 400 KB of attribute names and values).
pub const MAX_ITEM_BYTES: usize = 400_000;

/// The most writes that one transaction holds (DynamoDB, `TransactWriteItems`).
pub const MAX_WRITES: usize = 100;

/// Where items are kept.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads the latest committed item.
    ///
    /// # Behavior
    /// - Never stale: it sees every `transact` that was acknowledged before it was called.
    /// - An expired item ([`Table::expires`]) is absent from its second on, whether or not it was purged.
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError>;

    /// Reads as [`Store::get`] does, but may leave the item as the text that it is kept as: whoever gives it a type at
    /// once has no use for its attributes one by one.
    async fn get_raw(&self, key: &Key) -> Result<Option<Raw>, StoreError> {
        Ok(self.get(key).await?.map(Raw::Item))
    }

    /// Reads one page of an index, in the order of its range attribute; or of a whole table, if the schema
    /// declares it small.
    ///
    /// # Behavior
    /// - May trail `transact`; an item appears at most once in a page, and never half-changed.
    /// - Ranges compare bytewise. Without a range attribute the order is unspecified but the same from page
    ///   to page.
    /// - [`Page::next`] is present when more may follow; a page may be short, even empty, and have one.
    /// - Expired items are left out.
    ///
    /// # Errors
    /// `Unexpected` for an index that the schema does not have, or a whole table that is not small.
    async fn query(&self, query: &Query) -> Result<Page, StoreError>;

    /// Applies every write or none.
    ///
    /// # Behavior
    /// - All conditions are judged together against the state before the transaction.
    /// - Acknowledged means durable: it survives a kill of the process and of the machine.
    /// - Each stored item gets a new [`Version`], different from any it had before, even if it was deleted
    ///   in between.
    /// - No writes: nothing happens, successfully.
    ///
    /// # Errors
    /// - `Conflict { write }` names the first write whose condition does not hold.
    /// - `TooLarge` for an item above [`MAX_ITEM_BYTES`], before anything is written.
    /// - `Unexpected` for more than [`MAX_WRITES`] writes, or for one key twice.
    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError>;
}

/// An item's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table.
    pub table: &'static Table,
    /// The value of the table's hash attribute; not empty.
    pub hash: String,
    /// The value of its range attribute, for tables that have one; not empty.
    pub range: Option<String>,
}

impl Key {
    /// The key of an item in a table without a range attribute.
    pub fn new(table: &'static Table, hash: impl Into<String>) -> Self {
        Self { table, hash: hash.into(), range: None }
    }

    /// The key of an item in a table with a range attribute.
    pub fn with_range(table: &'static Table, hash: impl Into<String>, range: impl Into<String>) -> Self {
        Self { table, hash: hash.into(), range: Some(range.into()) }
    }

    /// The key that an item of a table carries in its own attributes, if they are there and strings.
    #[must_use]
    pub fn of(table: &'static Table, item: &Item) -> Option<Self> {
        let attribute = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
        let range = match table.range {
            Some(name) => Some(attribute(name)?),
            None => None,
        };
        Some(Self { table, hash: attribute(table.hash)?, range })
    }
}

/// What changes whenever an item is written. Opaque; 0 marks a row that an older system wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// An item and the version it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The item.
    pub item: Item,
    /// Its version, for [`Condition::At`].
    pub version: Version,
}

/// An item as a store has it at hand.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// Attribute by attribute.
    Item(Versioned),
    /// As JSON text, and the version that it was read at.
    #[cfg(feature = "text")]
    Text(String, Version),
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Stores the item in place of whatever is there.
    Put { key: Key, item: Item, when: Condition },
    /// Removes the item; that it is absent is no failure.
    Delete { key: Key, when: Condition },
    /// Changes nothing, but fails the transaction if the condition does not hold.
    Check { key: Key, when: Condition },
}

impl Write {
    /// The key that the write is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    /// The condition that must hold.
    #[must_use]
    pub fn when(&self) -> Condition {
        match self {
            Self::Put { when, .. } | Self::Delete { when, .. } | Self::Check { when, .. } => *when,
        }
    }
}

/// What must be true of a key for a write to apply. An expired item is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// There is no item.
    Absent,
    /// There is an item.
    Present,
    /// There is an item, and it is still at this version.
    At(Version),
}

impl Condition {
    /// Whether the condition holds for an item's version (`None`: the item is absent).
    #[must_use]
    pub fn holds(self, current: Option<Version>) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::At(version) => current == Some(version),
        }
    }
}

/// A read of many items.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The table.
    pub table: &'static Table,
    /// The index and the value of its hash attribute; `None` reads the whole of a small table.
    pub index: Option<(&'static str, String)>,
    /// Bounds on the index's range attribute.
    pub range: RangeBound,
    /// The direction of the range attribute.
    pub order: Order,
    /// At most so many items; 1 to 1000.
    pub limit: usize,
    /// Where an earlier page of the same query ended.
    pub after: Option<Position>,
}

impl Query {
    /// A query of an index: ascending, unbounded, 100 items a page.
    pub fn index(table: &'static Table, index: &'static str, hash: impl Into<String>) -> Self {
        Self {
            table,
            index: Some((index, hash.into())),
            range: RangeBound::All,
            order: Order::Ascending,
            limit: 100,
            after: None,
        }
    }

    /// A read of a whole small table, 1000 items a page.
    #[must_use]
    pub fn whole(table: &'static Table) -> Self {
        Self { table, index: None, range: RangeBound::All, order: Order::Ascending, limit: 1000, after: None }
    }

    /// Limits the page.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Orders by the range attribute, greatest first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.order = Order::Descending;
        self
    }

    /// Bounds the range attribute.
    #[must_use]
    pub fn range(mut self, range: RangeBound) -> Self {
        self.range = range;
        self
    }

    /// Continues after an earlier page.
    #[must_use]
    pub fn after(mut self, position: Option<Position>) -> Self {
        self.after = position;
        self
    }
}

/// A bound on an index's range attribute, compared bytewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeBound {
    /// Every value.
    All,
    /// Values below this one.
    Below(String),
    /// Values up to and including this one.
    AtMost(String),
}

/// The direction in which a query reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest range value first.
    Ascending,
    /// Greatest range value first.
    Descending,
}

/// Where a page ended: the last item's key attributes and index attributes, as strings. Only the query that
/// made it understands it; it reaches clients as a signed cursor.
pub type Position = Map<String, Value>;

/// One page of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items, in order.
    pub items: Vec<Versioned>,
    /// Where to go on, when more may follow.
    pub next: Option<Position>,
}

/// Why a store did not do what it was asked, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The condition of `writes[write]` does not hold; nothing was written.
    Conflict { write: usize },
    /// The backend asks for patience; retry later.
    Throttled,
    /// The backend cannot be reached or did not answer in time; the outcome of a write is unknown.
    Unavailable,
    /// An item exceeds [`MAX_ITEM_BYTES`].
    TooLarge,
    /// What is stored cannot be understood.
    Corrupt,
    /// A mistake in the caller or the backend.
    Unexpected,
}

/// A failure of a [`Store`]: its kind for the caller, its detail for the log.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?}: {detail}")]
pub struct StoreError {
    /// What the caller can act on.
    pub kind: StoreErrorKind,
    /// What happened, for operators; holds no item content.
    pub detail: String,
    /// The backend's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// A failure without an underlying error.
    pub fn new(kind: StoreErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), source: None }
    }

    /// Adds the backend's own error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The failure of a condition.
    #[must_use]
    pub fn conflict(write: usize) -> Self {
        Self::new(StoreErrorKind::Conflict { write }, format!("the condition of write {write} does not hold"))
    }

    /// The write whose condition failed, if that is what happened.
    #[must_use]
    pub fn conflicting_write(&self) -> Option<usize> {
        match self.kind {
            StoreErrorKind::Conflict { write } => Some(write),
            _ => None,
        }
    }
}
