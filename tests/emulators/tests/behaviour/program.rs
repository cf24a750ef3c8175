//! The program itself: help, ports, data, and how it stops.

use crate::dynamodb::{count, create_table, done, put};
use crate::process::Emulators;
use crate::s3::call;
use serde_json::json;
use std::net::TcpListener;
use std::process::Command;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portico-emulators"))
}

#[test]
fn help_names_every_option() {
    let output = program().arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for option in ["--port", "--data", "--access-key", "--smtp-starttls-port", "--smtp-ca-file", "--region"] {
        assert!(text.contains(option), "{option}: {text}");
    }
}

#[test]
fn a_taken_port_is_said_with_the_option_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--port", "--smtp-port", "--smtp-starttls-port", "--smtp-tls-port"] {
        let mut command = program();
        let other = if option == "--port" { "--smtp-port" } else { "--port" };
        command.args([other, "0", option, &port]);
        if !["--port", "--smtp-port"].contains(&option) {
            command.args(["--smtp-port", "0"]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(
            text.contains(&port) && text.contains(&format!("choose another port with {option}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn it_stops_cleanly_and_leaves_nothing_behind() {
    for signal in ["-TERM", "-INT"] {
        let temporary = tempfile::tempdir().unwrap();
        let emulators = Emulators::start_with(&[], |command| {
            command.env("TMPDIR", temporary.path());
        });
        call(&emulators, "PUT", "/files", &[], b"").await;
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1);
        assert!(emulators.terminate(signal).success());
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn data_is_kept_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let arguments = ["--data", data.to_str().unwrap()];
    let emulators = Emulators::start(&arguments);
    create_table(&emulators).await;
    done(&emulators, "PutItem", put("1")).await;
    call(&emulators, "PUT", "/files", &[], b"").await;
    call(&emulators, "PUT", "/files/a", &[("content-type", "text/plain")], b"kept").await;
    assert!(emulators.terminate("-TERM").success());

    let emulators = Emulators::start(&arguments);
    assert_eq!(count(&emulators).await, 1);
    let kept = call(&emulators, "GET", "/files/a", &[], b"").await;
    assert_eq!((kept.text().as_str(), kept.header("content-type")), ("kept", "text/plain"));
}

#[tokio::test]
async fn health_says_what_listens_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let emulators = Emulators::start(&["--smtp-tls-port", "0", "--smtp-ca-file", file.to_str().unwrap()]);
    let health = emulators.admin_json("/_health").await;
    assert_eq!(health["endpoint"], emulators.endpoint);
    assert_eq!(health["services"], json!({ "dynamodb": "running", "s3": "running", "sns": "running" }));
    let mail = [("smtp"), ("smtps")].map(|scheme| format!("{scheme}://127.0.0.1:{}", emulators.port(scheme)));
    assert_eq!(health["mail"], json!(mail));
    assert_eq!(health, emulators.admin_json("/_localstack/health").await);
    let authority = std::fs::read(&file).unwrap();
    assert_eq!(emulators.admin("GET", "/_mail/ca.pem", "").await.body, authority);
}

#[tokio::test]
async fn unknown_paths_of_its_own_list_the_known_ones() {
    let emulators = Emulators::start(&[]);
    for (method, path) in [("GET", "/_nothing"), ("PUT", "/_faults"), ("DELETE", "/_health")] {
        let answer = emulators.admin(method, path, "").await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("/_calls"), "{}", answer.text());
    }
    assert_eq!(emulators.admin("GET", "/_mail/ca.pem", "").await.status, 404);
}
