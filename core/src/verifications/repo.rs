//! The rules of codes: issued with a cool-down, bound to an address, guessed at most five times, used once.

use std::sync::Arc;

use crate::App;
use crate::error::Error;
use crate::outbox::model::{self as outbox, Entry, Task};
use crate::ports::store::{Condition, Key, StoreError, Write};
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::schema::USER_VERIFICATIONS;
use crate::secret::Secret;
use crate::verifications::code::{self, Purpose};
use crate::verifications::model::{MAX_ATTEMPTS, Verification};
use base16ct::lower::encode_string as hex;

/// How often a count that others overtook is made anew; more than guesses there are.
const TRIES: usize = 2 * MAX_ATTEMPTS as usize;

/// A code about to be issued: the writes that do it.
#[derive(Debug)]
pub struct Issue {
    /// The verification, and the promise of its message.
    pub writes: [Write; 2],
    /// The promise's id, to be tried after the answer.
    pub message_id: String,
}

impl Issue {
    /// Issues the code.
    ///
    /// # Errors
    /// The store's; a conflict when another was issued at the same moment.
    pub async fn store(&self, app: &App) -> Result<(), StoreError> {
        app.ports.store.transact_witnessed(&self.writes, &outbox::key(&self.message_id)).await
    }
}

/// The key of a verification.
#[must_use]
pub fn key(user_id: &str, purpose: Purpose) -> Key {
    Key::with_range(&USER_VERIFICATIONS, user_id, purpose.name())
}

/// Reads the code in force.
///
/// # Errors
/// The store's.
pub async fn find(
    app: &App,
    user_id: &str,
    purpose: Purpose,
) -> Result<Option<Stored<Verification>>, StoreError> {
    app.ports.store.find(&key(user_id, purpose)).await
}

/// Makes a new code, which voids the old one but does not refill its guesses.
///
/// # Errors
/// 429 `too_soon` within the cool-down; 503 without randomness.
pub fn issue(
    app: &App,
    user_id: &str,
    purpose: Purpose,
    address: &str,
    old: Option<&Stored<Verification>>,
    message: impl FnOnce(String) -> Task,
) -> Result<Issue, Error> {
    let now = app.now();
    // A code that went to another address does not delay one to this.
    let here = old.filter(|old| old.value.address == address);
    if let Some(wait) = here.and_then(|old| old.value.cool_down(now)) {
        return Err(Error::too_many(
            "too_soon",
            "a code was sent just now: wait before asking for another",
            wait,
        ));
    }
    let nonce = hex(&app.random::<32>()?);
    let code = code::derive(&app.server_keys.codes, purpose, user_id, &nonce);
    let ends = now.plus_seconds(purpose.valid_seconds());
    // A window that ends later than any can was begun before the clock was set back.
    let open = |old: &&Verification| old.window_ends_at > now && !old.window_ends_at.is_ahead(ends);
    let window = old.map(|old| &old.value).filter(open);
    let verification = Verification {
        user_id: user_id.to_owned(),
        purpose: purpose.name().to_owned(),
        code_hash: code::hash(&app.server_keys.codes, purpose, user_id, &code),
        address: address.to_owned(),
        attempts: window.map_or(0, |old| old.attempts),
        window_ends_at: window.map_or(ends, |old| old.window_ends_at),
        sent_at: now,
        expires_at: ends.as_seconds(),
    };
    let when = old.map_or(Condition::Absent, Stored::unchanged);
    let entry = Entry::now(app, message(nonce))?;
    let writes = [put(key(user_id, purpose), &verification, when)?, entry.promise()?];
    Ok(Issue { writes, message_id: entry.message_id })
}

/// A code that was entered rightly. It is used up by the write that [`Accepted::spend`] makes.
#[derive(Debug)]
pub struct Accepted {
    stored: Stored<Verification>,
    key: Key,
}

impl Accepted {
    /// The write that uses the code up; its condition fails if somebody else did, or a new code replaced it.
    #[must_use]
    pub fn spend(&self) -> Write {
        Write::Delete { key: self.key.clone(), when: self.stored.unchanged() }
    }
}

/// Why a code was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not the code in force, or there is none for this address.
    Wrong,
    /// It was guessed wrongly too often.
    Exhausted {
        /// Seconds until a new code can be guessed at.
        retry_after: u64,
    },
}

/// Checks an entered code. The guess is counted, conditionally, before anything is compared: of any number of guesses at
/// once at most five are compared.
///
/// # Errors
/// The store's; the inner error says why the code is refused.
pub async fn redeem(
    app: &Arc<App>,
    user_id: &str,
    purpose: Purpose,
    address: Option<&str>,
    entered: &Secret,
) -> Result<Result<Accepted, Refused>, Error> {
    let key = key(user_id, purpose);
    for _ in 0..TRIES {
        let Some(stored) = find(app, user_id, purpose).await? else { return Ok(Err(Refused::Wrong)) };
        let now = app.now();
        if stored.value.attempts >= MAX_ATTEMPTS {
            let left = stored.value.window_ends_at.seconds_since(now).max(1);
            return Ok(Err(Refused::Exhausted { retry_after: left.unsigned_abs() }));
        }
        let counted = Verification { attempts: stored.value.attempts + 1, ..stored.value.clone() };
        match app.ports.store.write(put(key.clone(), &counted, stored.unchanged())?).await {
            Ok(()) => return compare(app, key, &counted, purpose, address, entered).await,
            Err(error) if error.conflicting_write().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Err(Refused::Wrong))
}

async fn compare(
    app: &Arc<App>,
    key: Key,
    counted: &Verification,
    purpose: Purpose,
    address: Option<&str>,
    entered: &Secret,
) -> Result<Result<Accepted, Refused>, Error> {
    let hash = code::hash(&app.server_keys.codes, purpose, &counted.user_id, entered);
    let matches = Secret::new(hash) == Secret::new(counted.code_hash.as_str());
    if !matches || address.is_some_and(|address| address != counted.address) {
        return Ok(Err(Refused::Wrong));
    }
    // Read again for the version that the count gave it; it must still be the same code.
    let stored = find(app, &counted.user_id, purpose).await?;
    let same = stored.filter(|stored| stored.value.code_hash == counted.code_hash);
    Ok(same.map(|stored| Accepted { stored, key }).ok_or(Refused::Wrong))
}
