//! Messages that were taken over: sealed in the store until they are sent, and their ids for a day longer.
//!
//! Pauses, giving up and the log are those of every outbox ([`portico_core::outbox`]).

use std::sync::Arc;

use portico_core::auth::seal;
use portico_core::error::Error;
use portico_core::outbox::delivery::{self, Outbox};
use portico_core::outbox::model::Entry;
use portico_core::ports::background::Background;
use portico_core::ports::mailer::{Mail, SendError};
use portico_core::ports::store::{Condition, Key, Store};
use portico_core::ports::store_ext::put;
use portico_core::schema::COUNTERS;
use portico_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Relay;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How long it is tried to send a message (RFC 5321, section 4.5.4.1: at least 4 to 5 days).
const KEEP_TRYING_SECONDS: i64 = 5 * DAY_SECONDS;

/// How much longer its id is known.
const REMEMBERED_SECONDS: i64 = DAY_SECONDS;

/// A message that waits to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// All but its id, sealed.
    sealed: String,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    to: String,
    subject: String,
    text: String,
    html: String,
}

/// That a message was taken over.
#[derive(Serialize)]
struct Taken {
    counter_id: String,
    expires_at: i64,
}

/// Whether a message is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    Known,
}

/// Promises to send a message, unless one of its id was promised before. It is on the disk when this returns.
///
/// # Errors
/// 503 when it cannot be kept.
pub(super) async fn take_over(relay: &Arc<Relay>, mail: &Mail) -> Result<Novelty, Error> {
    let now = relay.now();
    let waiting = Waiting { sealed: seal_mail(relay, mail)? };
    let entry = Entry::new(mail.id.clone(), now, KEEP_TRYING_SECONDS, waiting);
    let taken = Taken {
        counter_id: format!("relayed#{}", mail.id),
        expires_at: now.plus_seconds(KEEP_TRYING_SECONDS + REMEMBERED_SECONDS).as_seconds(),
    };
    let key = Key::new(&COUNTERS, &taken.counter_id);
    let writes = [put(key, &taken, Condition::Absent)?, entry.promise()?];
    match relay.ports.store.transact(&writes).await {
        Ok(()) => {
            delivery::deliver_soon(relay, vec![mail.id.clone()]);
            Ok(Novelty::New)
        }
        Err(error) if error.conflicting_write().is_some() => Ok(Novelty::Known),
        Err(error) => Err(error.into()),
    }
}

impl Outbox for Relay {
    type Task = Waiting;

    fn store(&self) -> &dyn Store {
        &*self.ports.store
    }

    fn background(&self) -> &dyn Background {
        &*self.ports.background
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    fn channel(_task: &Waiting) -> &'static str {
        "email"
    }

    fn lapses(_task: &Waiting) -> bool {
        true
    }

    async fn perform(self: &Arc<Self>, entry: &Entry<Waiting>) -> Result<Result<(), SendError>, Error> {
        let message_id = &entry.message_id;
        let Some(mail) = open_mail(self, message_id, &entry.task) else {
            return Ok(Err(SendError::temporary(
                "it was sealed under another key: set TOKEN_SECRET, or without one MAIL_RELAY_TOKEN, to what it was",
            )));
        };
        let sent = self.ports.mailer.send(&mail).await;
        if sent.is_ok() {
            tracing::info!(message_id, attempts = entry.attempts, "a message was handed on");
        }
        Ok(sent)
    }
}

fn seal_mail(relay: &Relay, mail: &Mail) -> Result<String, Error> {
    let Mail { id, to, subject, text, html } = mail.clone();
    let mut nonce = [0; seal::NONCE_BYTES];
    relay.ports.entropy.fill(&mut nonce)?;
    let sealed = serde_json::to_vec(&Content { to, subject, text, html })
        .ok()
        .and_then(|plain| seal::seal(&relay.key, nonce, &id, &plain));
    sealed.ok_or_else(|| Error::unavailable("busy", "the message could not be sealed: try again", 1))
}

fn open_mail(relay: &Relay, id: &str, waiting: &Waiting) -> Option<Mail> {
    let plain = seal::open(&relay.key, id, &waiting.sealed)?;
    let Content { to, subject, text, html } = serde_json::from_slice(&plain).ok()?;
    Some(Mail { id: id.to_owned(), to, subject, text, html })
}
