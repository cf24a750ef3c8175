//! The database's schema through time.

use std::path::Path;

use portico_core::schema::{TABLES, Table};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    connection::APPLICATION_ID,
    error::DatabaseError,
    schema::{create_table, generated_columns, indexes},
};

/// What leads from each schema version (`PRAGMA user_version`) to the next. Steps are only ever added.
///
/// Tables and indexes need none when the schema grows: what is missing is created at every opening, and an
/// older program is not disturbed by them.
const STEPS: &[fn(&Connection) -> rusqlite::Result<()>] = &[create_missing];

/// The version that this program writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings a database, also an empty one, to the present schema.
///
/// # Errors
/// `Newer` and `Damaged`, before anything is changed.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), DatabaseError> {
    let found = known_version(connection, file)?;
    let migrated =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            take_steps(&transaction, found)?;
            transaction.commit()
        });
    migrated.map_err(DatabaseError::sqlite(file))
}

/// The schema version of a database that this program can use.
pub(super) fn known_version(connection: &Connection, file: &Path) -> Result<usize, DatabaseError> {
    let (found, application, empty) = identity(connection).map_err(DatabaseError::sqlite(file))?;
    if !empty && application != APPLICATION_ID {
        let detail = "another application's database".to_owned();
        return Err(DatabaseError::Damaged { file: file.to_owned(), detail });
    }
    match usize::try_from(found) {
        Ok(steps) if steps <= STEPS.len() => Ok(steps),
        _ => Err(DatabaseError::Newer { file: file.to_owned(), found, known: VERSION }),
    }
}

/// Creates the tables, columns and indexes of the schema that the database lacks.
pub(super) fn create_missing(connection: &Connection) -> rusqlite::Result<()> {
    for table in TABLES {
        if !exists(connection, "table", table.name)? {
            connection.execute_batch(&create_table(table))?;
        }
        let present = columns(connection, table)?;
        for (name, sql) in generated_columns(table) {
            if !present.iter().any(|column| column == name) {
                connection.execute_batch(&sql)?;
            }
        }
        for (name, sql) in indexes(table) {
            if !exists(connection, "index", &name)? {
                connection.execute_batch(&sql)?;
            }
        }
    }
    Ok(())
}

fn take_steps(transaction: &Transaction<'_>, found: usize) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(found) {
        step(transaction)?;
    }
    create_missing(transaction)?;
    if found < STEPS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(())
}

/// The schema version, the application's mark, and whether the database holds nothing.
fn identity(connection: &Connection) -> rusqlite::Result<(i64, i64, bool)> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let entries: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((found, application, entries == 0))
}

fn exists(connection: &Connection, kind: &str, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2)";
    connection.prepare_cached(sql)?.query_row([kind, name], |row| row.get(0))
}

fn columns(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT name FROM pragma_table_xinfo(?1)")?;
    statement.query_map([table.name], |row| row.get(0))?.collect()
}
