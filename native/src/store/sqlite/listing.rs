//! Reading a database file from beside its server, whole tables included: what commands do, and requests never.
//!
//! Each page is a read of its own, so that no log grows behind a command that takes hours.

use std::fmt;
use std::path::{Path, PathBuf};

use portico_core::{
    ports::{
        store::{Key, StoreError, Versioned},
        store_ext,
    },
    schema::{TABLES, Table},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use serde::de::DeserializeOwned;

use super::{
    connection::open_reader,
    error::DatabaseError,
    migrate::{CHECKSUMS, known_version},
    rows::{COLUMNS, UNCHECKED_COLUMNS, check_key, decode, note_damage},
};

/// Items that one read fetches.
const PAGE: usize = 500;

/// A database that is read, in use or not, and not changed.
#[derive(Debug)]
pub struct Listing {
    connection: Connection,
    file: PathBuf,
    /// What is read of each row.
    columns: &'static str,
}

impl Listing {
    /// Opens a database file.
    ///
    /// # Errors
    /// `Io` when there is none, `Newer`, `Damaged`, `Sqlite`.
    pub fn open(file: &Path) -> Result<Self, DatabaseError> {
        // Else SQLite would only say that it is "unable to open database file".
        std::fs::metadata(file).map_err(DatabaseError::io(file))?;
        let connection = open_reader(file).map_err(DatabaseError::sqlite(file))?;
        let columns = if known_version(&connection, file)? < CHECKSUMS { UNCHECKED_COLUMNS } else { COLUMNS };
        Ok(Self { connection, file: file.to_owned(), columns })
    }

    /// Visits every item of a table whose key has no range, in the order of the keys, until a visit fails.
    ///
    /// # Behavior
    /// An item that is there all the while is visited once; one that comes or goes meanwhile may be.
    ///
    /// # Errors
    /// `Damaged` for what cannot be read, and the visit's own.
    pub fn each<T: DeserializeOwned, E: From<DatabaseError>>(
        &self,
        table: &'static Table,
        mut visit: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let (columns, name, hash) = (self.columns, table.name, table.hash);
        let sql = format!(
            "SELECT {columns}, \"{hash}\" FROM \"{name}\" WHERE \"{hash}\" > ?1 ORDER BY \"{hash}\" LIMIT {PAGE}"
        );
        let mut after = String::new();
        loop {
            let page: Vec<(String, _)> =
                self.page(&sql, &after, |row| Ok((row.get(4)?, decode(table, row))))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = self.beyond(last.clone(), after)?;
            for (hash, stored) in page {
                let stored = stored.and_then(|stored| {
                    check_key(&Key::new(table, hash), &stored.item)?;
                    store_ext::decode(stored)
                });
                visit(stored.map_err(|error| self.damaged(table, &error))?.value)?;
            }
        }
    }

    /// Reads an item by its key.
    ///
    /// # Errors
    /// As [`Listing::each`].
    pub fn find<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, DatabaseError> {
        let Some(stored) = self.get(key)? else { return Ok(None) };
        let decoded = store_ext::decode(stored).map(|stored| Some(stored.value));
        decoded.map_err(|error| self.damaged(key.table, &error))
    }

    /// Reads every row of every table, by whatever way does not rest on an index, and returns what is wrong with those
    /// that are damaged, table by table.
    ///
    /// # Errors
    /// `Damaged` when even that way is.
    pub fn damage(&self) -> Result<Vec<TableDamage>, DatabaseError> {
        let damage = TABLES.iter().map(|table| self.damage_of(table));
        let damage = damage.collect::<Result<Vec<_>, _>>()?;
        Ok(damage.into_iter().filter(|damage| damage.rows > 0).collect())
    }

    fn damage_of(&self, table: &'static Table) -> Result<TableDamage, DatabaseError> {
        let sql = format!(
            "SELECT {} FROM \"{}\" WHERE rowid > ?1 ORDER BY rowid LIMIT {PAGE}",
            self.columns, table.name
        );
        let (mut damage, mut after) = (TableDamage { table: table.name, rows: 0, first: 0 }, i64::MIN);
        loop {
            let page: Vec<(i64, bool)> =
                self.page(&sql, after, |row| Ok((row.get(3)?, self.is_sound(table, row))))?;
            let Some((last, _)) = page.last() else { return Ok(damage) };
            after = self.beyond(*last, after)?;
            for (row, _) in page.iter().filter(|(_, sound)| !sound) {
                damage.first = if damage.rows == 0 { *row } else { damage.first };
                damage.rows += 1;
            }
        }
    }

    /// A damaged tree may lead in a circle.
    fn beyond<K: PartialOrd>(&self, last: K, before: K) -> Result<K, DatabaseError> {
        if last > before {
            return Ok(last);
        }
        Err(DatabaseError::Damaged { file: self.file.clone(), detail: "its rows are in no order".to_owned() })
    }

    fn is_sound(&self, table: &'static Table, row: &Row<'_>) -> bool {
        decode(table, row).is_ok_and(|stored| Key::of(table, &stored.item).is_some())
    }

    fn get(&self, key: &Key) -> Result<Option<Versioned>, DatabaseError> {
        let table = key.table;
        let range = table.range.map_or("NULL".to_owned(), |range| format!("\"{range}\""));
        let sql = format!(
            "SELECT {} FROM \"{}\" WHERE \"{}\" = ?1 AND {range} IS ?2",
            self.columns, table.name, table.hash
        );
        let read = self.connection.prepare_cached(&sql).and_then(|mut statement| {
            statement.query_row((&key.hash, &key.range), |row| Ok(decode(table, row))).optional()
        });
        let found = read.map_err(DatabaseError::sqlite(&self.file))?.transpose();
        found.map_err(|error| self.damaged(table, &error))
    }

    fn page<T>(
        &self,
        sql: &str,
        after: impl ToSql,
        columns: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DatabaseError> {
        let read = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map([after], columns)?.collect());
        read.map_err(DatabaseError::sqlite(&self.file))
    }

    fn damaged(&self, table: &Table, error: &StoreError) -> DatabaseError {
        note_damage(table, error);
        DatabaseError::Damaged { file: self.file.clone(), detail: error.detail.clone() }
    }
}

/// Rows of a table that are not what was written.
#[derive(Debug)]
pub struct TableDamage {
    /// The table.
    pub table: &'static str,
    /// How many they are.
    pub rows: u64,
    /// The number of the first of them.
    pub first: i64,
}

impl fmt::Display for TableDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: {} damaged, the first is row {}", self.table, self.rows, self.first)
    }
}
