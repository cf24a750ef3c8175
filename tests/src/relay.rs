//! `portico relay`, in a folder of its own, talked to over a real socket.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use portico_bench::ports::free_port;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::client::Answer;
use crate::emulators::{self, Emulators};
use crate::native::binary;

/// The token that it knows.
pub const TOKEN: &str = "canary-token-of-more-than-thirty-two-characters";

/// A running `portico relay`, before the mail server of emulators.
#[derive(Debug)]
pub struct RelayHost {
    dir: TempDir,
    port: u16,
    smtp_port: u16,
    child: Mutex<Option<Child>>,
}

impl RelayHost {
    /// Starts it in a new folder.
    ///
    /// # Panics
    /// When it does not answer within some seconds.
    pub async fn start(emulators: &Emulators) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let host = Self { dir, port: free_port(), smtp_port: emulators.smtp_port(), child: Mutex::default() };
        host.serve().await;
        host
    }

    /// Starts it on the messages that are there.
    ///
    /// # Panics
    /// When it does not answer within some seconds.
    pub async fn serve(&self) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log file");
        let output: File = log.try_clone().expect("a log file");
        let child = self.command().stdout(output).stderr(log).spawn().expect("the relay starts");
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the relay does not listen on port {}: {}", self.port, self.log());
    }

    /// The command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("relay")
            .env_clear()
            .current_dir(self.dir.path())
            .env("RELAY_ADDR", format!("127.0.0.1:{}", self.port))
            .env("MAIL_RELAY_TOKEN", TOKEN)
            .env("SMTP_HOST", "127.0.0.1")
            .env("SMTP_PORT", self.smtp_port.to_string())
            .env("LOG_LEVEL", "trace")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Kills it, as a power cut would.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub async fn kill(&self) {
        self.take_child().kill().await.expect("the relay can be killed");
    }

    /// Stops it gracefully, as its operator would.
    ///
    /// # Panics
    /// When it does not stop well.
    pub async fn stop(&self) {
        let mut child = self.take_child();
        let pid = child.id().expect("a running relay").to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
        assert!(asked.success(), "the relay could not be asked to stop");
        let status = child.wait().await.expect("the relay ends");
        assert!(status.success(), "the relay ended with {status}: {}", self.log());
    }

    /// What it wrote to its outputs so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where it takes messages.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/messages", self.port)
    }

    /// The folder in which messages wait.
    #[must_use]
    pub fn messages_dir(&self) -> PathBuf {
        self.dir.path().join("data/relay")
    }

    /// Posts a message as the edge does.
    pub async fn post(&self, message: &Value) -> Answer {
        self.post_as(TOKEN, message).await
    }

    /// The same, with another token.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub async fn post_as(&self, token: &str, message: &Value) -> Answer {
        let request = Request::post(self.url())
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", message["message_id"].as_str().unwrap_or_default())
            .body(Bytes::from(message.to_string()));
        emulators::send(request.expect("a request")).await
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn take_child(&self) -> Child {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        child.expect("a running relay")
    }
}
