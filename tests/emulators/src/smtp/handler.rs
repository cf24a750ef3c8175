//! What becomes of a mail and of a login while the dialogue goes on.

use super::MailServer;
use crate::mail::{Received, Via};
use mailin::{Handler, Response, response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the dialogue and the handler, which mailin keeps to itself, tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    user: Mutex<Option<String>>,
    /// The next mail is not to be kept.
    discard: AtomicBool,
}

impl Shared {
    pub(crate) fn user(&self) -> Option<String> {
        self.user.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn discard(&self, discard: bool) {
        self.discard.store(discard, Ordering::Relaxed);
    }
}

/// Collects one mail after the other.
#[derive(Debug)]
pub(crate) struct Catcher<'a> {
    server: &'a MailServer,
    shared: Arc<Shared>,
    via: Via,
    from: String,
    to: Vec<String>,
    raw: Vec<u8>,
}

impl<'a> Catcher<'a> {
    pub(crate) fn new(server: &'a MailServer, shared: Arc<Shared>, via: Via) -> Self {
        Self { server, shared, via, from: String::new(), to: Vec::new(), raw: Vec::new() }
    }

    fn log_in(&self, user: &str, password: &str) -> Response {
        let login = &self.server.login;
        if user != login.user || password != login.password {
            return response::INVALID_CREDENTIALS;
        }
        *self.shared.user.lock().unwrap_or_else(PoisonError::into_inner) = Some(user.to_owned());
        response::AUTH_OK
    }
}

impl Handler for Catcher<'_> {
    fn data_start(&mut self, _domain: &str, from: &str, _is8bit: bool, to: &[String]) -> Response {
        from.clone_into(&mut self.from);
        self.to = to.to_vec();
        self.raw.clear();
        response::OK
    }

    fn data(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.raw.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let received = Received {
            from: std::mem::take(&mut self.from),
            to: std::mem::take(&mut self.to),
            raw: std::mem::take(&mut self.raw),
            via: self.via,
            user: self.shared.user(),
        };
        if !self.shared.discard.load(Ordering::Relaxed) {
            self.server.mailbox.add(received);
        }
        response::OK
    }

    fn auth_plain(&mut self, _authorization_id: &str, user: &str, password: &str) -> Response {
        self.log_in(user, password)
    }

    fn auth_login(&mut self, user: &str, password: &str) -> Response {
        self.log_in(user, password)
    }
}
