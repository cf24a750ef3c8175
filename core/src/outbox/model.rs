//! An entry of the outbox.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::App;
use crate::error::Error;
use crate::ports::store::{Condition, Key, StoreError, Write};
use crate::ports::store_ext::put;
use crate::schema::OUTBOX;
use crate::time::Timestamp;

/// Over how many partitions the entries that are due are spread.
pub const SHARDS: u8 = 8;

/// A promise: what to do, and when next to try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry<T = Task> {
    /// The id; it identifies a message through retries.
    pub message_id: String,
    /// The partition of the list of what is due.
    pub shard: String,
    /// When to try next. Taking an entry up moves this on, which keeps other instances off it.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// After this instant it is of no use to anybody.
    pub useless_after: Timestamp,
    /// What to do.
    pub task: T,
}

/// Something that the app does after an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Task {
    /// Send an e-mail.
    Mail { to: String, message: MailMessage },
    /// Send an SMS with a code.
    Sms { to: String, user_id: String, nonce: String },
    /// Nothing: stands in for a message to an address that has no account, so that asking costs the same.
    Nothing,
    /// End a user's sessions that began before an instant, again, in case the list of them trailed the first time.
    EndSessions { user_id: String, except: Option<String>, began_before: Timestamp },
    /// The same for a user's sessions on a device.
    EndSessionsOnDevice { user_id: String, device_id: String, began_before: Timestamp },
    /// Drop a file that was never completed, or finish its deletion; see [`crate::files::sweep`].
    SweepFile { file_id: String, object: String },
    /// Remove what is left of an account that was deleted at an instant; see [`crate::users::purge`].
    PurgeUser { user_id: String, deleted_at: Timestamp },
}

/// What an e-mail says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "says")]
pub enum MailMessage {
    /// Confirm your address with this token.
    ConfirmEmail { user_id: String, username: String, nonce: String },
    /// Recover your account with this code.
    Recovery { user_id: String, username: String, nonce: String },
    /// Your password was changed.
    PasswordChanged { username: String },
    /// Your account has another e-mail address now.
    EmailChanged { username: String },
    /// Your account has another phone number now.
    PhoneChanged { username: String },
}

impl Entry {
    /// A promise to be kept as soon as possible.
    ///
    /// # Errors
    /// 503 without randomness.
    pub fn now(app: &App, task: Task) -> Result<Self, Error> {
        Self::at(app, app.now(), task)
    }

    /// A promise to be kept from an instant on.
    ///
    /// # Errors
    /// 503 without randomness.
    pub fn at(app: &App, due_at: Timestamp, task: Task) -> Result<Self, Error> {
        let useful_seconds = task.useful_seconds();
        Ok(Self::new(app.new_id()?, due_at, useful_seconds, task))
    }
}

impl<T> Entry<T> {
    /// A promise to be kept from an instant on, and of use for so many seconds.
    #[must_use]
    pub fn new(message_id: String, due_at: Timestamp, useful_seconds: i64, task: T) -> Self {
        let shard = shard(&message_id);
        let useless_after = due_at.plus_seconds(useful_seconds);
        Self { message_id, shard, due_at, attempts: 0, useless_after, task }
    }

    /// The entry's key.
    #[must_use]
    pub fn key(&self) -> Key {
        key(&self.message_id)
    }

    /// The write that promises it.
    ///
    /// # Errors
    /// The store's.
    pub fn promise(&self) -> Result<Write, StoreError>
    where
        T: Serialize,
    {
        put(self.key(), self, Condition::Absent)
    }
}

/// The key of an entry.
#[must_use]
pub fn key(message_id: &str) -> Key {
    Key::new(&OUTBOX, message_id)
}

impl Task {
    /// By what a message leaves, for logs and metrics: `email` or `sms`; `none` if it is no message.
    #[must_use]
    pub fn channel(&self) -> &'static str {
        match self {
            Self::Mail { .. } => "email",
            Self::Sms { .. } => "sms",
            Self::Nothing
            | Self::EndSessions { .. }
            | Self::EndSessionsOnDevice { .. }
            | Self::SweepFile { .. }
            | Self::PurgeUser { .. } => "none",
        }
    }

    /// The same for sessions that began until an instant, if it is about sessions.
    #[must_use]
    pub fn for_sessions_until(self, instant: Timestamp) -> Self {
        let began_before = instant;
        match self {
            Self::EndSessions { user_id, except, .. } => Self::EndSessions { user_id, except, began_before },
            Self::EndSessionsOnDevice { user_id, device_id, .. } => {
                Self::EndSessionsOnDevice { user_id, device_id, began_before }
            }
            other => other,
        }
    }

    /// How long it is worth trying, in seconds.
    fn useful_seconds(&self) -> i64 {
        match self {
            Self::Sms { .. } | Self::Nothing => 15 * 60,
            Self::Mail { message: MailMessage::Recovery { .. }, .. } => 15 * 60,
            Self::Mail { message: MailMessage::ConfirmEmail { .. }, .. } => 24 * 60 * 60,
            Self::Mail { .. }
            | Self::EndSessions { .. }
            | Self::EndSessionsOnDevice { .. }
            | Self::SweepFile { .. }
            | Self::PurgeUser { .. } => 7 * 24 * 60 * 60,
        }
    }
}

fn shard(message_id: &str) -> String {
    let digest = Sha256::digest(message_id);
    (digest.first().copied().unwrap_or(0) % SHARDS).to_string()
}
