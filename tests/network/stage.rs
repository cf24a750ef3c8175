//! A server, the services behind it, and users who have just registered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portico::aws::connect;
use portico::store::dynamo::SdkClient;
use portico_bench::connection::Connection;
use portico_bench::scenarios::registration;
use portico_tests::client::PASSWORD;
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::hosts::Host;
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

use crate::ledger::{Ledger, post};
use crate::life::Life;

/// What must not be in the way: limits of what one user, or one number, may have.
const VARIABLES: [(&str, &str); 4] = [
    ("SESSION_CACHE_SECONDS", "0"),
    ("SMS_DAILY_LIMIT", "1000000"),
    ("TRUSTED_PROXIES", "127.0.0.1"),
    ("USER_QUOTA_FILES", "1000000"),
];

/// How long an answer is waited for: far longer than any may take.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// A host and what it talks to.
pub struct Stage {
    pub emulators: Arc<Emulators>,
    pub server: SocketAddr,
    admin_token: String,
    host: Arc<dyn Host>,
}

impl Stage {
    /// The binary; its mail goes out by SMTP, its texts by SNS.
    pub async fn native() -> Self {
        let emulators = Arc::new(Emulators::start());
        let smtp_port = emulators.smtp_port().to_string();
        let senders = [
            ("MAILER", "smtp"),
            ("SMTP_HOST", "127.0.0.1"),
            ("SMTP_PORT", smtp_port.as_str()),
            ("SMS_SENDER", "sns"),
        ];
        let host = NativeHost::start_on_emulators(&emulators, &[&VARIABLES[..], &senders].concat()).await;
        let port = host.port();
        Self::with(emulators, Arc::new(host), port).await
    }

    /// The Worker; its mail goes to a relay.
    pub async fn edge() -> Self {
        let emulators = Arc::new(Emulators::start());
        let host = EdgeHost::start_on(&emulators, &VARIABLES).await;
        let port = host.port();
        Self::with(emulators, Arc::new(host), port).await
    }

    async fn with(emulators: Arc<Emulators>, host: Arc<dyn Host>, port: u16) -> Self {
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        host.create_admin("root", "root@example.com", PASSWORD).await;
        let login = json!({ "username": "root", "password": PASSWORD });
        let auth = post(&mut Connection::new(server, PATIENCE), "/v1/sessions/login", None, login).await;
        Self { emulators, server, admin_token: text(&auth, "/access_token"), host }
    }

    /// The lives of new users, who are signed in.
    pub async fn cast(&self, count: usize) -> Vec<Life> {
        let mut lives = Vec::new();
        for index in 0..count {
            let username = format!("user-{index}");
            let mut connection = Connection::new(self.server, PATIENCE);
            let auth = post(&mut connection, "/v1/users", None, registration(&username, PASSWORD)).await;
            let ledger = Ledger {
                id: text(&auth, "/user/id"),
                refresh_token: text(&auth, "/refresh_token"),
                files: Vec::new(),
                registered: vec![username.clone()],
                notifications: Vec::new(),
                texts: 0,
                username,
            };
            lives.push(Life::new(index, &self.admin_token, ledger, text(&auth, "/access_token")));
        }
        lives
    }

    /// A client of the tables, past the server.
    pub async fn tables(&self) -> SdkClient {
        SdkClient::new(&connect(&self.emulators.settings()).await)
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stage of {:?}", self.host)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}: {value}")).to_owned()
}
