//! Logs and metrics.
//!
//! The log goes to standard error, a line for each event; a value can neither begin a line of its own nor move
//! the cursor. What is written goes through a queue, so that no request waits for a terminal.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::env::LogFormat;

/// Lines that may wait to be written; beyond them, writers wait.
const QUEUED_LINES: usize = 4096;

/// The upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Starts the log. What is still queued is written when the guard is dropped.
///
/// # Errors
/// When a log was started before.
pub fn start_log(format: Option<LogFormat>, level: LevelFilter) -> Result<WorkerGuard, TryInitError> {
    let on_terminal = io::stderr().is_terminal();
    let (queue, guard) =
        NonBlockingBuilder::default().lossy(false).buffered_lines_limit(QUEUED_LINES).finish(io::stderr());
    // Libraries only speak up when something is wrong.
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("portico", level);
    let layer = match format.unwrap_or(if on_terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(queue).boxed()
        }
        LogFormat::Text => {
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(OneLine(queue)).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()?;
    Ok(guard)
}

/// Serves metrics as Prometheus text at every path of the address.
///
/// # Errors
/// When the address cannot be bound, or metrics were started before.
pub fn start_metrics(address: SocketAddr) -> Result<(), BuildError> {
    PrometheusBuilder::new().set_buckets(&SECONDS)?.with_http_listener(address).install()
}

/// Makes writers that keep each event on its line.
struct OneLine<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = OneLineWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLineWriter(self.0.make_writer())
    }
}

/// Escapes control characters inside what is written at once, which is one event.
struct OneLineWriter<W>(W);

impl<W: Write> Write for OneLineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(&escape(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Escapes control characters but for the line's end. Without colours none is ever the subscriber's own; and those
/// of values it escapes only in part.
fn escape(event: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(event);
    let (line, end) = match text.strip_suffix('\n') {
        Some(line) => (line, "\n"),
        None => (&*text, ""),
    };
    let mut escaped = String::with_capacity(event.len());
    for char in line.chars() {
        if char.is_control() {
            escaped.extend(char.escape_default());
        } else {
            escaped.push(char);
        }
    }
    escaped.push_str(end);
    escaped.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Captured {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn log(text: &str, json: bool) -> String {
        let captured = Captured::default();
        let layer = if json {
            tracing_subscriber::fmt::layer().json().with_writer(captured.clone()).boxed()
        } else {
            tracing_subscriber::fmt::layer().with_ansi(false).with_writer(OneLine(captured.clone())).boxed()
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(displayed = %text, recorded = text, debugged = ?text, "message: {text}");
        });
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn l2_no_value_begins_a_line_or_moves_the_cursor() {
        for json in [false, true] {
            let line = log("a\nINFO forged\r\u{1b}[2J\u{7}\u{0}\u{9b}", json);
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(line.ends_with('\n'));
            let inside = line.trim_end_matches('\n');
            assert!(!inside.chars().any(|c| c.is_control() && !(json && c == '\u{9b}')), "{line:?}");
        }
    }
}
