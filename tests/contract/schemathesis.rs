//! Schemathesis against every host: requests made of the API description, right and wrong ones and chains of them, and
//! every answer held against all checks that it has.
//!
//! `tests/schemathesis` says who it is, how it asks and what it cannot know. Every run asks the same; the number of requests
//! to each operation is `SCHEMATHESIS_EXAMPLES` (3). The tool is installed beside the build, by Python's own installer.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};

use portico_tests::client::PASSWORD;
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::hosts::Host;
use portico_tests::native::NativeHost;

/// The version that `requirements.txt` holds.
const VERSION: &str = "4.32.5";

const ADMIN: &str = "root";

/// With this, Google's tokens are looked at; none of those that are made up gets as far as asking for Google's keys.
const VARIABLES: [(&str, &str); 1] = [("GOOGLE_CLIENT_ID", "client.apps.googleusercontent.com")];

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_on_the_native_host() {
    let host = NativeHost::start_with(&VARIABLES).await;
    let url = format!("http://127.0.0.1:{}", host.port());
    examine(&host, &url, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_on_the_native_host_on_aws() {
    let host = NativeHost::start_on_aws_with(&VARIABLES).await;
    let url = format!("http://127.0.0.1:{}", host.port());
    examine(&host, &url, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_on_the_edge() {
    let host = EdgeHost::start_on(&Arc::new(Emulators::start()), &VARIABLES).await;
    let url = format!("http://127.0.0.1:{}", host.port());
    examine(&host, &url, &[("PORTICO_DROPS_EMPTY_HEADERS", "1")]).await;
}

/// Asks a host; the variables tell the hooks what is particular about it.
async fn examine(host: &dyn Host, url: &str, particulars: &'static [(&'static str, &'static str)]) {
    host.create_admin(ADMIN, "root@example.com", PASSWORD).await;
    let address = url.to_owned();
    let output =
        tokio::task::spawn_blocking(move || run(&address, particulars)).await.expect("it runs to its end");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", said.concat());
    println!("{url}: {}", said[0].trim_end().lines().last().unwrap_or_default());
}

fn run(url: &str, particulars: &[(&str, &str)]) -> Output {
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "3".to_owned());
    let program = program();
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let settings = folder();
    Command::new(program)
        .arg("--config-file")
        .arg(settings.join("schemathesis.toml"))
        .args(["run", &format!("{url}/openapi.json"), "--checks", "all", "--max-examples", &examples])
        // What it keeps from one run to the next would make them differ.
        .current_dir(scratch.path())
        .env("PYTHONPATH", &settings)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PORTICO_URL", url)
        .env("PORTICO_ADMIN", ADMIN)
        .env("PORTICO_PASSWORD", PASSWORD)
        .envs(particulars.iter().copied())
        .output()
        .expect("schemathesis runs")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

/// The tool, installed if it is not there.
fn program() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let test_program = std::env::current_exe().expect("a path");
    // target/<profile>/deps/<test program>
    let target = test_program.ancestors().nth(3).expect("a target folder");
    let home = target.join("tools").join(format!("schemathesis-{VERSION}"));
    let (program, whole) = (home.join("bin/schemathesis"), home.join("whole"));
    if !whole.exists() {
        let _absent = std::fs::remove_dir_all(&home);
        must(Command::new("python3").args(["-m", "venv"]).arg(&home));
        let mut pip = Command::new(home.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
        must(pip.arg(folder().join("requirements.txt")));
        std::fs::write(&whole, "").expect("a mark");
    }
    program
}

fn must(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}{said}", String::from_utf8_lossy(&output.stdout));
}
