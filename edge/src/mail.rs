//! E-mail by HTTP: posted to a mail relay, or to a mail service's API.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use portico_core::ports::http_client::HttpClient;
use portico_core::ports::mailer::{Mail, Mailer, SendError};
use portico_core::secret::Secret;
use serde_json::{Value, json};

/// By which a mail that is sent again is known (IETF draft-ietf-httpapi-idempotency-key-header).
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the address understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// A mail relay, such as `portico relay`: `{from, to, subject, text, html, message_id}`.
    Relay,
    /// Resend's `POST /emails`.
    Resend,
}

/// Where mail is posted.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// What the address understands.
    pub api: Api,
    /// The address.
    pub url: String,
    /// The bearer token (RFC 6750).
    pub token: Secret,
    /// The sender of all mail: an address, or `Name <address>`.
    pub from: String,
}

/// Posts each message.
pub struct HttpMailer {
    settings: MailSettings,
    http: Arc<dyn HttpClient>,
}

impl HttpMailer {
    /// Posts by this client.
    #[must_use]
    pub fn new(settings: MailSettings, http: Arc<dyn HttpClient>) -> Self {
        Self { settings, http }
    }

    fn body(&self, mail: &Mail) -> Value {
        let MailSettings { from, .. } = &self.settings;
        let Mail { id, to, subject, text, html } = mail;
        match self.settings.api {
            Api::Relay => json!({
                "from": from, "to": to, "subject": subject, "text": text, "html": html, "message_id": id,
            }),
            Api::Resend => json!({
                "from": from, "to": [to], "subject": subject, "text": text, "html": html,
                // No out-of-office replies (RFC 3834, section 5).
                "headers": { "Auto-Submitted": "auto-generated" },
            }),
        }
    }

    fn request(&self, mail: &Mail) -> Result<Request<Bytes>, SendError> {
        let unfit = |_| SendError::temporary("MAIL_RELAY_URL or MAIL_RELAY_TOKEN fits in no HTTP request");
        let authorization = format!("Bearer {}", self.settings.token.expose());
        let mut authorization = HeaderValue::try_from(authorization).map_err(|error| unfit(error.into()))?;
        authorization.set_sensitive(true);
        Request::post(&self.settings.url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/json")
            .header(&IDEMPOTENCY_KEY, &mail.id)
            .body(Bytes::from(self.body(mail).to_string()))
            .map_err(unfit)
    }
}

#[async_trait]
impl Mailer for HttpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let answer = self.http.send(self.request(mail)?).await;
        let answer = answer.map_err(|error| SendError::temporary(format!("the mail relay: {error}")))?;
        accept(answer.status())
    }
}

/// Only a refusal of this very message is final: a wrong address or token is the operator's to mend, and the message
/// outlives the mending.
fn accept(status: StatusCode) -> Result<(), SendError> {
    let detail = format!("the mail relay answers {}", status.as_u16());
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(SendError::temporary(format!("{detail}: check MAIL_RELAY_TOKEN")))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(SendError::temporary(format!("{detail}: check MAIL_RELAY_URL")))
        }
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(SendError::permanent(format!("{detail}: the recipient or the text is refused")))
        }
        _ => Err(SendError::temporary(detail)),
    }
}

impl fmt::Debug for HttpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMailer").field("api", &self.settings.api).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
