//! A verification as stored.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How many wrong guesses a code survives.
pub const MAX_ATTEMPTS: u32 = 5;

/// How soon after a code another may be asked for, in seconds.
pub const COOL_DOWN_SECONDS: i64 = 60;

/// A code in force, for one user and purpose; never the code itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Whose, or for an address without an account what stands for it.
    pub user_id: String,
    /// What for.
    #[serde(rename = "type")]
    pub purpose: String,
    /// The keyed hash of the code.
    #[serde(default)]
    pub code_hash: String,
    /// The address that it was sent to.
    #[serde(default)]
    pub address: String,
    /// Wrong guesses in the present window.
    #[serde(default)]
    pub attempts: u32,
    /// When the present window of guesses ends; a new code does not refill them before.
    #[serde(default)]
    pub window_ends_at: Timestamp,
    /// When it was sent.
    #[serde(default)]
    pub sent_at: Timestamp,
    /// When the code ends, in seconds since the Unix epoch; the record is dropped then.
    #[serde(default)]
    pub expires_at: i64,
}

impl Verification {
    /// Seconds until another code may be asked for.
    #[must_use]
    pub fn cool_down(&self, now: Timestamp) -> Option<u64> {
        let wait = COOL_DOWN_SECONDS.saturating_sub(now.seconds_since(self.sent_at));
        u64::try_from(wait).ok().filter(|wait| (1..=COOL_DOWN_SECONDS.unsigned_abs()).contains(wait))
    }
}
