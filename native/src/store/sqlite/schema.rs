//! The schema in SQL: what creates each table, and the statements that use it.
//!
//! A table has its key attributes as columns, the item's JSON text, its version and a checksum; the attributes that
//! indexes and expiry read are generated from the text and not stored (`VIRTUAL`), so that they cannot
//! disagree with it. Tables keep SQLite's rowid: with `WITHOUT ROWID`, items above a kilobyte overflow their
//! pages, and reads were measured at a third of the speed.

use std::sync::LazyLock;

use portico_core::{
    ports::store::{Order, RangeBound, StoreError, StoreErrorKind},
    ports::store_index::Plan,
    schema::{Index, TABLES, Table},
};

use super::rows::COLUMNS;

/// The statements of a table. Each takes the key as `?1` and `?2` (NULL if the table has no range).
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) table: &'static Table,
    /// Reads the [`COLUMNS`] of the item's row.
    pub(super) get: String,
    /// Reads the version, and whether the item has expired at second `?3`.
    pub(super) version: String,
    /// Stores text `?3`, version `?4` and checksum `?5`.
    pub(super) put: String,
    /// Removes the item.
    pub(super) delete: String,
    /// Removes row `?1`.
    pub(super) delete_row: String,
    /// Reads the [`COLUMNS`] of at most `?2` items that have expired at second `?1`, in tables whose items expire.
    pub(super) expired: Option<String>,
}

/// The statements of every table, in the order of the schema.
pub(super) static STATEMENTS: LazyLock<Vec<Statements>> =
    LazyLock::new(|| TABLES.iter().map(|table| Statements::new(table)).collect());

impl Statements {
    /// The statements of a table.
    pub(super) fn of(table: &'static Table) -> Result<&'static Self, StoreError> {
        STATEMENTS.iter().find(|statements| statements.table.name == table.name).ok_or_else(|| {
            StoreError::new(StoreErrorKind::Unexpected, format!("the schema has no table {}", table.name))
        })
    }

    fn new(table: &'static Table) -> Self {
        let (name, hash) = (quoted(table.name), quoted(table.hash));
        let (of_key, columns, values) = match table.range.map(quoted) {
            Some(range) => (format!("{hash} = ?1 AND {range} = ?2"), format!("{hash}, {range}"), "?1, ?2"),
            None => (format!("{hash} = ?1 AND ?2 IS NULL"), hash, "?1"),
        };
        let expired = table
            .expires
            .map_or("?3 IS NULL".to_owned(), |attribute| format!("coalesce({} <= ?3, 0)", quoted(attribute)));
        Self {
            table,
            get: format!("SELECT {COLUMNS} FROM {name} WHERE {of_key}"),
            version: format!("SELECT version, {expired} FROM {name} WHERE {of_key}"),
            put: format!(
                "INSERT INTO {name} ({columns}, item, version, checksum) VALUES ({values}, ?3, ?4, ?5) \
                 ON CONFLICT ({columns}) DO UPDATE \
                 SET item = excluded.item, version = excluded.version, checksum = excluded.checksum"
            ),
            delete: format!("DELETE FROM {name} WHERE {of_key}"),
            delete_row: format!("DELETE FROM {name} WHERE rowid = ?1"),
            expired: table.expires.map(|attribute| {
                format!(
                    "SELECT {COLUMNS} FROM {name} INDEXED BY {} WHERE {expires} <= ?1 ORDER BY {expires} LIMIT ?2",
                    quoted(&expiry_index(table)),
                    expires = quoted(attribute),
                )
            }),
        }
    }
}

/// The statement of a query, and its parameters.
pub(super) fn select<'plan>(plan: &'plan Plan<'_>) -> (String, Vec<&'plan str>) {
    let table = plan.table;
    let mut parameters = Vec::new();
    let mut parameter = |value: &'plan str| {
        parameters.push(value);
        "?"
    };
    let mut sql = format!("SELECT {COLUMNS} FROM {}", quoted(table.name));
    let mut conditions = Vec::new();
    if let Some((index, hash)) = plan.index {
        // Without it a wrong guess of SQLite's would read the whole table; with it, it would be an error.
        sql.push_str(&format!(" INDEXED BY {}", quoted(&index_name(table, index))));
        conditions.push(format!("{} = {}", quoted(index.hash), parameter(hash)));
    }
    let range = plan.index.and_then(|(index, _)| index.range);
    if let Some(range) = range {
        let column = quoted(range);
        match plan.bound {
            RangeBound::All => {}
            RangeBound::Below(bound) => conditions.push(format!("{column} < {}", parameter(bound))),
            RangeBound::AtMost(bound) => conditions.push(format!("{column} <= {}", parameter(bound))),
        }
        if !is_key(table, range) {
            // The index's own condition, without which it is not used.
            conditions.push(format!("{column} IS NOT NULL"));
        }
    }
    let range = range.filter(|range| !is_key(table, range));
    let place: Vec<String> = range.into_iter().chain(key_columns(table)).map(quoted).collect();
    let (beyond, direction) = match plan.order {
        Order::Ascending => (">", "ASC"),
        Order::Descending => ("<", "DESC"),
    };
    if let Some(after) = &plan.after {
        let values = [
            after.range.as_ref().filter(|_| range.is_some()),
            Some(&after.key_hash),
            after.key_range.as_ref(),
        ];
        let values: Vec<&str> = values.into_iter().flatten().map(|value| parameter(value)).collect();
        conditions.push(format!("({}) {beyond} ({})", place.join(", "), values.join(", ")));
    }
    if !conditions.is_empty() {
        sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
    }
    let order: Vec<String> = place.iter().map(|column| format!("{column} {direction}")).collect();
    sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
    (sql, parameters)
}

