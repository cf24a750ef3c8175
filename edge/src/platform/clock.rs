//! The runtime's clock. It stands still while nothing comes in from outside (against timing attacks).

use std::time::Duration;

use futures::future::BoxFuture;
use portico_core::ports::clock::Clock;
use portico_core::time::Timestamp;
use worker::send::SendFuture;
use worker::{Date, Delay};

/// `Date.now()` and `setTimeout`.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventClock;

impl Clock for EventClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(SendFuture::new(Delay::from(Duration::from_millis(duration_ms))))
    }
}
