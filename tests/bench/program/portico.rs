//! The server that is measured: a release binary in a folder of its own, with the settings that operators have.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use portico_bench::connection::{Answer, Connection};
use portico_bench::scenario::{Call, Scenario};
use portico_bench::scenarios::{Ping, SignIn, registration};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, free_address};

/// The path that a server answers first.
pub(crate) const PING: &str = "/v1/health-check/ping";

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The key in a server's folder.
const KEY: &str = "private_key.pem";

/// What differs from the defaults: the load comes from one address, and its mail goes nowhere.
const VARIABLES: [(&str, &str); 5] = [
    ("LOG_LEVEL", "warn"),
    ("MAILER", "outbox"),
    ("RATE_LIMIT_PER_SECOND", "1000000"),
    ("RATE_LIMIT_BURST", "1000000"),
    ("JWT_PRIVATE_KEY_PATH", KEY),
];

/// A running server.
#[derive(Debug)]
pub(crate) struct Portico {
    /// Its process, which ends before its folder goes.
    pub(crate) process: Process,
    folder: TempDir,
}

/// Somebody who has an account and is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) username: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Portico {
    /// Starts it in a new folder below `scratch`.
    ///
    /// # Errors
    /// In words for whoever runs this.
    pub(crate) fn start(
        binary: &Path,
        scratch: &Path,
        cores: &[usize],
        more: &[(&str, &str)],
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
        make_key(binary, folder.path())?;
        let process = serve(binary, folder.path(), cores, more)?;
        Ok(Self { process, folder })
    }

    /// The key that it signs with.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join(KEY)
    }

    /// Makes accounts whose names begin so.
    ///
    /// # Errors
    /// When one of them is refused.
    pub(crate) async fn register(&self, prefix: &str, count: usize) -> Result<Vec<Person>, String> {
        let mut connection = self.connection();
        let mut people = Vec::new();
        for index in 0..count {
            let username = format!("{prefix}-{index}");
            let body = registration(&username, PASSWORD);
            let call = Call::post("register", "/v1/users", None, &body);
            people.push(person(username, &exchange(&mut connection, call).await?)?);
        }
        Ok(people)
    }

    /// Signs somebody in who has an account.
    ///
    /// # Errors
    /// When that is refused.
    pub(crate) async fn sign_in(&self, username: String) -> Result<Person, String> {
        let mut scenario = sign_in(username.clone(), 0);
        person(username, &exchange(&mut self.connection(), scenario.next()).await?)
    }

    /// What it answers to a ping.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn pong(&self) -> Result<Answer, String> {
        exchange(&mut self.connection(), Ping.next()).await
    }

    fn connection(&self) -> Connection {
        Connection::new(self.process.address, Duration::from_secs(60))
    }
}

/// Makes the key of a server that is to run in a folder.
///
/// # Errors
/// When the program does not make one.
pub(crate) fn make_key(binary: &Path, folder: &Path) -> Result<(), String> {
    let mut command = Command::new(binary);
    command.args(["keys", "generate", "--out"]).arg(folder);
    let output = command.output().map_err(|error| format!("{}: {error}", binary.display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{} makes no key: {}", binary.display(), String::from_utf8_lossy(&output.stderr)))
}

/// Starts a server on what is in a folder.
///
/// # Errors
/// In words for whoever runs this.
pub(crate) fn serve(
    binary: &Path,
    folder: &Path,
    cores: &[usize],
    more: &[(&str, &str)],
) -> Result<Process, String> {
    let address = free_address();
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .env_clear()
        .current_dir(folder)
        .env("APP_PORT", address.port().to_string())
        .env("DATA_DIR", "data")
        .envs(VARIABLES)
        .envs(more.iter().copied())
        .stderr(Stdio::inherit());
    Process::start(command, cores, address, PING)
}

/// Sign-ins of somebody, on a device of each connection's own.
pub(crate) fn sign_in(username: String, connection: usize) -> SignIn {
    SignIn { username, password: PASSWORD.to_owned(), device: format!("device-{connection}") }
}

/// One request that must succeed.
///
/// # Errors
/// When it does not.
pub(crate) async fn exchange(connection: &mut Connection, call: Call) -> Result<Answer, String> {
    let name = call.name;
    match connection.exchange(call.request).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(answer),
        Ok(answer) => Err(format!("{name}: {} {}", answer.status, String::from_utf8_lossy(&answer.body))),
        Err(failure) => Err(format!("{name}: {failure:?}")),
    }
}

/// A text in the JSON of an answer.
///
/// # Errors
/// When it is not there.
pub(crate) fn text(answer: &Answer, pointer: &str) -> Result<String, String> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let found = body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| format!("an answer without {pointer}"))
}

/// Who was signed in by an answer.
///
/// # Errors
/// When it holds no tokens.
pub(crate) fn person(username: String, answer: &Answer) -> Result<Person, String> {
    let (access_token, refresh_token) = (text(answer, "/access_token")?, text(answer, "/refresh_token")?);
    Ok(Person { username, access_token, refresh_token })
}
