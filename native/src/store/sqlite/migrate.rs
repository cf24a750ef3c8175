//! The database's schema through time.

use std::path::Path;

use portico_core::schema::{TABLES, Table};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    connection::APPLICATION_ID,
    error::DatabaseError,
    rows::checksum,
    schema::{create_table, generated_columns, indexes},
};

/// What leads from each schema version (`PRAGMA user_version`) to the next. Steps are only ever added.
///
/// A schema that grows takes one too, which creates what is missing: at the present version that is damage, not youth.
const STEPS: &[fn(&Connection) -> rusqlite::Result<()>] = &[create_missing, add_checksums];

/// The version from which on rows have checksums.
pub(super) const CHECKSUMS: usize = 2;

/// Rows that one statement of a step reads.
const PAGE: usize = 500;

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
    migrated.map_err(DatabaseError::sqlite(file))?;
    match changed(connection).map_err(DatabaseError::sqlite(file))? {
        None => Ok(()),
        Some(name) => {
            let detail = format!("the schema of {name} is not what was written");
            Err(DatabaseError::Damaged { file: file.to_owned(), detail })
        }
    }
}

/// The table or index, if there is one, whose description is another: its columns would be read from other attributes.
fn changed(connection: &Connection) -> rusqlite::Result<Option<String>> {
    for table in TABLES {
        let stored = description(connection, "table", table.name)?;
        if generated_columns(table).iter().any(|(_, definition)| !stored.contains(definition.as_str())) {
            return Ok(Some(table.name.to_owned()));
        }
        for (name, sql) in indexes(table) {
            if description(connection, "index", &name)? != sql {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
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
        for (name, definition) in generated_columns(table) {
            if !present.iter().any(|column| column == name) {
                connection
                    .execute_batch(&format!("ALTER TABLE \"{}\" ADD COLUMN {definition}", table.name))?;
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

/// Gives every row its checksum.
fn add_checksums(connection: &Connection) -> rusqlite::Result<()> {
    create_missing(connection)?;
    for table in TABLES {
        if !columns(connection, table)?.iter().any(|column| column == "checksum") {
            let name = table.name;
            connection.execute_batch(&format!(
                "ALTER TABLE \"{name}\" ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0"
            ))?;
        }
        let mut after = i64::MIN;
        while let Some(last) = add_checksums_beyond(connection, table, after)? {
            after = last;
        }
    }
    Ok(())
}

/// Gives the rows of a page their checksums, and returns the last of them.
fn add_checksums_beyond(connection: &Connection, table: &Table, after: i64) -> rusqlite::Result<Option<i64>> {
    let name = table.name;
    let sql =
        format!("SELECT rowid, version, item FROM \"{name}\" WHERE rowid > ?1 ORDER BY rowid LIMIT {PAGE}");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map([after], |row| {
        let sum = checksum(table, row.get(1)?, row.get_ref(2)?.as_bytes()?);
        Ok((row.get(0)?, sum))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let mut update =
        connection.prepare_cached(&format!("UPDATE \"{name}\" SET checksum = ?2 WHERE rowid = ?1"))?;
    for row in &rows {
        update.execute(*row)?;
    }
    // In a damaged table the numbers may not grow; what is left out has no right checksum.
    Ok(rows.last().map(|(row, _)| *row).filter(|row| *row > after))
}

fn take_steps(transaction: &Transaction<'_>, found: usize) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(found) {
        step(transaction)?;
    }
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

fn description(connection: &Connection, kind: &str, name: &str) -> rusqlite::Result<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2";
    connection.prepare_cached(sql)?.query_row([kind, name], |row| row.get(0))
}

fn columns(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT name FROM pragma_table_xinfo(?1)")?;
    statement.query_map([table.name], |row| row.get(0))?.collect()
}
