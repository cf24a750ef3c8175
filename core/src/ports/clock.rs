//! The time, from outside.

use std::fmt;

use crate::time::Timestamp;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present instant. May step, in either direction; nothing may rely on its being monotonic.
    fn now(&self) -> Timestamp;
}
