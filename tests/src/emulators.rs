//! What stands in for AWS: the program in `tests/emulators`, started for one test and gone with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portico::entropy::SystemEntropy;
use portico::env::{AwsCredentials, AwsSettings};
use portico::http_client::HyperClient;
use portico_core::ports::clock::Clock;
use portico_core::secret::Secret;
use portico_edge::aws::account::Account;
use serde_json::Value;

use crate::client::Answer;

/// The key that they know.
const KEY: &str = "test";

/// The region that they are asked in; any would do.
const REGION: &str = "us-east-1";

/// Names a program to start instead of building one.
const PROGRAM: &str = "PORTICO_EMULATORS";

/// Running emulators of DynamoDB, S3, SNS and a mail server, empty at first.
#[derive(Debug)]
pub struct Emulators {
    child: Child,
    url: String,
    smtp_port: u16,
}

impl Emulators {
    /// Starts them.
    ///
    /// # Panics
    /// When they do not build or start: without them, what wants them has not been tested.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts them with more arguments; ports that those do not name are the system's choice.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        for port in ["--port", "--smtp-port"].into_iter().filter(|port| !arguments.contains(port)) {
            command.args([port, "0"]);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the emulators start");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("the emulators say something");
        let (url, smtp_port) = read_ready(&line).unwrap_or_else(|| panic!("the emulators said {line:?}"));
        Self { child, url, smtp_port }
    }

    /// Where they answer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where they take mail.
    #[must_use]
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// The variables that lead the program to them.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
        ]
    }

    /// The settings that lead a client to them.
    #[must_use]
    pub fn settings(&self) -> AwsSettings {
        self.settings_with(KEY, KEY)
    }

    /// The same, with other credentials.
    #[must_use]
    pub fn settings_with(&self, key: &str, secret: &str) -> AwsSettings {
        AwsSettings {
            region: REGION.to_owned(),
            endpoint_url: Some(self.url.clone()),
            credentials: Some(AwsCredentials {
                access_key_id: key.to_owned(),
                secret_access_key: Secret::new(secret),
                session_token: None,
            }),
            sns_region: REGION.to_owned(),
            sns_sender_id: None,
        }
    }

    /// What makes a client that talks to them.
    #[must_use]
    pub fn config(&self) -> SdkConfig {
        self.config_with(KEY, KEY)
    }

    /// The same, with other credentials.
    #[must_use]
    pub fn config_with(&self, key: &str, secret: &str) -> SdkConfig {
        config(&self.settings_with(key, secret))
    }

    /// Adds a rule, or several, by which they misbehave; see `tests/emulators/README.md`.
    ///
    /// # Panics
    /// When they do not understand it.
    pub async fn misbehave(&self, rules: Value) {
        self.ask(Method::POST, "/_faults", rules.to_string()).await;
    }

    /// Takes back all rules.
    ///
    /// # Panics
    /// When they do not answer.
    pub async fn behave(&self) {
        self.ask(Method::DELETE, "/_faults", String::new()).await;
    }

    /// How often an operation was called since the start, or since [`Self::forget_calls`].
    ///
    /// # Panics
    /// When they do not answer.
    pub async fn calls(&self, service: &str, operation: &str) -> u64 {
        let calls = self.ask(Method::GET, "/_calls", String::new()).await;
        calls["counts"][service][operation].as_u64().unwrap_or(0)
    }

    /// Counts calls anew.
    ///
    /// # Panics
    /// When they do not answer.
    pub async fn forget_calls(&self) {
        self.ask(Method::DELETE, "/_calls", String::new()).await;
    }

    /// What they tell of themselves under a path.
    ///
    /// # Panics
    /// When they do not.
    pub async fn tell(&self, path: &str) -> Value {
        self.ask(Method::GET, path, String::new()).await
    }

    /// What they give under a path, as it is.
    ///
    /// # Panics
    /// When they do not.
    pub async fn read(&self, path: &str) -> Bytes {
        let request = Request::get(format!("{}{path}", self.url)).body(Bytes::new()).expect("a request");
        send(request).await.expect(200).bytes
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Value {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let Answer { status, bytes, .. } = send(request.body(body.into()).expect("a request")).await;
        assert!((200..300).contains(&status), "{path}: {}", String::from_utf8_lossy(&bytes));
        if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") }
    }
}

/// What makes a client of Amazon's SDK that keeps to settings with an address and a key.
///
/// # Panics
/// Without them.
#[must_use]
pub fn config(settings: &AwsSettings) -> SdkConfig {
    let AwsCredentials { access_key_id, secret_access_key, .. } =
        settings.credentials.as_ref().expect("a key");
    let credentials = Credentials::new(access_key_id, secret_access_key.expose(), None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .endpoint_url(settings.endpoint_url.as_deref().expect("an address"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// What signs and sends requests as the edge does, with native's HTTP client.
///
/// # Panics
/// When the settings hold no credentials.
#[must_use]
pub fn account(settings: &AwsSettings, clock: Arc<dyn Clock>) -> Account {
    Account {
        key: settings.credentials.clone().expect("credentials"),
        settings: settings.clone(),
        http: Arc::new(HyperClient::default()),
        clock,
        entropy: Arc::new(SystemEntropy),
    }
}

/// Sends a request as anybody could, to wherever its URL leads.
///
/// # Panics
/// When there is no whole answer.
pub async fn send(request: Request<Bytes>) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let (parts, body) = client.request(request.map(Full::new)).await.expect("an answer").into_parts();
    let bytes = body.collect().await.expect("a whole answer").to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
}

impl Drop for Emulators {
    /// Asks them to stop, so that they remove what they wrote.
    fn drop(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _killed = self.child.kill();
        }
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // A connection that they were told to stall keeps them.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The addresses in the line that tells that all is ready.
fn read_ready(line: &str) -> Option<(String, u16)> {
    let (_, rest) = line.split_once(" listen on ")?;
    let (url, rest) = rest.split_once(' ')?;
    let (_, mail) = rest.split_once("smtp://")?;
    // Further ports may follow.
    let (_, port) = mail.split(',').next()?.trim_end().split_once(':')?;
    Some((url.to_owned(), port.parse().ok()?))
}

/// The program, built if it is not up to date.
fn program() -> &'static Path {
    static PROGRAM_PATH: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM_PATH.get_or_init(|| match std::env::var_os(PROGRAM) {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Builds them beside the product, in a folder of their own: they are another workspace.
fn build() -> PathBuf {
    let test_program = std::env::current_exe().expect("a path");
    // target/<profile>/deps/<test program>
    let target = test_program.ancestors().nth(3).expect("a target folder").join("emulators");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators/Cargo.toml");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the emulators do not build");
    target.join("debug/portico-emulators")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_the_addresses() {
        let line = "emulators listen on http://127.0.0.1:4566 (DynamoDB, S3, SNS), smtp://127.0.0.1:1025\n";
        assert_eq!(read_ready(line), Some(("http://127.0.0.1:4566".to_owned(), 1025)));
        assert_eq!(read_ready(""), None);
    }
}
