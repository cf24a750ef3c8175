//! The table: what was measured, beside what is aimed at.

use std::fmt;

use serde::Serialize;

use crate::growth::Point;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// A ratio.
    #[serde(rename = "times")]
    Times,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Kibibytes.
    #[serde(rename = "KiB")]
    Kibibytes,
    /// Mebibytes.
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Calls to DynamoDB.
    #[serde(rename = "calls")]
    Calls,
}

/// Where a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// As much, or more.
    AtLeast(f64),
    /// As much, or less.
    AtMost(f64),
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    /// The figure that the target is for.
    pub(crate) value: f64,
    /// The figures that it comes from, for reading; they are this machine's alone.
    pub(crate) detail: String,
}

/// A figure, or why there is none.
pub(crate) type Measured = Result<Figure, String>;

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is measured.
    pub(crate) what: &'static str,
    /// What came out.
    pub(crate) measured: Measured,
    /// In what unit.
    pub(crate) unit: Unit,
    /// Where it should be.
    pub(crate) target: Option<Target>,
}

/// What was measured on which machine.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The machine, in words.
    pub(crate) machine: String,
    /// The lines.
    pub(crate) rows: Vec<Row>,
    /// How it grows, if that was measured.
    pub(crate) growth: Vec<Point>,
}

/// A row as JSON.
#[derive(Debug, Serialize)]
struct JsonRow<'row> {
    what: &'row str,
    value: Option<f64>,
    unit: Unit,
    target: Option<Target>,
    met: Option<bool>,
    detail: &'row str,
}

impl Figure {
    /// A figure and where it comes from.
    pub(crate) fn new(value: f64, detail: impl Into<String>) -> Self {
        Self { value, detail: detail.into() }
    }
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl Row {
    /// Whether it is where it should be; `None` without a figure or a target.
    fn is_met(&self) -> Option<bool> {
        let figure = self.measured.as_ref().ok()?;
        Some(self.target?.is_met_by(figure.value))
    }

    fn cells(&self) -> [String; 5] {
        let (measured, detail) = match &self.measured {
            Ok(figure) => (self.unit.show(figure.value), figure.detail.clone()),
            Err(reason) => ("–".to_owned(), reason.clone()),
        };
        let target = match self.target {
            Some(Target::AtLeast(least)) => format!("≥ {least} {}", self.unit.symbol()),
            Some(Target::AtMost(most)) => format!("≤ {most} {}", self.unit.symbol()),
            None => String::new(),
        };
        let met = match (self.is_met(), self.target) {
            (Some(true), _) => "yes",
            (Some(false), _) => "**no**",
            (None, Some(_)) => "not measured",
            (None, None) => "",
        };
        // A reason may be a program's, of several lines.
        let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/");
        [self.what.to_owned(), measured, target, met.to_owned(), detail]
    }

    fn json(&self) -> JsonRow<'_> {
        let (value, detail) = match &self.measured {
            Ok(figure) => (Some(figure.value), &figure.detail),
            Err(reason) => (None, reason),
        };
        JsonRow {
            what: self.what,
            value: value.filter(|value| value.is_finite()),
            unit: self.unit,
            target: self.target,
            met: self.is_met(),
            detail,
        }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        let digits = match value.abs() {
            0.0..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        format!("{value:.digits$} {}", self.symbol())
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Times => "×",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Kibibytes => "KiB",
            Self::Mebibytes => "MiB",
            Self::Calls => "calls",
        }
    }
}

impl Table {
    /// The same as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        serde_json::json!({ "machine": self.machine, "rows": rows, "growth": self.growth })
    }
}

