//! The embedded store by itself, as the benches of the server's package measure it.

use std::path::Path;

use serde_json::Value;

use crate::growth::{cargo, run};
use crate::table::{Figure, Measured, Row, Target, Unit};

/// Runs the benches, and makes rows of what they leave in the target directory.
pub(crate) fn measure(target: &Path, quick: bool) -> Vec<Row> {
    eprintln!("store");
    let done = if quick { Err("left out by --quick".to_owned()) } else { bench() };
    let criterion = target.join("criterion");
    rows(&|name| {
        done.clone()?;
        median_ns(&criterion.join(name).join("new/estimates.json"))
    })
}

fn bench() -> Result<(), String> {
    let mut cargo = cargo();
    cargo.args(["bench", "--quiet", "--locked", "--package", "portico", "--no-default-features"]);
    cargo.args(["--bench", "store"]);
    run(cargo, "`cargo bench --package portico --bench store`")
}

/// Nanoseconds of the median, from a file of criterion's.
fn median_ns(file: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let estimates: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let median = estimates.pointer("/median/point_estimate").and_then(Value::as_f64);
    median.ok_or_else(|| format!("{} knows no median", file.display()))
}

fn rows(ns: &dyn Fn(&str) -> Result<f64, String>) -> Vec<Row> {
    let get = |users: &str| ns(&format!("get/{users}"));
    let key: Measured = get("1000000").map(|ns| Figure::new(ns / 1e3, "in process, the key drawn each time"));
    let growth: Measured = get("1000000").and_then(|many| {
        let few = get("10000")?;
        Ok(Figure::new(many / few, format!("{:.2} µs; {:.2} µs", many / 1e3, few / 1e3)))
    });
    let group: Measured = ns("group commit/32").and_then(|many| {
        let one = ns("group commit/1")?;
        Ok(Figure::new(one / many, format!("{:.0}/s; {:.0}/s", 1e9 / many, 1e9 / one)))
    });
    vec![
        Row {
            what: "embedded store: get by key, 1,000,000 users stored",
            measured: key,
            unit: Unit::Microseconds,
            target: Some(Target::AtMost(10.0)),
        },
        Row {
            what: "embedded store: the same, to that with 10,000 users",
            measured: growth,
            unit: Unit::Times,
            target: Some(Target::AtMost(2.0)),
        },
        Row {
            what: "embedded store: durable transactions of 32 callers, to those of one",
            measured: group,
            unit: Unit::Times,
            target: Some(Target::AtLeast(20.0)),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_criterion_leaves_makes_the_rows() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("estimates.json");
        let json =
            r#"{"mean":{"point_estimate":1.0},"median":{"confidence_interval":{},"point_estimate":8000.5}}"#;
        std::fs::write(&file, json).expect("a file");
        assert_eq!(median_ns(&file), Ok(8000.5));
        assert!(median_ns(&folder.path().join("absent")).is_err());
        let ns = |name: &str| match name {
            "get/1000000" => Ok(8000.0),
            "get/10000" => Ok(5000.0),
            "group commit/1" => Ok(1_000_000.0),
            _ => Err(format!("no {name}")),
        };
        let measured: Vec<_> =
            rows(&ns).into_iter().map(|row| row.measured.map(|figure| figure.value)).collect();
        assert_eq!(measured, [Ok(8.0), Ok(1.6), Err("no group commit/32".to_owned())]);
    }
}
