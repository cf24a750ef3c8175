//! Requests and answers, and users who make them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use crate::contract;
use crate::hosts::Host;
use crate::messages::Message;
use crate::transcript::Transcript;

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Bytes,
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The problem's code; empty if it is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Asserts a problem's status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        self
    }

    /// Asserts a 422 with exactly these pointers and codes.
    #[track_caller]
    pub fn expect_invalid(self, errors: &[(&str, &str)]) -> Self {
        let body = self.clone().expect(422).json();
        let mut found: Vec<(String, String)> = body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| {
                let member = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
                (member("pointer"), member("code"))
            })
            .collect();
        let mut wanted: Vec<(String, String)> =
            errors.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{body:#}");
        self
    }
}

/// Somebody who talks to a host; every answer is held against the API description and kept in the transcript.
#[derive(Clone, Debug)]
pub struct Client {
    host: Arc<dyn Host>,
    transcript: Transcript,
    token: Option<String>,
}

impl Client {
    /// Somebody without an account.
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host, transcript: Transcript::default(), token: None }
    }

    /// The same conversation, with another access token or none.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self.clone() }
    }

    /// What was said so far, by everybody who came from the same client.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        let method = request.method().to_string();
        let path = request.uri().path_and_query().map_or("/", |text| text.as_str()).to_owned();
        let answer = self.host.send(request).await;
        contract::check(&method, &path, &answer);
        assert_ne!(answer.status, 500, "{method} {path}: {}", answer.text());
        self.transcript.record(&method, &path, &answer);
        answer
    }

    /// Sends a request with a JSON body, or none.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.send(self.request(method, path, body)).await
    }

    /// A request with this client's token and a JSON body, or none.
    #[must_use]
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Request<Bytes> {
        let mut builder = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            builder = builder.header("authorization", format!("Bearer {token}"));
        }
        let bytes = match body {
            Some(body) => {
                builder = builder.header("content-type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        builder.body(bytes).expect("a well-formed request")
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(&body)).await
    }

    /// POST without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        self.call(Method::POST, path, None).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(&body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Registers a user and returns them, signed in.
    pub async fn register(&self, username: &str) -> User {
        User::of(self, username, &self.post("/v1/users", registration(username)).await.expect(201))
    }

    /// An Admin, made on the host and signed in.
    pub async fn admin(&self, username: &str) -> User {
        let email = format!("{username}@example.com");
        self.host.create_admin(username, &email, PASSWORD).await;
        self.sign_in(username).await
    }

    /// Signs in with the usual password.
    pub async fn sign_in(&self, username: &str) -> User {
        let body = json!({"username": username, "password": PASSWORD});
        User::of(self, username, &self.post("/v1/sessions/login", body).await.expect(200))
    }

    /// Waits for the newest message to an address or number.
    ///
    /// # Panics
    /// When none comes within some seconds.
    pub async fn newest_message_to(&self, to: &str) -> Message {
        self.messages_to(to, 1).await.pop().expect("at least one message")
    }

    /// Waits until at least so many messages have come to an address or number; oldest first.
    ///
    /// # Panics
    /// When they do not come within some seconds.
    pub async fn messages_to(&self, to: &str, at_least: usize) -> Vec<Message> {
        for _ in 0..200 {
            let messages: Vec<Message> =
                self.host.messages().await.into_iter().filter(|message| message.to == to).collect();
            if messages.len() >= at_least {
                return messages;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{at_least} messages to {to} did not come");
    }
}

/// The password that test users have.
pub const PASSWORD: &str = "correct horse battery";

/// A registration of a user with the usual password.
#[must_use]
pub fn registration(username: &str) -> Value {
    json!({
        "username": username,
        "password": PASSWORD,
        "email": format!("{username}@example.com"),
        "first_name": "Ada",
        "last_name": "Lovelace",
    })
}

/// A signed-in user.
#[derive(Clone, Debug)]
pub struct User {
    /// Talks as the user.
    pub client: Client,
    /// The username.
    pub username: String,
    /// The user's id.
    pub id: String,
    /// The session's id.
    pub session_id: String,
    /// The device's id.
    pub device_id: String,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
}

impl User {
    /// The user that an *Auth* answer signed in.
    #[must_use]
    pub fn of(client: &Client, username: &str, auth: &Answer) -> Self {
        let body = auth.json();
        let text = |pointer: &str| {
            body.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_else(|| panic!("{pointer}: {body:#}"))
                .to_owned()
        };
        let access_token = text("/access_token");
        Self {
            client: client.with_token(Some(&access_token)),
            username: username.to_owned(),
            id: text("/user/id"),
            session_id: text("/session/id"),
            device_id: text("/session/device_id"),
            access_token,
            refresh_token: text("/refresh_token"),
        }
    }

    /// The user's address.
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@example.com", self.username)
    }

    /// Exchanges a refresh token.
    pub async fn refresh_with(&self, token: &str) -> Answer {
        let body = json!({"refresh_token": token});
        self.client.with_token(None).post("/v1/sessions/refresh", body).await
    }

    /// The path of the user.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/v1/users/{}", self.id)
    }
}
