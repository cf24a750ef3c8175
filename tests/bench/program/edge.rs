//! What the Worker weighs and costs, as `edge/budgets.sh` measures it in the runtime that it is made for.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::table::{Figure, Measured, Row, Target, Unit};

/// Names the folder of a built Worker, instead of building one.
const WORKER: &str = "PORTICO_WORKER";

/// Runs the script of the working copy, and makes rows of what it says; rounds take so many seconds each.
pub(crate) fn measure(root: &Path, seconds: f64) -> Vec<Row> {
    eprintln!("edge");
    rows(&run(root, seconds))
}

fn run(root: &Path, seconds: f64) -> Result<Value, String> {
    let script = root.join("edge/budgets.sh");
    let mut command = Command::new(&script);
    command.args(["--json", "--seconds", &seconds.to_string()]).stderr(Stdio::inherit());
    if let Some(worker) = std::env::var_os(WORKER) {
        command.arg("--worker").arg(worker);
    }
    let output = command.output().map_err(|error| format!("{}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(
            "edge/budgets.sh fails: it says why above; edge/setup.sh installs what it needs".to_owned()
        );
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("edge/budgets.sh prints no JSON: {error}"))
}

fn rows(measured: &Result<Value, String>) -> Vec<Row> {
    let row = |what, unit, target, figure: &dyn Fn(&Value) -> Option<Figure>| {
        let measured: Measured = match measured {
            Ok(json) => figure(json).ok_or_else(|| "edge/budgets.sh does not say".to_owned()),
            Err(error) => Err(error.clone()),
        };
        Row { what, measured, unit, target }
    };
    let most = |value| Some(Target::AtMost(value));
    let kib = |pointer: &'static str| move |json: &Value| Some(Figure::new(at(json, pointer)? / 1024.0, ""));
    // What the runtime takes for any Worker is not this one's.
    let cpu = |pointer: &'static str| {
        move |json: &Value| {
            let (whole, empty) = (at(json, pointer)?, at(json, "/emptyPing/cpuMs")?);
            Some(Figure::new(
                whole - empty,
                format!("{whole:.2} ms, less {empty:.2} ms of an empty Worker's"),
            ))
        }
    };
    let calls = |pointer: &'static str| move |json: &Value| Some(Figure::new(at(json, pointer)?, ""));
    vec![
        row("edge: WASM", Unit::Kibibytes, None, &kib("/size/wasm/raw")),
        row("edge: WASM, gzip", Unit::Kibibytes, most(600.0), &kib("/size/wasm/gzip")),
        row(
            "edge: CPU of an authenticated read",
            Unit::Milliseconds,
            most(1.5),
            &cpu("/each/authenticatedRead/cpuMs"),
        ),
        row("edge: CPU of a refresh", Unit::Milliseconds, most(3.0), &cpu("/each/refresh/cpuMs")),
        row(
            "edge: an authenticated read's calls to DynamoDB",
            Unit::Calls,
            most(2.0),
            &calls("/each/authenticatedRead/calls"),
        ),
        row("edge: a refresh's calls to DynamoDB", Unit::Calls, most(3.0), &calls("/each/refresh/calls")),
        row(
            "edge: start to first answer, more than an empty JavaScript Worker's",
            Unit::Milliseconds,
            most(30.0),
            &|json| {
                let (ours, empty) = (at(json, "/startMs")?, at(json, "/emptyStartMs")?);
                Some(Figure::new(ours - empty, format!("{ours:.0} ms; {empty:.0} ms")))
            },
        ),
        row(
            "edge: pings per second, to those of an empty JavaScript Worker",
            Unit::Times,
            Some(Target::AtLeast(0.6)),
            &|json| {
                let (ours, empty) = (at(json, "/ping/perSecond")?, at(json, "/emptyPing/perSecond")?);
                Some(Figure::new(ours / empty, format!("{ours:.0}/s; {empty:.0}/s")))
            },
        ),
    ]
}

fn at(json: &Value, pointer: &str) -> Option<f64> {
    json.pointer(pointer)?.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn its_json_makes_the_rows() {
        let json = json!({
            "size": { "wasm": { "raw": 2048, "gzip": 1024 }, "js": { "raw": 1, "gzip": 1 } },
            "startMs": 75.0, "emptyStartMs": 50.0,
            "ping": { "perSecond": 700.0, "cpuMs": 0.2 }, "emptyPing": { "perSecond": 1000.0, "cpuMs": 0.1 },
            "each": { "authenticatedRead": { "cpuMs": 1.1, "calls": 2 }, "refresh": { "cpuMs": 2.1, "calls": 3 } },
        });
        let values: Vec<f64> =
            rows(&Ok(json)).into_iter().map(|row| row.measured.expect("a figure").value).collect();
        assert_eq!(values, [2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 25.0, 0.7]);
        assert!(rows(&Ok(json!({}))).iter().all(|row| row.measured.is_err()));
        assert!(rows(&Err("why".to_owned())).iter().all(|row| row.measured == Err("why".to_owned())));
    }
}
