//! The names that a deployment gives the tables.

use std::collections::BTreeMap;

use crate::schema::{TABLES, Table};

/// A name for each table of the schema: its own, unless renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableNames(BTreeMap<&'static str, String>);

impl TableNames {
    /// The names that a function gives; where it gives none, or an empty one, the schema's.
    pub fn from_fn(name: impl Fn(&'static Table) -> Option<String>) -> Self {
        let named = |table: &'static Table| {
            name(table).filter(|name| !name.is_empty()).map(|name| (table.name, name))
        };
        Self(TABLES.into_iter().filter_map(named).collect())
    }

    /// The name of a table.
    #[must_use]
    pub fn of(&self, table: &'static Table) -> &str {
        self.0.get(table.name).map_or(table.name, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{SESSIONS, USERS};

    #[test]
    fn a_table_keeps_its_name_unless_renamed() {
        let names = TableNames::from_fn(|table| match table.name {
            "users" => Some("prod-users".into()),
            "sessions" => Some(String::new()),
            _ => None,
        });
        assert_eq!(names.of(&USERS), "prod-users");
        assert_eq!(names.of(&SESSIONS), "sessions");
        assert_eq!(TableNames::default().of(&USERS), "users");
    }
}
