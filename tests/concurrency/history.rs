//! What was asked and answered, and when: invocations and answers on one logical clock.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use portico_tests::client::Answer;

/// From when to when an operation took: it happened at some instant in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) invoked: u64,
    pub(crate) answered: u64,
}

impl Span {
    /// Whether the operation was over before another began.
    pub(crate) fn precedes(self, other: Self) -> bool {
        self.answered < other.invoked
    }
}

/// The operations of one run.
#[derive(Debug, Default)]
pub(crate) struct History {
    clock: AtomicU64,
    lines: Mutex<Vec<(Span, String)>>,
}

impl History {
    /// Does an operation, noting when.
    pub(crate) async fn timed<T>(&self, operation: impl Future<Output = T>) -> (T, Span) {
        let invoked = self.clock.fetch_add(1, Ordering::SeqCst);
        let outcome = operation.await;
        (outcome, Span { invoked, answered: self.clock.fetch_add(1, Ordering::SeqCst) })
    }

    /// Makes a request, noting when, what and how it was answered.
    pub(crate) async fn ask(&self, what: String, request: impl Future<Output = Answer>) -> (Answer, Span) {
        let (answer, span) = self.timed(request).await;
        self.note(span, format!("{what}: {} {}", answer.status, answer.code()));
        (answer, span)
    }

    /// Notes an operation.
    pub(crate) fn note(&self, span: Span, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push((span, line));
    }

    /// How many operations were noted.
    pub(crate) fn len(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lines.sort_by_key(|(span, _)| span.invoked);
        for (Span { invoked, answered }, line) in lines {
            writeln!(f, "{invoked:5} to {answered:5}  {line}")?;
        }
        Ok(())
    }
}
