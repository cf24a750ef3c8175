//! A mail relay: messages posted by HTTP, kept until a mail server has taken them over by SMTP.
//!
//! It stands in for SMTP where there is none, as at the network's edge. It is no open relay: whoever posts must know its
//! token, each message has one recipient, and all come from the one sender that is configured.
//!
//! # Where things are
//! - `http`: what it answers · `message`: what it accepts · `outbox`: what it has taken over, sealed, until it is sent
//!
//! What is acknowledged is on the disk, and what waits there can be read only with the relay's key.

mod http;
mod message;
mod outbox;

use std::fmt;
use std::sync::Arc;

use lettre::message::Mailbox;
use portico_core::auth::mac;
use portico_core::ports::background::Background;
use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;
use portico_core::ports::mailer::Mailer;
use portico_core::ports::store::Store;
use portico_core::secret::{Secret, SecretKey};

pub use self::http::MESSAGES;
pub use self::outbox::Waiting;

/// The folder of its database, within the data directory, so that it can share that with a server.
pub const FOLDER: &str = "relay";

/// A relay.
pub struct Relay {
    /// Of the token, by which it is compared without telling how much of it is right.
    token: [u8; 32],
    key: SecretKey,
    from: Mailbox,
    ports: RelayPorts,
}

/// What a relay needs from outside.
#[derive(Clone, Debug)]
pub struct RelayPorts {
    /// Holds messages until they are sent.
    pub store: Arc<dyn Store>,
    /// Sends them.
    pub mailer: Arc<dyn Mailer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Runs what goes on after the answer.
    pub background: Arc<dyn Background>,
}

impl Relay {
    /// A relay that takes messages from whoever knows the token, if they are from this sender, and seals them under the
    /// key while they wait.
    #[must_use]
    pub fn new(token: &Secret, key: SecretKey, from: Mailbox, ports: RelayPorts) -> Arc<Self> {
        let token = mac::tag(&key, &[token.expose().as_bytes()]);
        Arc::new(Self { token, key, from, ports })
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("ports", &self.ports).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
