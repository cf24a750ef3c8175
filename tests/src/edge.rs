//! The Worker in the runtime that Cloudflare runs it in, with emulators of AWS behind it.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http::header::{HeaderName, HeaderValue};
use portico_bench::ports::free_port;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::client::Answer;
use crate::emulators::{Emulators, send};
use crate::hosts::Host;
use crate::lab::{TEST_VARIABLES, test_key_pem};
use crate::messages::Message;
use crate::native::NativeHost;

/// The token of the mail relay.
const RELAY_TOKEN: &str = "a token of thirty-two characters";

/// Names the folder of a built Worker, instead of building one.
const WORKER: &str = "PORTICO_WORKER";

/// The file that takes the runtime's outputs.
const LOG: &str = "log";

/// By which the platform names the client.
static CLIENT: HeaderName = HeaderName::from_static("cf-connecting-ip");

/// A running Worker.
pub struct EdgeHost {
    port: u16,
    emulators: Arc<Emulators>,
    dir: TempDir,
    _child: Child,
}

impl EdgeHost {
    /// Starts it on new emulators; it makes its tables with the first request.
    pub async fn start() -> Self {
        Self::start_on(&Arc::new(Emulators::start()), &[]).await
    }

    /// Starts it on emulators that others may be on as well, with more variables; a later value of a name wins.
    ///
    /// # Panics
    /// When it does not answer within some seconds.
    pub async fn start_on(emulators: &Arc<Emulators>, more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut variables: Vec<(String, String)> = TEST_VARIABLES
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain(emulators.variables().map(|(name, value)| (name.to_owned(), value)))
            .collect();
        variables.push(("JWT_PRIVATE_KEY".to_owned(), test_key_pem().to_owned()));
        variables.push(("MAIL_RELAY_URL".to_owned(), format!("{}/_mail", emulators.url())));
        variables.push(("MAIL_RELAY_TOKEN".to_owned(), RELAY_TOKEN.to_owned()));
        for (name, value) in more {
            variables.retain(|(known, _)| known != name);
            variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        write_config(dir.path(), port, &variables);
        let child = runtime(dir.path()).await;
        await_port(port).await;
        Self { port, emulators: emulators.clone(), dir, _child: child }
    }

    /// What it keeps everything in.
    #[must_use]
    pub fn emulators(&self) -> &Arc<Emulators> {
        &self.emulators
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it and the runtime wrote to their outputs so far.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join(LOG)).expect("a log file");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn mails(&self) -> Vec<Message> {
        let mails = self.emulators.tell("/_mail").await.as_array().cloned().unwrap_or_default();
        let each = mails.iter().map(|mail| Message {
            channel: "email".to_owned(),
            to: mail["to"][0].as_str().unwrap_or_default().to_owned(),
            subject: text(mail, "subject"),
            text: text(mail, "text"),
        });
        each.collect()
    }

    async fn texts(&self) -> Vec<Message> {
        let sent = self.emulators.tell("/_aws/sns/sms-messages").await;
        let numbers = sent["sms_messages"].as_object().cloned().unwrap_or_default();
        let each = numbers.into_iter().flat_map(|(to, messages)| {
            let messages = messages.as_array().cloned().unwrap_or_default();
            messages.into_iter().map(move |message| Message {
                channel: "sms".to_owned(),
                to: to.clone(),
                subject: String::new(),
                text: text(&message, "Message"),
            })
        });
        each.collect()
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

#[async_trait]
impl Host for EdgeHost {
    async fn send(&self, mut request: Request<Bytes>) -> Answer {
        let path = request.uri().path_and_query().map_or("/", |text| text.as_str());
        let uri = format!("http://127.0.0.1:{}{path}", self.port);
        *request.uri_mut() = uri.parse().expect("a URI");
        // The platform's front does this, whatever the client sends.
        request.headers_mut().insert(CLIENT.clone(), HeaderValue::from_static("127.0.0.1"));
        send(request).await
    }

    async fn messages(&self) -> Vec<Message> {
        let mut all = self.mails().await;
        all.extend(self.texts().await);
        all
    }

    async fn create_admin(&self, username: &str, email: &str, password: &str) {
        // The Worker makes its tables; the operator's machine has the program.
        send(
            Request::get(format!("http://127.0.0.1:{}/v1/health-check/ready", self.port))
                .body(Bytes::new())
                .expect("a request"),
        )
        .await;
        let host = NativeHost::prepare_on_emulators(&self.emulators, &[]);
        host.run(&["admin", "create", "--username", username, "--email", email], password).await;
    }
}

impl Drop for EdgeHost {
    /// Shows the log of a test that fails.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the Worker on port {} logged:\n{}", self.port, self.log());
        }
    }
}

impl fmt::Debug for EdgeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EdgeHost on port {}", self.port)
    }
}

/// Writes the runtime's configuration, which stands for wrangler.toml, beside the Worker's two files.
fn write_config(dir: &Path, port: u16, variables: &[(String, String)]) {
    for name in ["index.js", "index_bg.wasm"] {
        std::os::unix::fs::symlink(worker().join(name), dir.join(name)).expect("a link");
    }
    let mut bindings = String::new();
    for (name, value) in variables {
        let value = Value::from(value.as_str());
        writeln!(bindings, "    (name = \"{name}\", text = {value}),").expect("a string takes it");
    }
    let config = format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "portico", worker = .portico),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "portico")],
);

const portico :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  compatibilityDate = "2026-11-01",
  bindings = [
{bindings}  ],
);
"#
    );
    std::fs::write(dir.join("config.capnp"), config).expect("a file");
}

/// Starts the runtime.
async fn runtime(dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join(LOG)).expect("a file");
    Command::new(edge().join("node_modules/.bin/workerd"))
        .args(["serve", "config.capnp"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the runtime starts: edge/setup.sh installs it")
}

async fn await_port(port: u16) {
    for _ in 0..400 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the Worker does not listen on port {port}");
}

fn edge() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../edge")
}

/// Where the Worker is, built if it is not up to date.
fn worker() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(built) = std::env::var_os(WORKER) {
            return built.into();
        }
        let status = std::process::Command::new(edge().join("build.sh")).status().expect("a script");
        assert!(status.success(), "the Worker does not build");
        edge().join("build")
    })
}
