//! `GET /dev/outbox`: what would have been sent, for whoever tries Portico out. Development only.
//!
//! The host answers it before core, for it is no part of the contract.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Response};
use mail_parser::MessageParser;
use maud::{DOCTYPE, Markup, html};
use portico_core::http::body::Body;
use portico_core::time::Timestamp;
use serde::Serialize;

use crate::sms::outbox::SmsFile;

/// The path it answers at.
pub const PATH: &str = "/dev/outbox";

/// How many messages are shown, the newest.
const SHOWN: usize = 200;

/// No script runs, nothing is loaded; styles stand in the page and in the messages.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The outbox as something to look at.
#[derive(Clone, Debug)]
pub struct DevOutbox {
    folder: PathBuf,
}

/// One message that would have been sent.
#[derive(Debug, Serialize)]
struct Message {
    id: String,
    channel: &'static str,
    to: String,
    subject: Option<String>,
    text: String,
    html: Option<String>,
    at: Timestamp,
}

#[derive(Debug, Serialize)]
struct Messages {
    messages: Vec<Message>,
}

impl DevOutbox {
    /// Shows the messages in a folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Whether a request is for it.
    #[must_use]
    pub fn answers(&self, method: &Method, path: &str) -> bool {
        path == PATH && matches!(*method, Method::GET | Method::HEAD)
    }

    /// The page, or JSON for clients that prefer it.
    pub async fn answer(&self, headers: &HeaderMap) -> Response<Body> {
        let folder = self.folder.clone();
        let messages = match tokio::task::spawn_blocking(move || read_messages(&folder)).await {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the outbox cannot be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let wants_json = headers
            .get(header::ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("application/json") && !accept.contains("text/html"));
        if wants_json {
            let json = serde_json::to_vec(&Messages { messages }).unwrap_or_default();
            respond("application/json", json.into())
        } else {
            respond("text/html; charset=utf-8", page(&messages).into_string().into())
        }
    }
}

fn respond(content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let fields: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "accept"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}

/// Reads the newest messages, newest first. Ids are ULIDs, so that names sort by time.
fn read_messages(folder: &Path) -> io::Result<Vec<Message>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    let readable = names.iter().filter_map(|name| read_message(folder, name));
    let mut messages: Vec<_> = readable.take(SHOWN).collect();
    messages.sort_by(|a, b| b.at.as_seconds().cmp(&a.at.as_seconds()).then_with(|| b.id.cmp(&a.id)));
    Ok(messages)
}

/// Reads one file; what is none of ours, or half written, is left out.
fn read_message(folder: &Path, name: &str) -> Option<Message> {
    let (id, extension) = name.rsplit_once('.')?;
    if id.is_empty() || id.starts_with('.') {
        return None;
    }
    let read = || std::fs::read(folder.join(name)).ok();
    match extension {
        "eml" => parse_mail(id, &read()?),
        "json" => serde_json::from_slice(&read()?).ok().map(from_sms),
        _ => None,
    }
}

fn parse_mail(id: &str, content: &[u8]) -> Option<Message> {
    let mail = MessageParser::default().parse(content)?;
    let at = mail.date().map_or(0, mail_parser::DateTime::to_timestamp);
    let lines = |text: std::borrow::Cow<'_, str>| text.replace("\r\n", "\n");
    Some(Message {
        id: id.to_owned(),
        channel: "email",
        to: mail.to()?.first()?.address()?.to_owned(),
        subject: Some(mail.subject().unwrap_or_default().to_owned()),
        text: mail.body_text(0).map(lines).unwrap_or_default(),
        html: mail.body_html(0).map(lines),
        at: Timestamp::from_millis(at.saturating_mul(1000)),
    })
}

