//! The program as a person meets it on the command line: each test runs the real binary.

#![expect(clippy::unwrap_used, reason = "a failing helper of a test fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The binary in a folder of its own, with no variable but those given.
fn portico(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command
}

fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Output, String) {
    let output = portico(folder, arguments, variables).stdin(Stdio::null()).output().unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(text).unwrap())
}

/// A server that is killed when the test ends.
struct Serving(Child, String);

impl Serving {
    fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = portico(folder, &["serve"], &[&[("APP_PORT", "0")], variables].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().rsplit_once(' ').map(|(_, url)| url.to_owned()).unwrap_or_default();
        let mut serving = Self(child, url);
        assert!(serving.1.starts_with("http://127.0.0.1:"), "{line:?}: {}", serving.errors());
        serving
    }

    fn errors(&mut self) -> String {
        let _gone = self.0.kill();
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Sends bytes, and reads until the server closes.
    fn exchange(&self, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(self.1.trim_start_matches("http://")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn help_names_every_command_and_variable() {
    let folder = tempfile::tempdir().unwrap();
    let (output, text) = run(folder.path(), &["--help"], &[]);
    assert!(output.status.success());
    for word in
        ["serve", "admin", "keys", "doctor", "backup", "restore", "APP_PORT", "[default: 3000]", "LOG_LEVEL"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    let (output, text) = run(folder.path(), &["admin", "create", "--help"], &[]);
    assert!(
        output.status.success() && text.contains("--username <NAME>") && text.contains("--email <ADDRESS>")
    );
    assert_eq!(run(folder.path(), &["fly"], &[]).0.status.code(), Some(2));
}

#[test]
fn a_bad_configuration_lists_every_problem_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "LOG_LEVEL=loud\nAPP_PORT=1\n").unwrap();
    let wrong =
        [("APP_PORT", "x"), ("SMTP_TLS", "maybe"), ("TOKEN_SECRET", "canary"), ("APP_ENV", "production")];
    let (output, text) = run(folder.path(), &[], &wrong);
    assert_eq!(output.status.code(), Some(1));
    for name in
        ["APP_PORT", "SMTP_TLS", "TOKEN_SECRET", "LOG_LEVEL", "MAILER", "SMS_SENDER", "JWT_PRIVATE_KEY_PATH"]
    {
        assert!(text.contains(&format!("\n  {name}: ")), "{name}: {text}");
    }
    assert!(!text.contains("canary") && !folder.path().join("data").exists());
}

#[test]
fn an_unreadable_dotenv_is_a_problem_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "APP_PORT=1\nTOKEN SECRET=canary\n").unwrap();
    let (output, text) = run(folder.path(), &["doctor"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(".env: assignment 2") && !text.contains("canary"), "{text}");
}

#[test]
fn keys_are_generated_once() {
    let folder = tempfile::tempdir().unwrap();
    let (output, text) = run(folder.path(), &["keys", "generate", "--out", "keys"], &[]);
    assert!(output.status.success(), "{text}");
    let private = std::fs::read_to_string(folder.path().join("keys/private_key.pem")).unwrap();
    assert!(private.starts_with("-----BEGIN PRIVATE KEY-----"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.path().join("keys/private_key.pem").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let (output, text) = run(folder.path(), &["keys", "generate", "--out", "keys"], &[]);
    assert!(!output.status.success() && text.contains("left as it is"), "{text}");
    assert_eq!(std::fs::read_to_string(folder.path().join("keys/private_key.pem")).unwrap(), private);
    let variables =
        [("JWT_PRIVATE_KEY_PATH", "keys/private_key.pem"), ("JWT_PUBLIC_KEY_PATH", "keys/public_key.pem")];
    let (output, text) = run(folder.path(), &["doctor"], &variables);
    assert!(output.status.success() && text.contains("RSA 2048 bits"), "{text}");
    let (output, _) = run(folder.path(), &["keys", "generate", "--bits", "1024"], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn doctor_has_a_line_for_each_check() {
    let folder = tempfile::tempdir().unwrap();
    let (output, text) = run(folder.path(), &["doctor"], &[]);
    assert!(output.status.success(), "{text}");
    for check in ["configuration", "keys", "data", "space", "database", "files", "mail", "sms", "clock"] {
        assert!(text.lines().any(|line| line.starts_with("ok ") && line.contains(check)), "{check}: {text}");
    }
    std::fs::write(folder.path().join("data/portico.db"), vec![7; 8192]).unwrap();
    let (output, text) = run(folder.path(), &["doctor"], &[("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", "1")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("2 problems"), "{text}");
}

#[test]
fn a_second_process_is_refused_and_a_stop_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let first = Serving::start(folder.path(), &[]);
    let (output, text) = run(folder.path(), &["serve"], &[("APP_PORT", "0")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("in use by another Portico process"), "{text}");
    let create = ["admin", "create", "--username", "ada", "--email", "ada@example.com"];
    let mut admin =
        portico(folder.path(), &create, &[]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    admin.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
    let output = admin.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("stop it, run this again"));
    stop(first);
}

/// Stops by SIGTERM, and expects success.
fn stop(mut server: Serving) {
    let id = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn an_administrator_is_created_while_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let create = |email: &str, password: &str| {
        let arguments = ["admin", "create", "--username", "ada", "--email", email];
        let mut child = portico(folder.path(), &arguments, &[("PASSWORD_HASH", "argon2id,m=64,t=1")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let refused = create("nobody", "short");
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("email: ") && text.contains("password: "), "{text}");
    let created = create("ada@example.com", "correct horse battery");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let again = create("ada@example.com", "correct horse battery");
    assert!(!again.status.success());
}

#[test]
fn the_server_answers_within_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    assert!(server.get("/v1/health-check/ping", "").contains("pong"));
    let outbox = server.get("/dev/outbox", "accept: application/json\r\nx-request-id: abc\r\n");
    assert!(outbox.ends_with("{\"messages\":[]}") && outbox.contains("x-request-id: abc\r\n"), "{outbox}");
    let header = format!("x-long: {}\r\n", "a".repeat(40_000));
    let refused = server.get("/v1/health-check/ping", &header);
    assert!(refused.starts_with("HTTP/1.1 431") && refused.contains("headers_too_large"), "{refused}");
    let huge = format!("x-long: {}\r\n", "a".repeat(400_000));
    assert!(server.get("/", &huge).starts_with("HTTP/1.1 431"));
    assert!(server.get(&format!("/{}", "a".repeat(9_000)), "").starts_with("HTTP/1.1 414"));
    stop(server);
}

#[test]
fn a_backup_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path(), &[]);
    let (output, text) = run(folder.path(), &["backup", "copy"], &[]);
    assert!(output.status.success(), "{text}");
    let (output, text) = run(folder.path(), &["restore", "copy", "--force"], &[]);
    assert!(!output.status.success() && text.contains("in use"), "{text}");
    stop(server);
    let (output, text) = run(folder.path(), &["restore", "copy"], &[]);
    assert!(!output.status.success() && text.contains("exists"), "{text}");
    let (output, text) = run(folder.path(), &["restore", "copy", "--force"], &[]);
    assert!(output.status.success(), "{text}");
    stop(Serving::start(folder.path(), &[]));
}

#[test]
fn production_shows_no_outbox() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["keys", "generate"], &[]).0.status.success());
    let production = [
        ("APP_ENV", "production"),
        ("ALLOWED_ORIGINS", "none"),
        ("SMS_SENDER", "none"),
        ("SMTP_HOST", "localhost"),
    ];
    let server = Serving::start(folder.path(), &production);
    assert!(server.get("/dev/outbox", "").starts_with("HTTP/1.1 404"));
}
