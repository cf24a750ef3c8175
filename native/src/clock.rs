//! The system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use portico_core::ports::clock::Clock;
use portico_core::time::Timestamp;

/// Tells the system's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        timestamp(SystemTime::now())
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(duration_ms)))
    }
}

/// The instant of a system's time, which may be before 1970 where a machine lost it.
fn timestamp(now: SystemTime) -> Timestamp {
    let millis = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
    };
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_machine_believes_is_a_time() {
        let at = |seconds| UNIX_EPOCH.checked_sub(Duration::from_secs(seconds)).unwrap();
        assert_eq!(timestamp(at(0)).as_millis(), 0);
        assert_eq!(timestamp(at(1)).as_millis(), -1000);
        assert_eq!(timestamp(at(2_208_988_800)).to_string(), "1900-01-01T00:00:00.000Z");
        let late = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX.unsigned_abs() / 2)).unwrap();
        assert_eq!(timestamp(late).as_millis(), i64::MAX);
        let early = UNIX_EPOCH.checked_sub(Duration::from_secs(i64::MAX.unsigned_abs() / 2)).unwrap();
        assert_eq!(timestamp(early).as_millis(), i64::MIN);
    }
}