fn from_sms(sms: SmsFile) -> Message {
    let SmsFile { id, to, text, at } = sms;
    Message { id, channel: "sms", to, subject: None, text, html: None, at }
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: light-dark(#2a5db0, #8fb8f5); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.4rem; margin: 0; }
header p { margin: .25rem 0 1.5rem; opacity: .75; }
article { border: 1px solid var(--line); border-radius: .6rem; margin: 1rem 0; padding: 1rem 1.2rem; }
.meta { display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: baseline; font-size: .85rem;
        overflow-wrap: anywhere; }
.meta > :not(.channel) { opacity: .8; }
.channel { color: var(--accent); font-weight: 600; text-transform: uppercase; letter-spacing: .05em; }
h2 { font-size: 1.05rem; margin: .4rem 0; overflow-wrap: anywhere; }
pre { font: .92rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
      background: var(--soft); border-radius: .4rem; padding: .8rem 1rem; margin: .6rem 0 0; user-select: text; }
summary { cursor: pointer; font-size: .85rem; margin-top: .6rem; opacity: .8; }
iframe { width: 100%; height: 22rem; border: 1px solid var(--line); border-radius: .4rem; background: #fff;
         color-scheme: light; margin-top: .5rem; }
";

fn page(messages: &[Message]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Outbox · Portico" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Outbox" }
                    p { "What Portico would have sent. Nothing left this machine. Reload to see what is new." }
                }
                main {
                    @if messages.is_empty() {
                        p { "No messages yet: register an account, and its confirmation appears here." }
                    }
                    @for message in messages { (card(message)) }
                }
            }
        }
    }
}

fn card(message: &Message) -> Markup {
    html! {
        article id=(message.id) {
            div class="meta" {
                span class="channel" { (message.channel) }
                span { "to " (message.to) }
                time datetime=(message.at) { (message.at) }
            }
            @if let Some(subject) = &message.subject { h2 { (subject) } }
            pre { (message.text) }
            @if let Some(html) = &message.html {
                details {
                    summary { "As HTML" }
                    iframe sandbox="" loading="lazy" title="The message as HTML" srcdoc=(html) {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use portico_core::ports::mailer::{Mail, Mailer};
    use portico_core::ports::sms::{Sms, SmsSender};

    use super::*;
    use crate::clock::SystemClock;
    use crate::mail::outbox::OutboxMailer;
    use crate::sms::outbox::OutboxSms;

    async fn filled(folder: &Path) -> DevOutbox {
        let mailer = OutboxMailer::new(folder.to_owned(), "noreply@example.com".parse().unwrap()).unwrap();
        let sms = OutboxSms::new(folder.to_owned(), Arc::new(SystemClock)).unwrap();
        let mail = Mail {
            id: "01A".to_owned(),
            to: "ada@example.com".to_owned(),
            subject: "Grüße <script>".to_owned(),
            text: "Code:\n\n    ABC234\n".to_owned(),
            html: "<p title=\"x\">ABC234</p><script>alert(1)</script>".to_owned(),
        };
        mailer.send(&mail).await.unwrap();
        mailer.send(&mail).await.unwrap();
        let text = "Your code is XYZ789".to_owned();
        sms.send(&Sms { id: "01B".to_owned(), to: "+4915123456789".to_owned(), text }).await.unwrap();
        DevOutbox::new(folder.to_owned())
    }

    async fn body(outbox: &DevOutbox, accept: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let body = outbox.answer(&headers).await.into_body().collect().await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn json_lists_each_message_once_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = filled(folder.path()).await;
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        std::fs::write(folder.path().join("broken.json"), "{").unwrap();
        let json: serde_json::Value = serde_json::from_str(&body(&outbox, "application/json").await).unwrap();
        let messages = json["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2, "{json}");
        assert_eq!((&messages[0]["channel"], &messages[0]["id"]), (&"sms".into(), &"01B".into()));
        let mail = &messages[1];
        assert_eq!((&mail["channel"], &mail["to"]), (&"email".into(), &"ada@example.com".into()));
        assert_eq!(
            (&mail["subject"], &mail["text"]),
            (&"Grüße <script>".into(), &"Code:\n\n    ABC234\n".into())
        );
        assert!(mail["html"].as_str().unwrap().contains("<script>"));
        assert!(mail["at"].as_str().unwrap().ends_with('Z'));
    }

    #[tokio::test]
    async fn the_page_escapes_what_messages_hold() {
        let folder = tempfile::tempdir().unwrap();
        let page = body(&filled(folder.path()).await, "text/html,*/*").await;
        assert!(page.contains("Grüße &lt;script&gt;") && page.contains("ABC234"));
        assert!(!page.contains("<script"));
        assert!(page.contains("srcdoc=\"&lt;p title=&quot;x&quot;&gt;"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        filled(&folder.path().join("outbox")).await;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("outbox")), 0o700);
        assert_eq!(mode(&folder.path().join("outbox/01A.eml")), 0o600);
        assert_eq!(mode(&folder.path().join("outbox/01B.json")), 0o600);
    }
}
