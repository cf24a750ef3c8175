//! What was said in a conversation, with everything that differs by nature replaced by a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex::{Captures, Regex};
use serde_json::Value;

use crate::client::Answer;

/// Headers that differ between hosts for a reason, and are therefore left out.
const DIFFERING_HEADERS: [&str; 7] = [
    // The server's or platform's own.
    "date",
    "connection",
    // Follows from the body, which is compared; hosts may choose another framing.
    "content-length",
    "transfer-encoding",
    // Count down by real time.
    "ratelimit",
    "retry-after",
    // New for every request.
    "x-request-id",
];

/// The exchanges of one conversation, shared by everybody who takes part.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Transcript {
    /// Notes an exchange.
    pub fn record(&self, method: &str, path: &str, answer: &Answer) {
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| !DIFFERING_HEADERS.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        headers.sort();
        let body = match serde_json::from_slice(&answer.bytes) {
            Ok(body) => sort_devices(body).to_string(),
            Err(_) => answer.text(),
        };
        let line = format!("{method} {path}\n{}\n{}\n{body}", answer.status, headers.join("\n"));
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The exchanges, comparable between hosts: the n-th distinct id becomes `<id n>`, and so on.
    #[must_use]
    pub fn normalized(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = Names::default();
        lines.iter().map(|line| names.replace(line)).collect()
    }
}

/// Brings lists of devices, whose order is unspecified, into one that is the same on every host.
fn sort_devices(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sort_devices).collect();
            if items.iter().all(|item| item.get("uuid").is_some()) {
                items.sort_by_cached_key(|item| pattern().replace_all(&item.to_string(), "").into_owned());
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, sort_devices(value))).collect()
        }
        other => other,
    }
}

/// What differs by nature, in the order in which it is looked for.
fn pattern() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        Regex::new(concat!(
            r"(?P<access>eyJ[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+)",
            r"|(?P<refresh>[0-7][0-9A-HJKMNP-TV-Z]{25}\.[0-7][0-9A-HJKMNP-TV-Z]{25}\.[0-9]+\.[0-9A-Za-z_-]{43})",
            r"|(?P<cursor>[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{22})",
            r"|(?P<id>[0-7][0-9A-HJKMNP-TV-Z]{25})",
            r"|(?P<time>[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\.[0-9]{3}Z)",
            r#"|(?P<address>"ip":"[^"]*")"#,
            r"|(?P<key>[0-9A-Za-z_-]{342})",
            r#"|(?P<kid>"kid":"[0-9A-Za-z_-]{43}")"#,
            r"|(?P<base>http://127\.0\.0\.1:[0-9]+)",
        ))
        .expect("a constant pattern")
    })
}

#[derive(Default)]
struct Names {
    known: HashMap<String, String>,
}

impl Names {
    fn replace(&mut self, line: &str) -> String {
        pattern().replace_all(line, |found: &Captures<'_>| self.name(found)).into_owned()
    }

    fn name(&mut self, found: &Captures<'_>) -> String {
        let kind = pattern().capture_names().flatten().find(|kind| found.name(kind).is_some()).unwrap_or("");
        let text = found[0].to_owned();
        if kind != "id" {
            return format!("<{kind}>");
        }
        let next = self.known.len();
        self.known.entry(text).or_insert_with(|| format!("<id {next}>")).clone()
    }
}
