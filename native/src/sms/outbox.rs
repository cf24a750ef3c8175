//! SMS as JSON files, for development; `/dev/outbox` shows them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use portico_core::ports::clock::Clock;
use portico_core::ports::mailer::SendError;
use portico_core::ports::sms::{Sms, SmsSender};
use portico_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::create_private_dir;
use crate::mail::checked_id;
use crate::mail::outbox::write_in_outbox;

/// Writes each message to `<folder>/<id>.json`.
#[derive(Debug)]
pub struct OutboxSms {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

/// A file of the outbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SmsFile {
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

impl OutboxSms {
    /// Writes into the folder, which is created.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> io::Result<Self> {
        create_private_dir(&folder)?;
        Ok(Self { folder, clock })
    }
}

#[async_trait]
impl SmsSender for OutboxSms {
    async fn send(&self, sms: &Sms) -> Result<(), SendError> {
        let path = self.folder.join(format!("{}.json", checked_id(&sms.id)?));
        let Sms { id, to, text } = sms.clone();
        let content = serde_json::to_vec_pretty(&SmsFile { id, to, text, at: self.clock.now() })
            .map_err(|error| SendError::permanent(format!("the message cannot be encoded: {error}")))?;
        write_in_outbox(path, content).await
    }
}