/// What creates a table, without its generated columns.
pub(super) fn create_table(table: &Table) -> String {
    let key: Vec<String> = key_columns(table).map(quoted).collect();
    let columns: Vec<String> = key.iter().map(|column| format!("{column} TEXT NOT NULL")).collect();
    format!(
        "CREATE TABLE {} ({}, item TEXT NOT NULL, version INTEGER NOT NULL, checksum INTEGER NOT NULL, \
         PRIMARY KEY ({})) STRICT",
        quoted(table.name),
        columns.join(", "),
        key.join(", ")
    )
}

/// The generated columns of a table: each one's name, and its definition.
pub(super) fn generated_columns(table: &'static Table) -> Vec<(&'static str, String)> {
    let mut columns: Vec<(&'static str, String)> = Vec::new();
    for name in table.indexes.iter().flat_map(|index| [Some(index.hash), index.range]).flatten() {
        if !is_key(table, name) && columns.iter().all(|(earlier, _)| *earlier != name) {
            let path = format!("'$.{}'", quoted(name));
            let value =
                format!("CASE json_type(item, {path}) WHEN 'text' THEN nullif(item ->> {path}, '') END");
            columns.push((name, generated(name, "TEXT", &value)));
        }
    }
    if let Some(name) = table.expires {
        let path = format!("'$.{}'", quoted(name));
        let value =
            format!("CASE WHEN json_type(item, {path}) IN ('integer', 'real') THEN item ->> {path} END");
        columns.push((name, generated(name, "ANY", &value)));
    }
    columns
}

/// The SQL indexes of a table: each one's name, and what creates it. They hold no item that lacks an
/// attribute, and end with the key, which orders what is otherwise equal.
pub(super) fn indexes(table: &'static Table) -> Vec<(String, String)> {
    let mut indexes = Vec::new();
    for index in table.indexes {
        let attributes: Vec<&str> = [Some(index.hash), index.range].into_iter().flatten().collect();
        let mut columns = attributes.clone();
        columns.extend(key_columns(table).filter(|key| !attributes.contains(key)));
        // Key columns are there always; SQLite would not recognise the condition in a query.
        let optional: Vec<&str> = attributes.into_iter().filter(|name| !is_key(table, name)).collect();
        indexes.push(create_index(table, index_name(table, index), &columns, &optional));
    }
    if let Some(attribute) = table.expires {
        indexes.push(create_index(table, expiry_index(table), &[attribute], &[attribute]));
    }
    indexes
}

fn generated(name: &str, kind: &str, value: &str) -> String {
    format!("{} {kind} GENERATED ALWAYS AS ({value}) VIRTUAL", quoted(name))
}

fn create_index(table: &Table, name: String, columns: &[&str], present: &[&str]) -> (String, String) {
    let columns: Vec<String> = columns.iter().copied().map(quoted).collect();
    let present: Vec<String> = present.iter().map(|name| format!("{} IS NOT NULL", quoted(name))).collect();
    let sql = format!(
        "CREATE INDEX {} ON {} ({}) WHERE {}",
        quoted(&name),
        quoted(table.name),
        columns.join(", "),
        present.join(" AND ")
    );
    (name, sql)
}

fn key_columns(table: &Table) -> impl Iterator<Item = &'static str> {
    [Some(table.hash), table.range].into_iter().flatten()
}

fn is_key(table: &Table, name: &str) -> bool {
    key_columns(table).any(|key| key == name)
}

/// Index names are unique in a whole SQLite database.
fn index_name(table: &Table, index: &Index) -> String {
    format!("{}/{}", table.name, index.name)
}

fn expiry_index(table: &Table) -> String {
    format!("{}/expiry", table.name)
}

/// An identifier; the schema's names hold no quotes.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use portico_core::ports::store::{Position, Query};
    use rusqlite::{Connection, params_from_iter};
    use serde_json::json;

    use super::super::migrate::create_missing;
    use super::*;

    /// How SQLite would run a query, in its own words.
    fn explained(connection: &Connection, query: &Query) -> String {
        let plan = Plan::of(query).unwrap();
        let (sql, parameters) = select(&plan);
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let details =
            statement.query_map(params_from_iter(parameters), |row| row.get::<_, String>(3)).unwrap();
        details.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    #[test]
    fn every_query_walks_its_index_and_sorts_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        create_missing(&connection).unwrap();
        for table in TABLES {
            for index in table.indexes {
                let mut position = Position::new();
                for name in key_columns(table).chain([index.hash]).chain(index.range) {
                    position.insert(name.to_owned(), json!("x"));
                }
                let query = Query::index(table, index.name, "x");
                let mut queries = vec![query.clone(), query.after(Some(position))];
                if index.range.is_some() {
                    let bounded = |query: &Query| query.clone().range(RangeBound::Below("y".into()));
                    queries.extend(queries.clone().iter().map(bounded));
                }
                for query in queries {
                    for query in [query.clone(), query.descending()] {
                        let plan = explained(&connection, &query);
                        assert!(plan.contains(&index_name(table, index)) && !plan.contains("TEMP"), "{plan}");
                        assert!(plan.starts_with("SEARCH"), "{plan}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_attribute_is_named_as_a_column_of_our_own() {
        for table in TABLES {
            let generated = generated_columns(table).into_iter().map(|(name, _)| name);
            for name in generated.chain(key_columns(table)).chain([table.name]) {
                assert!(
                    !["item", "version", "checksum", "rowid"].contains(&name) && !name.contains('"'),
                    "{name}"
                );
            }
        }
    }
}
