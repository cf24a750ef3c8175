//! The documentation of the configuration against the code that reads it.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::collections::BTreeMap;

use portico_core::config::VARIABLES;

const CONFIGURATION: &str = include_str!("../../docs/configuration.md");

/// What a cell of a table holds: code, or a dash for nothing.
fn code(cell: &str) -> Option<&str> {
    match cell.trim() {
        "–" => Some(""),
        cell => cell.strip_prefix('`')?.strip_suffix('`'),
    }
}

#[test]
fn every_variable_is_documented_once_with_its_default_and_no_other_is() {
    let rows: Vec<_> = CONFIGURATION
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            let (default, _) = rest.split_once(" |").unwrap();
            (name, code(default).unwrap_or_else(|| panic!("{name}: {default} is neither code nor a dash")))
        })
        .collect();
    let documented: BTreeMap<_, _> = rows.iter().copied().collect();
    assert_eq!(documented.len(), rows.len(), "a variable is documented twice");
    let wanted: BTreeMap<_, _> = VARIABLES.iter().map(|variable| (variable.name, variable.default)).collect();
    assert_eq!(documented, wanted);
}
