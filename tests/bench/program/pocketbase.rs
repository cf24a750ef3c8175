//! PocketBase, under the same load: a backend in one binary as well, that others know how fast it is.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use portico_bench::connection::{Connection, Outcome};
use portico_bench::scenario::{Call, Scenario};
use portico_bench::scenarios::member;
use serde_json::json;
use tempfile::TempDir;

use crate::portico::{PASSWORD, exchange, text};
use crate::process::{Process, free_address};

/// The auth collection that a new PocketBase has.
const USERS: &str = "/api/collections/users";

/// A running PocketBase.
#[derive(Debug)]
pub(crate) struct PocketBase {
    /// Its process, which ends before its folder goes.
    pub(crate) process: Process,
    _folder: TempDir,
}

/// Somebody who has a record and is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// Reads of somebody's own record.
#[derive(Clone, Debug)]
pub(crate) struct ReadRecord(pub(crate) Person);

/// A chain of refreshes: each answer holds the token of the next request.
#[derive(Clone, Debug)]
pub(crate) struct RefreshToken(pub(crate) Person);

impl PocketBase {
    /// Starts it in a new folder below `scratch`, with the settings that it has by itself.
    ///
    /// # Errors
    /// In words for whoever runs this.
    pub(crate) fn start(program: &Path, scratch: &Path, cores: &[usize]) -> Result<Self, String> {
        let folder = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
        let address = free_address();
        let mut command = Command::new(program);
        command
            .args(["serve", &format!("--http={address}"), "--dir"])
            .arg(folder.path().join("data"))
            .stderr(Stdio::null());
        let process = Process::start(command, cores, address, "/api/health")?;
        Ok(Self { process, _folder: folder })
    }

    /// Makes records of people, and signs them in.
    ///
    /// # Errors
    /// When one of them is refused.
    pub(crate) async fn register(&self, count: usize) -> Result<Vec<Person>, String> {
        let mut connection = Connection::new(self.process.address, Duration::from_secs(60));
        let mut people = Vec::new();
        for index in 0..count {
            let email = format!("user-{index}@example.com");
            let body =
                json!({ "email": email, "password": PASSWORD, "passwordConfirm": PASSWORD, "name": "Ada" });
            let path = format!("{USERS}/records");
            exchange(&mut connection, Call::post("register", &path, None, &body)).await?;
            let body = json!({ "identity": email, "password": PASSWORD });
            let path = format!("{USERS}/auth-with-password");
            let answer = exchange(&mut connection, Call::post("sign in", &path, None, &body)).await?;
            people.push(Person { id: text(&answer, "/record/id")?, token: text(&answer, "/token")? });
        }
        Ok(people)
    }
}

impl Scenario for ReadRecord {
    fn next(&mut self) -> Call {
        let Person { id, token } = &self.0;
        Call::get("read", &format!("{USERS}/records/{id}"), Some(token))
    }
}

impl Scenario for RefreshToken {
    fn next(&mut self) -> Call {
        let path = format!("{USERS}/auth-refresh");
        Call::new("refresh", Method::POST, &path, Some(&self.0.token), None, Bytes::new())
    }

    fn note(&mut self, outcome: &Outcome) {
        if let Some(token) = member(outcome, 200, "token") {
            self.0.token = token;
        }
    }
}
