//! A session as stored, and as shown.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::App;
use crate::attributes;
use crate::auth::{access_token, refresh_token};
use crate::error::Error;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::users::model::{User, UserView};

/// A session. Neither of its tokens is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The id, a ULID; new at every sign-in.
    pub session_id: String,
    /// Whose it is.
    pub user_id: String,
    /// The device it is bound to.
    #[serde(default)]
    pub device_id: String,
    /// Whether it goes on.
    #[serde(default = "attributes::enabled")]
    pub enable: bool,
    /// The session's own random bytes (hex), from which its refresh tokens derive.
    #[serde(default)]
    pub refresh_random: String,
    /// Which of its refresh tokens is the present one.
    #[serde(default)]
    pub refresh_counter: u64,
    /// When the present refresh token replaced the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// When the session ends unless it is refreshed.
    #[serde(default)]
    pub refresh_expires_at: Timestamp,
    /// A refresh token of the older system, accepted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The address that signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The client that signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// When it was last refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it began.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When its record last changed.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// When the record is dropped, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<i64>,
}

impl Session {
    /// When it ends however often it is refreshed, if it may last so many seconds. One of unknown age begins now.
    #[must_use]
    pub fn absolute_end(&self, max_seconds: i64, now: Timestamp) -> Timestamp {
        let began = if self.created_at == Timestamp::default() { now } else { self.created_at };
        began.plus_seconds(max_seconds)
    }

    /// Whether it has lasted as long as a session may.
    #[must_use]
    pub fn is_too_old(&self, max_seconds: i64, now: Timestamp) -> bool {
        self.absolute_end(max_seconds, now) <= now
    }

    /// The session as its owner sees it.
    #[must_use]
    pub fn view(&self) -> SessionView<'_> {
        SessionView {
            id: &self.session_id,
            user_id: &self.user_id,
            device_id: &self.device_id,
            enable: self.enable,
            created: self.created_at,
            updated: self.updated_at,
        }
    }

    /// The session in a list of sessions.
    #[must_use]
    pub fn listed(&self, current: &str) -> ListedSession<'_> {
        ListedSession {
            session: self.view(),
            current: self.session_id == current,
            ip: self.ip.as_deref(),
            user_agent: self.user_agent.as_deref(),
            last_used: self.last_used_at.unwrap_or(self.updated_at),
        }
    }
}

/// *Session* in the API.
#[derive(Debug, Serialize)]
pub struct SessionView<'a> {
    /// The id.
    pub id: &'a str,
    user_id: &'a str,
    device_id: &'a str,
    enable: bool,
    created: Timestamp,
    updated: Timestamp,
}

/// *ListedSession* in the API.
#[derive(Debug, Serialize)]
pub struct ListedSession<'a> {
    /// What every session shows.
    #[serde(flatten)]
    pub session: SessionView<'a>,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    last_used: Timestamp,
}

/// *TokenPair* in the API.
#[derive(Debug, Serialize)]
pub struct TokenPair {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// A session that has begun, and the tokens that its owner gets.
#[derive(Debug)]
pub struct Begun {
    /// The session.
    pub session: Session,
    /// Its tokens.
    pub tokens: TokenPair,
}

/// *Auth* in the API: what signing in answers.
#[derive(Debug, Serialize)]
pub struct Auth<'a> {
    #[serde(flatten)]
    tokens: &'a TokenPair,
    session: SessionView<'a>,
    user: UserView<'a>,
}

impl TokenPair {
    /// Fresh tokens of a session: a new access token, and its present refresh token.
    ///
    /// # Errors
    /// 503 when the signer refuses.
    pub async fn of(app: &Arc<App>, user: &User, session: &Session) -> Result<Self, Error> {
        Ok(Self {
            access_token: access_token::issue(app, user, session).await?,
            refresh_token: present_token(app, session).expose().to_owned(),
            token_type: "Bearer",
            expires_in: app.settings.access_token_seconds,
        })
    }
}

impl<'a> Auth<'a> {
    /// The answer to signing in.
    #[must_use]
    pub fn of(user: &'a User, begun: &'a Begun) -> Self {
        Self { tokens: &begun.tokens, session: begun.session.view(), user: user.view() }
    }
}

/// A session's present refresh token.
fn present_token(app: &App, session: &Session) -> Secret {
    refresh_token::derive(
        &app.server_keys.refresh,
        &session.session_id,
        &session.user_id,
        session.refresh_counter,
        session.refresh_random.as_bytes(),
    )
}
