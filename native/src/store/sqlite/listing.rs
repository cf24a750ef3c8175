//! Reading a database file from beside its server, whole tables included: what commands do, and requests never.
//!
//! Each page is a read of its own, so that no log grows behind a command that takes hours.

use std::path::{Path, PathBuf};

use portico_core::{
    ports::{
        store::{Key, Version, Versioned},
        store_ext,
    },
    schema::Table,
};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::de::DeserializeOwned;

use super::{connection::open_reader, error::DatabaseError, migrate::known_version, schema::Statements};

/// Items that one read fetches.
const PAGE: usize = 500;

/// A database that is read, in use or not, and not changed.
#[derive(Debug)]
pub struct Listing {
    connection: Connection,
    file: PathBuf,
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
        known_version(&connection, file)?;
        Ok(Self { connection, file: file.to_owned() })
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
        let mut after = String::new();
        loop {
            let page = self.page(table, &after).map_err(DatabaseError::sqlite(&self.file))?;
            let Some((last, _, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (_, text, version) in page {
                visit(self.decode(&text, version)?)?;
            }
        }
    }

    /// Reads an item by its key.
    ///
    /// # Errors
    /// As [`Listing::each`].
    pub fn find<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, DatabaseError> {
        let statements = Statements::of(key.table).map_err(|error| self.damaged(&error))?;
        let read = self.connection.prepare_cached(&statements.get).and_then(|mut statement| {
            statement.query_row((&key.hash, &key.range), |row| Ok((row.get(0)?, row.get(1)?))).optional()
        });
        let found: Option<(String, i64)> = read.map_err(DatabaseError::sqlite(&self.file))?;
        found.map(|(text, version)| self.decode(&text, version)).transpose()
    }

    fn page(&self, table: &Table, after: &str) -> rusqlite::Result<Vec<(String, String, i64)>> {
        let (name, hash) = (table.name, table.hash);
        let sql = format!(
            "SELECT \"{hash}\", item, version FROM \"{name}\" WHERE \"{hash}\" > ?1 \
             ORDER BY \"{hash}\" LIMIT {PAGE}"
        );
        let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        self.connection.prepare_cached(&sql)?.query_map([after], columns)?.collect()
    }

    fn decode<T: DeserializeOwned>(&self, text: &str, version: i64) -> Result<T, DatabaseError> {
        let item = serde_json::from_str(text).map_err(|error| self.damaged(&error))?;
        let stored = Versioned { item, version: Version(version.cast_unsigned()) };
        store_ext::decode(stored).map(|stored| stored.value).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &dyn std::error::Error) -> DatabaseError {
        DatabaseError::Damaged { file: self.file.clone(), detail: error.to_string() }
    }
}