impl fmt::Display for Table {
    /// As Markdown whose columns stand below one another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = ["what", "measured", "target", "met", "from"].map(str::to_owned);
        let cells: Vec<_> = [heading].into_iter().chain(self.rows.iter().map(Row::cells)).collect();
        writeln!(f, "{}\n", self.machine)?;
        write_table(f, &cells)?;
        if self.growth.is_empty() {
            return Ok(());
        }
        let heading =
            ["users stored", "start", "read p50", "p99", "refresh p50", "p99", "memory", "database"];
        let cells: Vec<_> =
            [heading.map(str::to_owned)].into_iter().chain(self.growth.iter().map(growth_cells)).collect();
        writeln!(f)?;
        write_table(f, &cells)
    }
}

fn growth_cells(point: &Point) -> [String; 8] {
    let ms = |value| Unit::Milliseconds.show(value);
    let mib = |value| Unit::Mebibytes.show(value);
    [
        point.users.to_string(),
        ms(point.start_ms),
        ms(point.read_p50_ms),
        ms(point.read_p99_ms),
        ms(point.refresh_p50_ms),
        ms(point.refresh_p99_ms),
        mib(point.resident_mib),
        mib(point.file_mib),
    ]
}

/// Writes cells of which the first row is the heading. The last column is not padded: nothing follows it.
fn write_table<const COLUMNS: usize>(f: &mut fmt::Formatter<'_>, cells: &[[String; COLUMNS]]) -> fmt::Result {
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| if column + 1 < COLUMNS { width(column) } else { 0 });
    for (index, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(widths) {
            write!(f, "| {cell:width$} ")?;
        }
        writeln!(f, "|")?;
        if index == 0 {
            writeln!(f, "|{}", widths.map(|width| "-".repeat(width.max(1) + 2) + "|").concat())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |what, measured, target| Row { what, measured, unit: Unit::Times, target };
        Table {
            machine: "2 cores".to_owned(),
            rows: vec![
                row("fast", Ok(Figure::new(0.8512, "1 | 2")), Some(Target::AtLeast(0.85))),
                row("slow", Ok(Figure::new(123.4, "")), Some(Target::AtMost(3.0))),
                row("absent", Err("no\n such  program".to_owned()), Some(Target::AtLeast(10.0))),
                row("free", Ok(Figure::new(f64::INFINITY, "0")), None),
            ],
            growth: Vec::new(),
        }
    }

    #[test]
    fn it_reads_as_a_table() {
        let expected = "\
2 cores

| what   | measured | target   | met          | from |
|--------|----------|----------|--------------|---|
| fast   | 0.85 ×   | ≥ 0.85 × | yes          | 1 / 2 |
| slow   | 123 ×    | ≤ 3 ×    | **no**       |  |
| absent | –        | ≥ 10 ×   | not measured | no such program |
| free   | inf ×    |          |              | 0 |
";
        assert_eq!(table().to_string(), expected);
    }

    #[test]
    fn the_json_says_the_same() {
        let json = table().json();
        assert_eq!(json["machine"], "2 cores");
        let expected = serde_json::json!({
            "what": "fast", "value": 0.8512, "unit": "times", "target": { "at_least": 0.85 }, "met": true, "detail": "1 | 2",
        });
        assert_eq!(json["rows"][0], expected);
        assert_eq!(json["rows"][1]["met"], false);
        assert_eq!(json["rows"][2]["value"], serde_json::Value::Null);
        assert_eq!(json["rows"][2]["met"], serde_json::Value::Null);
        assert_eq!(json["rows"][2]["detail"], "no\n such  program");
        // JSON has no infinity.
        assert_eq!(json["rows"][3]["value"], serde_json::Value::Null);
    }

    #[test]
    fn a_target_is_met_at_its_very_bound() {
        assert!(Target::AtLeast(2.0).is_met_by(2.0) && !Target::AtLeast(2.0).is_met_by(1.999));
        assert!(Target::AtMost(2.0).is_met_by(2.0) && !Target::AtMost(2.0).is_met_by(2.001));
        assert!(!Target::AtLeast(0.0).is_met_by(f64::NAN), "what is no number meets nothing");
    }
}
