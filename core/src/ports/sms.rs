//! SMS, sent one message at a time. Retrying is the outbox's business, not the sender's.

use std::fmt;

use async_trait::async_trait;

use super::mailer::SendError;

/// Sends SMS.
#[async_trait]
pub trait SmsSender: fmt::Debug + Send + Sync + 'static {
    /// Hands one message over to the carrier's gateway.
    ///
    /// # Behavior
    /// As [`Mailer::send`](super::mailer::Mailer::send).
    ///
    /// # Errors
    /// [`SendError`], telling whether another try can help.
    async fn send(&self, sms: &Sms) -> Result<(), SendError>;
}

/// A text message. Its `Debug` shows no content, which may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Sms {
    /// Identifies the message through retries (a ULID).
    pub id: String,
    /// The recipient's number, E.164.
    pub to: String,
    /// The text.
    pub text: String,
}

impl fmt::Debug for Sms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sms").field("id", &self.id).finish_non_exhaustive()
    }
}
