//! Logs to the console, one object a line, which the platform keeps and searches.

use std::io::{self, Write};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use worker::console_log;

/// Begins to log. The platform adds the time.
pub(super) fn start() {
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).without_time().with_writer(Console);
    let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO).with(lines);
    // Of two instances in one isolate the second finds it done.
    let _was_set = tracing::subscriber::set_global_default(subscriber);
}

#[derive(Clone, Copy)]
struct Console;

impl<'a> MakeWriter<'a> for Console {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(Vec::new())
    }
}

/// One event, printed when it is whole.
struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        console_log!("{}", String::from_utf8_lossy(&self.0).trim_end());
    }
}
