//! The mails received, decoded for those who look at them.

use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How a mail came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Plain,
    StartTls,
    Tls,
}

impl Via {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// How a mail came that was posted as if to a mail relay.
const RELAY: &str = "relay";

/// A mail, with its envelope's addresses.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mail {
    id: usize,
    received_at: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    headers: Vec<(String, String)>,
    /// `plain`, `starttls`, `tls` or `relay`.
    via: &'static str,
    /// Who had logged in.
    user: Option<String>,
    raw: String,
}

/// A mail as it came over the wire.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) via: Via,
    pub(crate) user: Option<String>,
}

/// A mail as Portico's edge posts it to a mail relay.
#[derive(Debug, Deserialize)]
pub(crate) struct Relayed {
    from: String,
    to: String,
    subject: String,
    text: String,
    html: String,
    message_id: String,
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Vec<Mail>>);

impl Mailbox {
    pub(crate) fn add(&self, received: Received) {
        let mut mails = self.lock();
        let id = mails.last().map_or(1, |mail| mail.id + 1);
        mails.push(Mail::read(id, received));
    }

    /// Takes a relayed mail in, unless it has been already: a relay knows messages by their ids.
    pub(crate) fn relay(&self, relayed: Relayed) {
        let mut mails = self.lock();
        let id = ("Message-ID".to_owned(), relayed.message_id);
        if !mails.iter().any(|mail| mail.via == RELAY && mail.headers.contains(&id)) {
            let number = mails.last().map_or(1, |mail| mail.id + 1);
            mails.push(Mail {
                id: number,
                received_at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
                from: relayed.from,
                to: vec![relayed.to],
                subject: Some(relayed.subject),
                text: Some(relayed.text),
                html: Some(relayed.html),
                headers: vec![id],
                via: RELAY,
                user: None,
                raw: String::new(),
            });
        }
    }

    /// The mails in the order they came, or those to one address.
    pub(crate) fn list(&self, to: Option<&str>) -> Vec<Mail> {
        let mails = self.lock();
        let wanted = |mail: &&Mail| to.is_none_or(|to| mail.to.iter().any(|address| address == to));
        mails.iter().filter(wanted).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn read(id: usize, received: Received) -> Self {
        let parsed = MessageParser::default().parse(&received.raw).unwrap_or_default();
        let part = |wanted: &str| {
            let mut parts = parsed.parts.iter().filter(|part| part_type(part) == wanted);
            parts.find_map(|part| part.text_contents().map(str::to_owned))
        };
        let headers = parsed.headers_raw().map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self {
            id,
            received_at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            subject: parsed.subject().map(str::to_owned),
            text: part("plain"),
            html: part("html"),
            headers: headers.collect(),
            via: received.via.name(),
            user: received.user,
            raw: String::from_utf8_lossy(&received.raw).into_owned(),
            from: received.from,
            to: received.to,
        }
    }
}

fn part_type(part: &mail_parser::MessagePart<'_>) -> &'static str {
    match &part.body {
        mail_parser::PartType::Text(_) => "plain",
        mail_parser::PartType::Html(_) => "html",
        _ => "",
    }
}
