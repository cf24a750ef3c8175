//! The binary started by hand: with its log in a file, and talked to over plain sockets.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::lab::{TEST_VARIABLES, test_key_pem};
use crate::native::binary;
use portico_bench::ports::free_port;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A folder for servers to work in, with a good key.
#[derive(Debug)]
pub struct Folder {
    dir: TempDir,
    /// What starts the binary, if it is not started itself.
    starter: Vec<OsString>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Whether its exit status said so.
    pub success: bool,
    /// Both of its outputs.
    pub text: String,
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// A new folder, which goes with the value.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("key.pem"), test_key_pem()).expect("a key file");
        Self { dir, starter: Vec::new() }
    }

    /// Lets a program start the binary from now on, with these words before the binary's own.
    pub fn start_by(&mut self, starter: impl IntoIterator<Item = OsString>) {
        self.starter = starter.into_iter().collect();
    }

    /// The path of something in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command with the variables of tests, and these over them; an empty value unsets one.
    #[must_use]
    pub fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut words = self.starter.iter().cloned().chain([binary().into()]);
        let mut command = Command::new(words.next().expect("a program"));
        command
            .args(words)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.dir.path())
            .env("DATA_DIR", "data")
            .env("JWT_PRIVATE_KEY_PATH", "key.pem")
            .env("LOG_LEVEL", "error")
            .envs(TEST_VARIABLES)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end, with something on its standard input.
    ///
    /// # Panics
    /// When it does not end within 20 seconds.
    pub async fn run(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
        let mut command = self.command(arguments, variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that refuses to start reads nothing.
        let _read = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let ended = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output());
        let output = ended.await.expect("the command ends").expect("the command ends");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Outcome { success: output.status.success(), text: text.concat() }
    }

    /// Starts a server, and waits until it listens.
    ///
    /// # Panics
    /// When it does not within 10 seconds.
    pub async fn serve(&self, variables: &[(&str, &str)]) -> Server {
        let port = free_port();
        let log = self.path(&format!("log-{port}"));
        let mut command = self.command(&["serve"], variables);
        command.env("APP_PORT", port.to_string()).stdout(Stdio::null());
        command.stderr(File::create(&log).expect("a log file"));
        let child = command.spawn().expect("the server starts");
        let server = Server { port, child, log };
        for _ in 0..400 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the server does not listen: {}", server.log());
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub port: u16,
    /// Its process.
    pub child: Child,
    log: PathBuf,
}

impl Server {
    /// What it wrote to its standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        read_lossy(&self.log)
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// When it has ended.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs");
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().await;
        assert!(status.expect("a shell").success());
    }

    /// Asks it to stop, and returns its log.
    ///
    /// # Panics
    /// When it does not stop well within 20 seconds.
    pub async fn stop(mut self) -> String {
        self.signal("TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        let status = ended.expect("it stops").expect("it stops");
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// One request on a connection of its own; `None` if there is no whole answer.
    pub async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        call(self.port, "POST", path, None, Some(body)).await
    }
}

/// One request on a connection of its own; `None` if there is no whole answer.
pub async fn call(
    port: u16,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let (head, body) = split(&answer)?;
    let length: usize = header(&head, "content-length")?.parse().ok()?;
    (body.len() == length).then_some(())?;
    Some((status(&head)?, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Head and body of an answer.
#[must_use]
pub fn split(answer: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Some((head, answer[end + 4..].to_vec()))
}

/// The status in the head of an answer.
#[must_use]
pub fn status(head: &str) -> Option<u16> {
    head.split(' ').nth(1)?.parse().ok()
}

/// A header's value in the head of an answer.
#[must_use]
pub fn header<'head>(head: &'head str, wanted: &str) -> Option<&'head str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

fn read_lossy(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
