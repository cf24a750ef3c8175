//! Failed sign-ins: counted in the store, per account and source, so that every instance counts alike.
//!
//! After [`FREE_FAILURES`] within [`WINDOW_SECONDS`] a source waits, ever longer, while others may still sign in; after
//! [`MAX_CONSECUTIVE`] in a row everybody waits whose device is not already the owner's. Accounts that do not exist are
//! counted like those that do.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::App;
use crate::auth::mac;
use crate::devices::model::DeviceUuid;
use crate::devices::repo as devices;
use crate::error::Error;
use crate::http::client::Client;
use crate::http::client_addr::source_key;
use crate::ports::store::{Condition, Key};
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::schema::COUNTERS;
use crate::time::Timestamp;
use base16ct::lower::encode_string as hex;

/// Failures of one source that cost it nothing.
pub const FREE_FAILURES: u32 = 10;
/// Within how many seconds they are counted together.
pub const WINDOW_SECONDS: i64 = 15 * 60;
/// Failures in a row, from anywhere, after which only the owner's devices may try (NIST SP 800-63B-4, section 3.2.2).
pub const MAX_CONSECUTIVE: u32 = 100;

const FIRST_WAIT_SECONDS: i64 = 60;
const LONGEST_WAIT_SECONDS: i64 = 24 * 60 * 60;
const KEPT_SECONDS: i64 = 365 * 24 * 60 * 60;
const MAX_SOURCES: usize = 64;
const TRIES: usize = 16;

/// The failures of one account since its last success.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Failures {
    counter_id: String,
    consecutive: u32,
    sources: BTreeMap<String, SourceFailures>,
    expires_at: i64,
}

/// The failures of one account from one source.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct SourceFailures {
    count: u32,
    since: Timestamp,
    until: Timestamp,
}

/// Who tries to sign in to what.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The account: a user id, or for one that does not exist what was typed.
    pub account: Account<'a>,
    /// Where from.
    pub client: &'a Client,
    /// The device that the client names.
    pub device_uuid: Option<&'a DeviceUuid>,
}

