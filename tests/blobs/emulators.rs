//! The emulators, a process for each test, stopped at its end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portico_tests::client::Answer;
use serde_json::Value;

/// Running emulators.
#[derive(Debug)]
pub struct Emulators {
    child: Child,
    url: String,
}

impl Emulators {
    /// Starts them on a port of the system's choice; they are built first if need be.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["--port", "0", "--smtp-port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulators start");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("their output"));
        output.read_line(&mut line).expect("a line once they are ready");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_else(|| panic!("the emulators say {line:?}")).to_owned();
        Self { child, url }
    }

    /// Where they listen.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What clients need to talk to them.
    pub fn config(&self) -> SdkConfig {
        self.config_with("test", "test")
    }

    /// The same, with other credentials.
    pub fn config_with(&self, key: &str, secret: &str) -> SdkConfig {
        let credentials = Credentials::new(key, secret, None, None, "tests");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

    /// Lets them misbehave from now on.
    pub async fn misbehave(&self, rule: Value) {
        let request =
            Request::post(self.at("/_faults")).body(Bytes::from(rule.to_string())).expect("a request");
        send(request).await.expect(201);
    }

    /// Lets them behave again.
    pub async fn behave(&self) {
        self.ask(Method::DELETE, "/_faults").await.expect(204);
    }

    /// How often an operation was called since they were last forgotten.
    pub async fn calls(&self, service: &str, operation: &str) -> u64 {
        let record = self.ask(Method::GET, "/_calls").await.expect(200).json();
        record["counts"][service][operation].as_u64().unwrap_or_default()
    }

    /// Forgets what was called.
    pub async fn forget_calls(&self) {
        self.ask(Method::DELETE, "/_calls").await.expect(204);
    }

    /// Asks them something without a body.
    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        send(Request::builder().method(method).uri(self.at(path)).body(Bytes::new()).expect("a request"))
            .await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends a request as anybody could.
pub async fn send(request: Request<Bytes>) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let (parts, body) = client.request(request.map(Full::new)).await.expect("an answer").into_parts();
    let bytes = body.collect().await.expect("a whole answer").to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
}

/// The program, built; or that which `PORTICO_EMULATORS` names.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var_os("PORTICO_EMULATORS").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("../../target"), PathBuf::from);
    let target = target.join("emulators");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(root.join("Cargo.toml"));
    let status = cargo.env("CARGO_TARGET_DIR", &target).status().expect("cargo");
    assert!(status.success(), "the emulators cannot be built: {status}");
    target.join("debug/portico-emulators")
}
