//! Reading: on connections of their own, in the caller's thread.
//!
//! A read takes microseconds from the page cache; handing it to another thread would take longer.

use std::path::Path;

use portico_core::{
    ports::store::{Item, Key, Page, StoreError, StoreErrorKind, Version, Versioned},
    ports::store_index::{Plan, is_expired},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::{
    connection::open_reader,
    error::store_error,
    schema::{Statements, select},
};
use crate::{pool::Pool, sync::thread};

/// Expired items that one page passes over before it ends early; the position lets the next one go on.
const PASSED_OVER: usize = 1000;

/// A pool of connections that only read.
#[derive(Debug)]
pub(super) struct Readers(Pool<Connection>);

impl Readers {
    /// Opens a connection for each processor: more reads than that do not run at a time.
    pub(super) fn open(file: &Path) -> rusqlite::Result<Self> {
        let count = thread::available_parallelism().map_or(4, usize::from).clamp(2, 32);
        let connections = (0..count).map(|_| open_reader(file));
        Ok(Self(Pool::new(connections.collect::<rusqlite::Result<Vec<_>>>()?)))
    }

    /// Closes every connection; reads fail from now on.
    pub(super) fn close(&self) {
        self.0.close();
    }

    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
        let statements = Statements::of(key.table)?;
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&statements.get).map_err(store_error)?;
            let found = statement.query_row((&key.hash, &key.range), |row| Ok(versioned(row)));
            let found = found.optional().map_err(store_error)?.transpose()?;
            Ok(found.filter(|stored| !is_expired(key.table, &stored.item, now)))
        })
    }

    pub(super) fn query(&self, plan: &Plan<'_>, now: Timestamp) -> Result<Page, StoreError> {
        Statements::of(plan.table)?;
        let (sql, parameters) = select(plan);
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&sql).map_err(store_error)?;
            let mut rows = statement.query(params_from_iter(parameters)).map_err(store_error)?;
            let (mut page, mut passed_over) = (Page::default(), 0);
            while let Some(row) = rows.next().map_err(store_error)? {
                let stored = versioned(row)?;
                let expired = is_expired(plan.table, &stored.item, now);
                passed_over += usize::from(expired);
                let count = page.items.len() + usize::from(!expired);
                let ended = (count == plan.limit || passed_over == PASSED_OVER)
                    .then(|| plan.position_of(&stored.item));
                if !expired {
                    page.items.push(stored);
                }
                if let Some(position) = ended {
                    page.next = rows.next().map_err(store_error)?.map(|_| position);
                    break;
                }
            }
            Ok(page)
        })
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let closed = || StoreError::new(StoreErrorKind::Unavailable, "the store is closed");
        self.0.with(read).unwrap_or_else(|| Err(closed()))
    }
}

fn versioned(row: &Row<'_>) -> Result<Versioned, StoreError> {
    let corrupt = |detail| StoreError::new(StoreErrorKind::Corrupt, detail);
    let version: i64 = row.get(1).map_err(store_error)?;
    let text = row
        .get_ref(0)
        .map_err(store_error)?
        .as_bytes()
        .map_err(|error| corrupt("an item is no text").caused_by(error))?;
    let item: Item = serde_json::from_slice(text)
        .map_err(|error| corrupt("an item is no JSON object").caused_by(error))?;
    Ok(Versioned { item, version: Version(version.cast_unsigned()) })
}
