//! E-mail, sent one message at a time. Retrying is the outbox's business, not the mailer's.

use std::fmt;

use async_trait::async_trait;

/// Sends e-mail.
#[async_trait]
pub trait Mailer: fmt::Debug + Send + Sync + 'static {
    /// Hands one message over to the next hop.
    ///
    /// # Behavior
    /// - `Ok` means the next hop took responsibility for it.
    /// - Returns within a bounded time, whatever the peer does.
    /// - The same `id` may come twice, after an answer was lost; it becomes the `Message-ID`.
    ///
    /// # Errors
    /// [`SendError`], telling whether another try can help.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
}

/// An e-mail message. Its `Debug` shows no content, which may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Identifies the message through retries (a ULID).
    pub id: String,
    /// The recipient's address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message was not sent, by e-mail or SMS.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct SendError {
    /// Whether the same message may succeed later.
    pub retry: bool,
    /// What happened, for operators; without the message's content.
    pub detail: String,
}

impl SendError {
    /// A failure that may pass.
    pub fn temporary(detail: impl Into<String>) -> Self {
        Self { retry: true, detail: detail.into() }
    }

    /// A failure that will not pass, such as a refused recipient.
    pub fn permanent(detail: impl Into<String>) -> Self {
        Self { retry: false, detail: detail.into() }
    }
}
