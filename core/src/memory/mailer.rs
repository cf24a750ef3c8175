//! A mailer and an SMS sender that keep what they are given.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::ports::mailer::{Mail, Mailer, SendError};
use crate::ports::sms::{Sms, SmsSender};

/// Keeps every e-mail; fails when told to.
#[derive(Debug, Default)]
pub struct MemoryMailer {
    kept: Kept<Mail>,
}

/// Keeps every SMS; fails when told to.
#[derive(Debug, Default)]
pub struct MemorySms {
    kept: Kept<Sms>,
}

#[derive(Debug)]
struct Kept<M> {
    state: Mutex<State<M>>,
}

#[derive(Debug)]
struct State<M> {
    sent: Vec<M>,
    failure: Option<Failure>,
    tries: usize,
}

/// How sending fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// In a way that may pass.
    Temporary,
    /// In a way that will not.
    Permanent,
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self { state: Mutex::new(State { sent: Vec::new(), failure: None, tries: 0 }) }
    }
}

impl<M: Clone> Kept<M> {
    fn with<R>(&self, act: impl FnOnce(&mut State<M>) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&self, message: &M) -> Result<(), SendError> {
        self.with(|state| {
            state.tries += 1;
            match state.failure {
                None => state.sent.push(message.clone()),
                Some(Failure::Temporary) => return Err(SendError::temporary("told to fail for now")),
                Some(Failure::Permanent) => return Err(SendError::permanent("told to fail for good")),
            }
            Ok(())
        })
    }
}

macro_rules! keeper {
    ($keeper:ident, $port:ident, $message:ident) => {
        impl $keeper {
            /// What was sent, oldest first.
            #[must_use]
            pub fn sent(&self) -> Vec<$message> {
                self.kept.with(|state| state.sent.clone())
            }

            /// How often sending was tried, successfully or not.
            #[must_use]
            pub fn tries(&self) -> usize {
                self.kept.with(|state| state.tries)
            }

            /// Makes every send fail from now on, or succeed again.
            pub fn fail(&self, failure: Option<Failure>) {
                self.kept.with(|state| state.failure = failure);
            }
        }

        #[async_trait]
        impl $port for $keeper {
            async fn send(&self, message: &$message) -> Result<(), SendError> {
                self.kept.send(message)
            }
        }
    };
}

keeper!(MemoryMailer, Mailer, Mail);
keeper!(MemorySms, SmsSender, Sms);
