//! Reading: on connections of their own, in the caller's thread.
//!
//! A read takes microseconds from the page cache; handing it to another thread would take longer.

use std::path::Path;

use portico_core::{
    ports::store::{Item, Key, Order, Page, StoreError, StoreErrorKind, Version, Versioned},
    ports::store_index::{Place, Plan, is_expired},
    schema::Table,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::{
    connection::open_reader,
    error::store_error,
    rows::{check_key, corrupt, decode, note_damage, outline},
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
        self.row(key, |row| {
            let found = decode(key.table, row)?;
            Ok(is_there(key, &found.item, now)?.then_some(found))
        })
    }

    /// As [`Self::get`], but the text of the item.
    pub(super) fn get_text(
        &self,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<(String, Version)>, StoreError> {
        self.row(key, |row| {
            let (text, version, outline) = outline(key.table, row)?;
            Ok(is_there(key, &outline, now)?.then(|| (text.to_owned(), version)))
        })
    }

    /// Reads the row of a key, if there is one.
    fn row<T>(
        &self,
        key: &Key,
        read: impl FnOnce(&Row<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let statements = Statements::of(key.table)?;
        self.with(key.table, |connection| {
            let mut statement = connection.prepare_cached(&statements.get).map_err(store_error)?;
            let found = statement.query_row((&key.hash, &key.range), |row| Ok(read(row)));
            found.optional().map_err(store_error)?.unwrap_or(Ok(None))
        })
    }

    pub(super) fn query(&self, plan: &Plan<'_>, now: Timestamp) -> Result<Page, StoreError> {
        Statements::of(plan.table)?;
        let (sql, parameters) = select(plan);
        self.with(plan.table, |connection| {
            let mut statement = connection.prepare_cached(&sql).map_err(store_error)?;
            let mut rows = statement.query(params_from_iter(parameters)).map_err(store_error)?;
            let (mut page, mut passed_over, mut walk) = (Page::default(), 0, Walk::of(plan));
            while let Some(row) = rows.next().map_err(store_error)? {
                let stored = decode(plan.table, row)?;
                walk.step(&stored.item)?;
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

    fn with<T>(
        &self,
        table: &Table,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::new(StoreErrorKind::Unavailable, "the store is closed");
        let read = |connection: &Connection| read(connection).inspect_err(|error| note_damage(table, error));
        self.0.with(read).unwrap_or_else(|| Err(closed()))
    }
}

/// Whether an item, which must be the key's, has not expired.
fn is_there(key: &Key, item: &Item, now: Timestamp) -> Result<bool, StoreError> {
    check_key(key, item)?;
    Ok(!is_expired(key.table, item, now))
}

/// The items of a page, held to what was asked: a damaged index may lead anywhere.
struct Walk<'plan> {
    plan: &'plan Plan<'plan>,
    last: Option<Place>,
}

impl<'plan> Walk<'plan> {
    fn of(plan: &'plan Plan<'plan>) -> Self {
        Self { plan, last: plan.after.clone() }
    }

    /// Each item is one that the query asks for, and beyond the one before.
    fn step(&mut self, item: &Item) -> Result<(), StoreError> {
        let index = self.plan.index.map(|(index, _)| index);
        let place = Place::of(self.plan.table, index, item).filter(|_| self.plan.selects(item));
        let is_beyond = match (&place, &self.last) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(place), Some(last)) => match self.plan.order {
                Order::Ascending => place > last,
                Order::Descending => place < last,
            },
        };
        if !is_beyond {
            return Err(corrupt(self.plan.table, "an index leads to another item"));
        }
        self.last = place;
        Ok(())
    }
}
