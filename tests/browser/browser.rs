//! Headless Chromium, driven through chromedriver, on pages of the real server.
//!
//! The invariant: [`browse`] fails when the console has an error, whatever else the case looked at.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use portico_bench::ports::free_port;
use portico_tests::client::Client;
use portico_tests::native::NativeHost;
use serde_json::Value;
use tempfile::TempDir;
use thirtyfour::cdp::domains::emulation::{MediaFeature, SetEmulatedMedia};
use thirtyfour::{
    By, ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriver, WebElement,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

const MISSING: &str = "install Debian's packages chromium and chromium-driver (tests/install.sh does)";

/// How long chromedriver may take for one thing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one window, and a server of its own.
pub(crate) struct Browser {
    driver: WebDriver,
    _chromedriver: Child,
    // Last: what is dropped first has ended when its files go.
    _folder: TempDir,
    origin: String,
    client: Client,
}

/// Runs a case in a browser, and fails when it fails or when the console has errors after it.
pub(crate) async fn browse(case: impl AsyncFnOnce(&Browser)) {
    let browser = Browser::start().await;
    let outcome = AssertUnwindSafe(async {
        case(&browser).await;
        let errors = browser.errors().await;
        assert!(errors.is_empty(), "the console has errors:\n{}", errors.join("\n"));
    });
    let outcome = outcome.catch_unwind().await;
    // Dropped instead, it would wait on this thread for what only this thread can bring.
    browser.driver.quit().await.expect("the browser ends");
    outcome.unwrap_or_else(|failure| resume_unwind(failure));
}

impl Browser {
    async fn start() -> Self {
        let host = NativeHost::start().await;
        let origin = format!("http://127.0.0.1:{}", host.port());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (chromedriver, port) = start_chromedriver(folder.path()).await;
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client");
        let driver = WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities())
            .client(http)
            .connect()
            .await
            .unwrap_or_else(|error| panic!("no browser starts: {MISSING}\n{error}"));
        Self {
            driver,
            _chromedriver: chromedriver,
            _folder: folder,
            origin,
            client: Client::new(Arc::new(host)),
        }
    }

    /// Talks to the server beside the browser.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a page of the server.
    pub(crate) async fn open(&self, path: &str) {
        self.open_url(&format!("{}{path}", self.origin)).await;
    }

    /// Opens any page.
    pub(crate) async fn open_url(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The title of the page.
    pub(crate) async fn title(&self) -> String {
        self.driver.title().await.expect("a title")
    }

    /// The one element that a selector finds.
    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        let mut found = self.find_all(selector).await;
        assert_eq!(found.len(), 1, "elements found by {selector}");
        found.remove(0)
    }

    /// The elements that a selector finds.
    pub(crate) async fn find_all(&self, selector: &str) -> Vec<WebElement> {
        self.driver.find_all(By::Css(selector)).await.expect("a good selector")
    }

    /// Clicks the one element that a selector finds, as a person would: what is covered or hidden cannot be.
    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// What a person reads in the one element that a selector finds; nothing where it is hidden.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect("a text")
    }

    /// What a person reads in the frame that a selector finds.
    pub(crate) async fn frame_text(&self, selector: &str) -> String {
        self.find(selector).await.enter_frame().await.expect("a frame");
        let text = self.text("body").await;
        self.driver.enter_default_frame().await.expect("the page");
        text
    }

    /// Runs a script in the page, whatever its policy, and returns what it returns.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.expect("a good script").json().clone()
    }

    /// Prefers `light` or `dark`, in a window of this width.
    pub(crate) async fn prefer(&self, scheme: &str, width: u32) {
        let scheme = MediaFeature { name: "prefers-color-scheme".to_owned(), value: scheme.to_owned() };
        let cdp = self.driver.cdp();
        let media = SetEmulatedMedia { media: None, features: Some(vec![scheme]) };
        cdp.send(media).await.expect("emulated media");
        let screen = cdp.emulation();
        screen.set_device_metrics_override(width, 800, 1.0, width < 600).await.expect("an emulated screen");
    }

    /// The errors of the console since this was last asked: of scripts, of the network, of a policy.
    pub(crate) async fn errors(&self) -> Vec<String> {
        // Two frames later, what the page is about to say has been said.
        let settle = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))";
        self.driver.execute_async(settle, Vec::new()).await.expect("a page that still runs");
        let entries = self.driver.browser_log().await.expect("the console");
        entries.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// The addresses that were asked for since this was last asked and do not lie on the server.
    pub(crate) async fn foreign_requests(&self) -> Vec<String> {
        let events = self.driver.get_log("performance").await.expect("the network's events");
        let mut requested: Vec<_> = events.iter().filter_map(|event| requested_url(&event.message)).collect();
        assert!(requested.contains(&self.origin_of_page().await), "the page itself is among {requested:?}");
        requested.retain(|url| !url.starts_with(&format!("{}/", self.origin)));
        requested
    }

    async fn origin_of_page(&self) -> String {
        let mut url = self.driver.current_url().await.expect("an address");
        url.set_fragment(None);
        url.into()
    }
}

/// The address in an event that says that something is being asked for.
fn requested_url(event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).expect("an event in JSON");
    let event = &event["message"];
    let is_request = event["method"] == "Network.requestWillBeSent";
    is_request.then(|| event["params"]["request"]["url"].as_str().expect("an address").to_owned())
}

fn capabilities() -> ChromeCapabilities {
    let mut wanted = ChromeCapabilities::new();
    let arguments = [
        "--headless=new",
        // The pages are the project's own, and neither root nor a container has what the sandbox needs.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-proxy-server",
        "--window-size=1280,800",
        // Nobody watches: a page that scrolls smoothly is waited for at each click.
        "--force-prefers-reduced-motion",
        // In a process of their own, frames would complain where chromedriver does not listen.
        "--disable-features=IsolateSandboxedIframes",
    ];
    for argument in arguments {
        wanted.add_arg(argument).expect("an argument");
    }
    wanted.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
    wanted.set_logging_prefs("performance".to_owned(), LoggingPrefsLogLevel::All).expect("a level");
    wanted
}

/// Starts chromedriver; what it and the browser write goes into a folder. A port of its choice would be free for IPv4, and it
/// ends if the same is not free for IPv6.
async fn start_chromedriver(folder: &Path) -> (Child, u16) {
    let mut command = Command::new("chromedriver");
    command
        .arg(format!("--port={}", free_port()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for variable in ["TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, folder);
    }
    let mut child = command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("there is no chromedriver: {MISSING}"),
        _ => panic!("chromedriver does not start: {error}"),
    });
    let stdout = child.stdout.take().expect("a pipe");
    let port = tokio::time::timeout(PATIENCE, announced_port(stdout)).await.expect("chromedriver speaks");
    (child, port)
}

/// Reads `ChromeDriver was started successfully on port 12345.`, and lets the rest run dry.
async fn announced_port(stdout: ChildStdout) -> u16 {
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await.expect("text") {
        let port =
            line.rsplit_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.'));
        if let Some(port) = port {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return port.parse().expect("a port");
        }
    }
    panic!("chromedriver ended before it listened: {MISSING}");
}
