//! What servers of the API are usually asked.

use serde_json::{Value, json};

use crate::connection::Outcome;
use crate::scenario::{Call, Scenario};

/// `GET /v1/health-check/ping`.
#[derive(Clone, Copy, Debug)]
pub struct Ping;

impl Scenario for Ping {
    fn next(&mut self) -> Call {
        Call::get("ping", "/v1/health-check/ping", None)
    }
}

/// `GET /v1/sessions` with an access token.
#[derive(Clone, Debug)]
pub struct Read {
    /// The access token.
    pub access_token: String,
}

impl Scenario for Read {
    fn next(&mut self) -> Call {
        Call::get("read", "/v1/sessions", Some(&self.access_token))
    }
}

/// A chain of refreshes: each answer holds the token of the next request.
///
/// Without an answer the token stays: the server either did not rotate it, or takes it once more.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The refresh token.
    pub refresh_token: String,
}

impl Scenario for Refresh {
    fn next(&mut self) -> Call {
        Call::post("refresh", "/v1/sessions/refresh", None, &json!({ "refresh_token": self.refresh_token }))
    }

    fn note(&mut self, outcome: &Outcome) {
        if let Some(token) = member(outcome, 200, "refresh_token") {
            self.refresh_token = token;
        }
    }
}

/// `POST /v1/sessions/login`, as the same user each time.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
    /// The device.
    pub device: String,
}

impl Scenario for SignIn {
    fn next(&mut self) -> Call {
        let Self { username, password, device } = self;
        let body = json!({ "username": username, "password": password, "device_uuid": device });
        Call::post("sign in", "/v1/sessions/login", None, &body)
    }
}

/// `POST /v1/users`, another user each time.
#[derive(Clone, Debug)]
pub struct Register {
    /// How the names begin.
    pub prefix: String,
    /// The password of all.
    pub password: String,
    made: u64,
}

impl Register {
    /// Users whose names begin so.
    #[must_use]
    pub fn new(prefix: &str, password: &str) -> Self {
        Self { prefix: prefix.to_owned(), password: password.to_owned(), made: 0 }
    }
}

impl Scenario for Register {
    fn next(&mut self) -> Call {
        self.made += 1;
        let username = format!("{}-{}", self.prefix, self.made);
        Call::post("register", "/v1/users", None, &registration(&username, &self.password))
    }
}

/// `POST /v1/files`, the same content each time.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The access token.
    pub access_token: String,
    /// The content.
    pub content: Vec<u8>,
}

impl Scenario for Upload {
    fn next(&mut self) -> Call {
        Call::upload("upload", &self.access_token, &self.content)
    }
}

/// The body of a registration.
#[must_use]
pub fn registration(username: &str, password: &str) -> Value {
    json!({
        "username": username,
        "password": password,
        "email": format!("{username}@example.com"),
        "first_name": "Ada",
        "last_name": "Lovelace",
    })
}

/// A text in the JSON body of an answer, if it has the status.
#[must_use]
pub fn member(outcome: &Outcome, status: u16, name: &str) -> Option<String> {
    let answer = outcome.as_ref().ok().filter(|answer| answer.status == status)?;
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(body.pointer(&format!("/{name}"))?.as_str()?.to_owned())
}
