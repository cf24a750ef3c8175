//! E-mail as `.eml` files, for development: any mail program opens them, and `/dev/outbox` shows them.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use lettre::message::Mailbox;
use portico_core::ports::mailer::{Mail, Mailer, SendError};

use super::{checked_id, compose};
use crate::files::{create_private_dir, write_private};

/// Writes each message to `<folder>/<id>.eml`.
#[derive(Debug)]
pub struct OutboxMailer {
    folder: PathBuf,
    from: Mailbox,
}

impl OutboxMailer {
    /// Writes into the folder, which is created.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(folder: PathBuf, from: Mailbox) -> io::Result<Self> {
        create_private_dir(&folder)?;
        Ok(Self { folder, from })
    }
}

#[async_trait]
impl Mailer for OutboxMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = compose(&self.from, mail)?.formatted();
        let path = self.folder.join(format!("{}.eml", checked_id(&mail.id)?));
        write_in_outbox(path, message).await
    }
}

/// Writes a file off the threads that answer requests.
pub(crate) async fn write_in_outbox(path: PathBuf, content: Vec<u8>) -> Result<(), SendError> {
    match tokio::task::spawn_blocking(move || write_private(&path, &content)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(SendError::temporary(format!("the outbox cannot be written: {error}"))),
        Err(stopped) => Err(SendError::temporary(format!("the outbox was not written: {stopped}"))),
    }
}
