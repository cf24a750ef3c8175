//! What repositories use of a [`Store`], derived from its three methods: typed items and whole lists.

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::store::{
    Condition, Item, Key, MAX_ITEM_BYTES, MAX_WRITES, Page, Query, Raw, Store, StoreError, StoreErrorKind,
    Version, Versioned, Write,
};

/// A value read from the store, with the version it was read at.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// Its version, for [`Condition::At`].
    pub version: Version,
}

impl<T> Stored<T> {
    /// The condition under which the value is still the stored one.
    #[must_use]
    pub fn unchanged(&self) -> Condition {
        Condition::At(self.version)
    }
}

/// Conveniences over every [`Store`].
#[async_trait]
pub trait StoreExt: Store {
    /// Reads a value by key.
    async fn find<T: DeserializeOwned + Send>(&self, key: &Key) -> Result<Option<Stored<T>>, StoreError> {
        self.get_raw(key).await?.map(decode_raw).transpose()
    }

    /// Reads the whole of a query, page by page. Only for lists that are small by nature.
    async fn query_all(&self, query: Query) -> Result<Vec<Versioned>, StoreError> {
        let (mut query, mut items) = (query, Vec::new());
        loop {
            let page = self.query(&query).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Applies one write.
    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.transact(std::slice::from_ref(&write)).await
    }

    /// Applies every write or none, and if the answer is lost, looks whether it did.
    ///
    /// # Behavior
    /// `witness` is a key that one of the writes makes and nobody else ever does, so that its being there is proof. Its
    /// absence is none: the outcome stays unknown then.
    ///
    /// # Errors
    /// As [`Store::transact`].
    async fn transact_witnessed(&self, writes: &[Write], witness: &Key) -> Result<(), StoreError> {
        match self.transact(writes).await {
            Err(error) if error.kind == StoreErrorKind::Unavailable => match self.get(witness).await {
                Ok(Some(_)) => Ok(()),
                _ => Err(error),
            },
            outcome => outcome,
        }
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

/// Reads a value from an item.
///
/// # Errors
/// `Corrupt` when the item does not have the value's shape.
pub fn decode<T: DeserializeOwned>(stored: Versioned) -> Result<Stored<T>, StoreError> {
    let Versioned { item, version } = stored;
    serde_json::from_value(Value::Object(item)).map(|value| Stored { value, version }).map_err(misshapen)
}

fn decode_raw<T: DeserializeOwned>(stored: Raw) -> Result<Stored<T>, StoreError> {
    match stored {
        Raw::Item(stored) => decode(stored),
        #[cfg(feature = "text")]
        Raw::Text(text, version) => {
            serde_json::from_str(&text).map(|value| Stored { value, version }).map_err(misshapen)
        }
    }
}

fn misshapen(error: serde_json::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "a stored item has another shape").caused_by(error)
}

/// Reads the values of a page.
///
/// # Errors
/// `Corrupt` as [`decode`].
pub fn decode_page<T: DeserializeOwned>(page: Page) -> Result<Vec<Stored<T>>, StoreError> {
    page.items.into_iter().map(decode).collect()
}

/// Makes an item of a value.
///
/// # Errors
/// `Unexpected` when the value does not serialise to a JSON object.
pub fn encode<T: Serialize>(value: &T) -> Result<Item, StoreError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(item)) => Ok(item),
        Ok(_) => Err(StoreError::new(StoreErrorKind::Unexpected, "an item must be an object")),
        Err(error) => {
            Err(StoreError::new(StoreErrorKind::Unexpected, "a value does not serialise").caused_by(error))
        }
    }
}

/// A [`Write::Put`] of a value.
///
/// # Errors
/// As [`encode`].
pub fn put<T: Serialize>(key: Key, value: &T, when: Condition) -> Result<Write, StoreError> {
    Ok(Write::Put { key, item: encode(value)?, when })
}

/// Refuses what no store accepts: too many writes, one key twice, items that are too large or that
/// contradict their key. Every backend calls it first.
///
/// # Errors
/// `TooLarge` and `Unexpected`, as [`Store::transact`].
pub fn check_writes(writes: &[Write]) -> Result<(), StoreError> {
    let unexpected = |detail: String| Err(StoreError::new(StoreErrorKind::Unexpected, detail));
    if writes.len() > MAX_WRITES {
        return unexpected(format!("{} writes in one transaction, at most {MAX_WRITES}", writes.len()));
    }
    for (index, write) in writes.iter().enumerate() {
        let key = write.key();
        if key.hash.is_empty()
            || key.range.as_deref() == Some("")
            || key.range.is_some() != key.table.range.is_some()
        {
            return unexpected(format!("write {index}: not a key of table {}", key.table.name));
        }
        if writes[..index].iter().any(|earlier| earlier.key() == key) {
            return unexpected(format!("write {index}: a key twice in one transaction"));
        }
        if let Write::Put { item, .. } = write {
            if Key::of(key.table, item).as_ref() != Some(key) {
                return unexpected(format!("write {index}: the item's attributes are not its key"));
            }
            if serialized_len(item) > MAX_ITEM_BYTES {
                return Err(StoreError::new(
                    StoreErrorKind::TooLarge,
                    format!("write {index}: an item above {MAX_ITEM_BYTES} bytes"),
                ));
            }
        }
    }
    Ok(())
}

/// The length of an item's JSON text in bytes.
fn serialized_len(item: &Item) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, item) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// A transaction in the making: writes, each with what it means if its condition does not hold.
#[derive(Debug)]
pub struct Transaction<L> {
    writes: Vec<Write>,
    labels: Vec<L>,
    witness: Option<Key>,
}

impl<L> Default for Transaction<L> {
    fn default() -> Self {
        Self { writes: Vec::new(), labels: Vec::new(), witness: None }
    }
}

impl<L: Copy> Transaction<L> {
    /// An empty transaction.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put<T: Serialize>(
        &mut self,
        key: Key,
        value: &T,
        when: Condition,
        otherwise: L,
    ) -> Result<&mut Self, StoreError> {
        Ok(self.push(put(key, value, when)?, otherwise))
    }

    /// Removes an item.
    pub fn delete(&mut self, key: Key, when: Condition, otherwise: L) -> &mut Self {
        self.push(Write::Delete { key, when }, otherwise)
    }

    /// Requires a condition.
    pub fn check(&mut self, key: Key, when: Condition, otherwise: L) -> &mut Self {
        self.push(Write::Check { key, when }, otherwise)
    }

    /// Adds a write.
    pub fn push(&mut self, write: Write, otherwise: L) -> &mut Self {
        self.writes.push(write);
        self.labels.push(otherwise);
        self
    }

    /// Names the key by which [`StoreExt::transact_witnessed`] tells that the transaction was applied.
    pub fn witness(&mut self, key: Key) -> &mut Self {
        self.witness = Some(key);
        self
    }

    /// Applies every write or none.
    ///
    /// # Errors
    /// The outer error is the store's. The inner one is the label of the write whose condition did not hold.
    pub async fn commit<S: Store + ?Sized>(&self, store: &S) -> Result<Result<(), L>, StoreError> {
        let outcome = match &self.witness {
            Some(witness) => store.transact_witnessed(&self.writes, witness).await,
            None => store.transact(&self.writes).await,
        };
        match outcome {
            Ok(()) => Ok(Ok(())),
            Err(error) => match error.conflicting_write().and_then(|write| self.labels.get(write)) {
                Some(label) => Ok(Err(*label)),
                None => Err(error),
            },
        }
    }
}
