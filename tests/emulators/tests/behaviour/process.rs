//! A running program, and requests to it.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The program, ended with the test.
pub(crate) struct Emulators {
    pub(crate) child: Child,
    pub(crate) endpoint: String,
    line: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Emulators {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |_| {})
    }

    /// Starts the program on ports that the system chooses, and waits until it is ready.
    pub(crate) fn start_with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico-emulators"));
        command.args(["--port", "0", "--smtp-port", "0"]).args(arguments).stdout(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.split_whitespace().find(|word| word.starts_with("http://"));
        let endpoint = endpoint.unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { child, endpoint, line, client }
    }

    /// The port that a scheme of the line printed at the start names.
    pub(crate) fn port(&self, scheme: &str) -> u16 {
        let start = format!("{scheme}://");
        let mut words = self.line.split([' ', ',', '\n']);
        let address = words.find_map(|word| word.strip_prefix(&start)).unwrap();
        address.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Answer, Failed> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body)))?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }

    /// Asks the emulators about themselves.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(method, &format!("{}{path}", self.endpoint), &[], body.as_bytes()).await.unwrap()
    }

    pub(crate) async fn admin_json(&self, path: &str) -> Value {
        let answer = self.admin("GET", path, "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub(crate) async fn add_fault(&self, rule: Value) {
        let answer = self.admin("POST", "/_faults", &rule.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Asks the program to stop, and tells how it did.
    pub(crate) fn terminate(mut self, signal: &str) -> std::process::ExitStatus {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The error's code, in whichever protocol.
    pub(crate) fn code(&self) -> String {
        let text = self.text();
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            return value["__type"]
                .as_str()
                .unwrap_or_default()
                .rsplit('#')
                .next()
                .unwrap_or_default()
                .to_owned();
        }
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map(|(code, _)| code.to_owned()).unwrap_or_default()
    }
}
