//! The real binary, in a folder of its own, talked to over a real socket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portico_bench::ports::free_port;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::client::Answer;
use crate::emulators::Emulators;
use crate::hosts::Host;
use crate::lab::{TEST_VARIABLES, test_key_pem};
use crate::messages::Message;
use crate::metrics;

/// The variable that says where metrics are shown.
const METRICS: &str = "METRICS_ADDR";

/// A running `portico`.
pub struct NativeHost {
    dir: Arc<TempDir>,
    port: u16,
    variables: Vec<(String, String)>,
    child: Mutex<Option<Child>>,
    /// What it talks to, if it keeps nothing itself.
    emulators: Option<Arc<Emulators>>,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

impl NativeHost {
    /// Starts the server in a new folder.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts the server in a new folder, with more variables.
    ///
    /// # Panics
    /// When it does not answer within some seconds.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let host = Self::prepare(variables, None);
        host.serve().await;
        host
    }

    /// Starts the server in a new folder, and emulators of AWS that it keeps everything in; messages go to its outbox.
    pub async fn start_on_aws() -> Self {
        Self::start_on_aws_with(&[]).await
    }

    /// The same, with more variables; a later value of a name wins.
    pub async fn start_on_aws_with(more: &[(&str, &str)]) -> Self {
        Self::start_on_emulators(&Arc::new(Emulators::start()), more).await
    }

    /// Starts the server in a new folder, on emulators that others may be on as well, with more variables. Unless those
    /// say otherwise, messages go to its outbox; it shows metrics and logs warnings.
    pub async fn start_on_emulators(emulators: &Arc<Emulators>, variables: &[(&str, &str)]) -> Self {
        let host = Self::prepare_on_emulators(emulators, variables);
        host.serve().await;
        host
    }

    /// The same, with nothing started yet.
    #[must_use]
    pub fn prepare_on_emulators(emulators: &Arc<Emulators>, variables: &[(&str, &str)]) -> Self {
        let metrics = format!("127.0.0.1:{}", free_port());
        let usual = [
            ("STORAGE_BACKEND", "aws"),
            ("MAILER", "outbox"),
            ("SMS_SENDER", "outbox"),
            ("LOG_LEVEL", "warn"),
            (METRICS, &metrics),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let theirs = emulators.variables().map(|(name, value)| (name.to_owned(), value));
        let variables = usual.iter().map(owned).chain(theirs).chain(variables.iter().map(owned));
        Self::prepare(variables.collect(), Some(Arc::clone(emulators)))
    }

    fn prepare(variables: Vec<(String, String)>, emulators: Option<Arc<Emulators>>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("key.pem"), test_key_pem()).expect("a key file");
        Self {
            dir: Arc::new(dir),
            port: free_port(),
            variables,
            child: Mutex::new(None),
            emulators,
            http: HyperClient::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The emulators that the server keeps everything in, if it does.
    #[must_use]
    pub fn emulators(&self) -> Option<&Emulators> {
        self.emulators.as_deref()
    }

    /// Where the server listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server, as a power cut would, and starts it again on the same data.
    pub async fn kill_and_restart(&self) {
        self.kill().await;
        self.serve().await;
    }

    /// Stops the server gracefully, as its operator would.
    ///
    /// # Panics
    /// When it does not stop well.
    pub async fn stop(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return };
        let pid = child.id().expect("a running server").to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
        assert!(asked.success(), "the server could not be asked to stop");
        let status = child.wait().await.expect("the server ends");
        assert!(status.success(), "the server ended with {status}");
    }

    /// Kills the server.
    pub async fn kill(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            child.kill().await.expect("the server can be killed");
        }
    }

    /// Starts the server on the data that is there.
    ///
    /// # Panics
    /// When it does not answer within some seconds.
    pub async fn serve(&self) {
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = self.command(&["serve"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the server starts");
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the server does not listen on port {}:\n{}", self.port, self.log_text());
    }

    /// What the server logged so far, all its starts together.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log_path()).expect("a log file")
    }

    /// The same, event by event.
    ///
    /// # Panics
    /// When a line is not JSON.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        let text = self.log_text();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// What a counter of the server shows now for a channel of messages; 0 before it first counts.
    ///
    /// # Panics
    /// When the server shows no metrics.
    pub async fn counted(&self, name: &str, channel: &str) -> u64 {
        let mut variables = self.variables.iter().rev();
        let (_, address) = variables.find(|(name, _)| name == METRICS).expect("metrics that are shown");
        metrics::counted(address, &format!("{name}{{channel=\"{channel}\"}}")).await
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// A command of the binary, in the server's folder and with its variables.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.dir.path())
            .env("DATA_DIR", self.data_dir())
            .env("APP_PORT", self.port.to_string())
            .env("JWT_PRIVATE_KEY_PATH", "key.pem")
            .env("LOG_LEVEL", "error")
            .envs(TEST_VARIABLES)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command with something on its standard input.
    ///
    /// # Panics
    /// When it fails.
    pub async fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).await.expect("the command reads");
        drop(stdin);
        let output = child.wait_with_output().await.expect("the command ends");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Drop for NativeHost {
    /// Shows the log of a test that fails.
    fn drop(&mut self) {
        if std::thread::panicking() && self.log_path().exists() {
            eprintln!("the server on port {} logged:\n{}", self.port, self.log_text());
        }
    }
}

impl fmt::Debug for NativeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeHost on port {}", self.port)
    }
}

#[async_trait]
impl Host for NativeHost {
    async fn send(&self, request: Request<Bytes>) -> Answer {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        parts.uri = format!("http://127.0.0.1:{}{path}", self.port).parse::<Uri>().expect("a URI");
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = self.http.request(request).await.expect("an answer").into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    async fn messages(&self) -> Vec<Message> {
        let request = Request::get("/dev/outbox").header("accept", "application/json").body(Bytes::new());
        let answer = self.send(request.expect("a request")).await.expect(200).json();
        let mut messages: Vec<(String, Message)> =
            answer["messages"].as_array().into_iter().flatten().map(read_message).collect();
        messages.sort_by(|one, other| one.0.cmp(&other.0));
        messages.into_iter().map(|(_, message)| message).collect()
    }

    async fn create_admin(&self, username: &str, email: &str, password: &str) {
        self.stop().await;
        self.run(&["admin", "create", "--username", username, "--email", email], password).await;
        self.serve().await;
    }
}

fn read_message(value: &Value) -> (String, Message) {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let message =
        Message { channel: text("channel"), to: text("to"), subject: text("subject"), text: text("text") };
    (text("id"), message)
}

/// The binary: the one that `PORTICO_BINARY` names, or else this build's, built if it is not up to date.
///
/// # Panics
/// When it does not build.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("PORTICO_BINARY") {
            return std::path::absolute(given).expect("a path");
        }
        let test_program = std::env::current_exe().expect("a path");
        // target/<profile>/deps/<test program>
        let profile = test_program.parent().and_then(Path::parent).expect("a target folder");
        let target = profile.parent().expect("a target folder");
        let status = std::process::Command::new(env!("CARGO"))
            // As a test of its own package, so that it is built with the features that all tests are built with.
            .args(["test", "--quiet", "--workspace", "--all-features", "--no-run", "--test", "sqlite_store"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the server does not build");
        profile.join("portico")
    })
}