/// The account that failures are counted for.
#[derive(Clone, Copy, Debug)]
pub enum Account<'a> {
    /// One that exists.
    Known(&'a str),
    /// One that does not, by the name that was typed.
    Unknown(&'a str),
}

/// The key of an account's failures.
#[must_use]
pub fn key(app: &App, account: Account<'_>) -> Key {
    let id = match account {
        Account::Known(user_id) => user_id.to_owned(),
        Account::Unknown(login) => {
            let tag = mac::tag(&app.server_keys.counters, &[b"sign-in", crate::text::fold(login).as_bytes()]);
            hex(&tag[..16])
        }
    };
    Key::new(&COUNTERS, format!("sign-in-failures#{id}"))
}

/// Reads an account's failures.
///
/// # Errors
/// The store's.
pub async fn find(app: &App, account: Account<'_>) -> Result<Option<Stored<Failures>>, Error> {
    Ok(app.ports.store.find(&key(app, account)).await?)
}

/// Refuses a source that must wait.
///
/// # Errors
/// 429 with the seconds to wait; the store's.
pub async fn refuse_if_locked(
    app: &Arc<App>,
    attempt: &Attempt<'_>,
    failures: Option<&Failures>,
) -> Result<(), Error> {
    let now = app.now();
    let Some(wait) = failures.and_then(|failures| failures.wait(&source(attempt), now)) else {
        return Ok(());
    };
    if is_owners_device(app, attempt).await? {
        return Ok(());
    }
    Err(Error::too_many("too_many_attempts", "too many failed sign-ins: wait, or recover the password", wait))
}

/// Counts a failure.
///
/// # Errors
/// 429 when the source must wait already, in which case nothing is counted; the store's.
pub async fn count(app: &Arc<App>, attempt: &Attempt<'_>) -> Result<(), Error> {
    let key = key(app, attempt.account);
    for _ in 0..TRIES {
        let stored = find(app, attempt.account).await?;
        refuse_if_locked(app, attempt, stored.as_ref().map(|stored| &stored.value)).await?;
        let when = stored.as_ref().map_or(Condition::Absent, Stored::unchanged);
        let mut failures = stored.map(|stored| stored.value).unwrap_or_default();
        failures.counter_id.clone_from(&key.hash);
        failures.add(source(attempt), app.now());
        match app.ports.store.write(put(key.clone(), &failures, when)?).await {
            Ok(()) => return Ok(()),
            Err(error) if error.conflicting_write().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::too_many("too_many_attempts", "too many sign-ins at once: wait a little", 1))
}

impl Failures {
    /// How long a source must wait, in seconds.
    fn wait(&self, source: &str, now: Timestamp) -> Option<u64> {
        let until = self.sources.get(source).map_or(Timestamp::default(), |source| source.until);
        let everybody = (self.consecutive >= MAX_CONSECUTIVE).then(|| now.plus_seconds(LONGEST_WAIT_SECONDS));
        let until = everybody.map_or(until, |everybody| everybody.max(until));
        let millis = until.as_millis().saturating_sub(now.as_millis());
        // What would last longer was counted before the clock was set back.
        let most = LONGEST_WAIT_SECONDS.unsigned_abs() * 1000;
        u64::try_from(millis)
            .ok()
            .filter(|millis| (1..=most).contains(millis))
            .map(|millis| millis.div_ceil(1000))
    }

    fn add(&mut self, source: String, now: Timestamp) {
        self.consecutive = self.consecutive.saturating_add(1);
        self.expires_at = now.plus_seconds(KEPT_SECONDS).as_seconds();
        if !self.sources.contains_key(&source) && self.sources.len() >= MAX_SOURCES {
            let oldest =
                self.sources.iter().min_by_key(|(_, of)| of.until.max(of.since)).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.sources.remove(&oldest));
        }
        self.sources.entry(source).or_default().add(now);
    }
}

impl SourceFailures {
    fn add(&mut self, now: Timestamp) {
        // A source that had to wait is not forgiven with the window: its next failure makes it wait longer.
        let patience = if self.count >= FREE_FAILURES { LONGEST_WAIT_SECONDS } else { WINDOW_SECONDS };
        let age = now.seconds_since(self.since.max(self.until));
        if age >= patience || age < -LONGEST_WAIT_SECONDS {
            *self = Self::default();
        }
        if self.count == 0 {
            self.since = now;
        }
        self.count = self.count.saturating_add(1);
        if let Some(beyond) = self.count.checked_sub(FREE_FAILURES) {
            let wait = FIRST_WAIT_SECONDS.saturating_mul(1 << beyond.min(20)).min(LONGEST_WAIT_SECONDS);
            self.until = now.plus_seconds(wait);
        }
    }
}

fn source(attempt: &Attempt<'_>) -> String {
    source_key(attempt.client.addr)
}

/// Whether the named device is already the account owner's: strangers cannot lock the owner out of it. An account that
/// does not exist costs the same reads.
async fn is_owners_device(app: &App, attempt: &Attempt<'_>) -> Result<bool, Error> {
    let Some(uuid) = attempt.device_uuid else { return Ok(false) };
    let user_id = match attempt.account {
        Account::Known(user_id) => user_id,
        Account::Unknown(_) => "nobody",
    };
    let store = &*app.ports.store;
    let derived = devices::key(&devices::device_id(user_id, uuid));
    Ok(store.get(&derived).await?.is_some() || devices::find_legacy(store, user_id, uuid).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(0).plus_seconds(1_000_000 + seconds)
    }

    #[test]
    fn p8_the_wait_begins_after_ten_failures_and_doubles() {
        let mut failures = Failures::default();
        for n in 0..9 {
            failures.add("a".into(), at(n));
            assert_eq!(failures.wait("a", at(n)), None);
        }
        failures.add("a".into(), at(9));
        assert_eq!(failures.wait("a", at(9)), Some(60));
        assert_eq!(failures.wait("b", at(9)), None);
        assert_eq!(failures.wait("a", at(69)), None);
        failures.add("a".into(), at(70));
        assert_eq!(failures.wait("a", at(70)), Some(120));
        failures.add("a".into(), at(200));
        assert_eq!(failures.wait("a", at(200)), Some(240));
    }

    #[test]
    fn p8_what_was_counted_by_a_clock_far_ahead_holds_nobody_up() {
        let (mut failures, year) = (Failures::default(), 365 * 24 * 60 * 60);
        for _ in 0..12 {
            failures.add("a".into(), at(year));
        }
        assert_eq!(failures.wait("a", at(0)), None);
        failures.add("a".into(), at(0));
        assert_eq!(failures.wait("a", at(0)), None, "it is counted anew");
        for n in 1..10 {
            failures.add("a".into(), at(n));
        }
        assert!(failures.wait("a", at(10)).is_some());
    }

    #[test]
    fn p8_slow_failures_cost_nothing() {
        let mut failures = Failures::default();
        for n in 0..50 {
            let now = at(n * (WINDOW_SECONDS + 1));
            failures.add("a".into(), now);
            assert_eq!(failures.wait("a", now), None);
        }
    }

    #[test]
    fn p8_after_a_hundred_in_a_row_every_stranger_waits() {
        let mut failures = Failures::default();
        for n in 0..100 {
            assert_eq!(failures.wait("stranger", at(n)), None);
            failures.add(format!("source-{n}"), at(n));
        }
        assert!(failures.wait("stranger", at(100)).is_some());
        assert!(failures.sources.len() <= MAX_SOURCES);
    }
}
