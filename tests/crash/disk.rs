//! Disks that are full or may not be written: writes are refused and nothing is half done, reads go on, and with the cause
//! the refusals end.
//!
//! The disk is a small one of memory, mounted in a namespace of its own; every command of the test enters that.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_tests::client::{PASSWORD, registration};
use portico_tests::process::{Folder, Server, call};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::kills::hold_to_the_rules;

const NAMESPACES: &str = "this test mounts a disk of its own: run it as root, or allow user namespaces \
     (`sysctl kernel.apparmor_restrict_unprivileged_userns=0`), with `unshare` and `nsenter` of util-linux";

/// A folder whose data directory is a disk of eight megabytes.
struct Disk {
    folder: Folder,
    starter: Vec<OsString>,
    /// Holds the namespace.
    _holder: Child,
}

impl Disk {
    async fn new() -> Self {
        let mut folder = Folder::new();
        std::fs::create_dir(folder.path("data")).unwrap();
        let script = r#"mount -t tmpfs -o size=8m,mode=700 tmpfs "$0" && echo mounted && exec cat"#;
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(folder.path("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect(NAMESPACES);
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).await.unwrap();
        assert_eq!(said, "mounted\n", "{NAMESPACES}");
        let pid = holder.id().unwrap().to_string();
        let enter = ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", &pid];
        // The namespace has its own idea of every folder, the working directory included.
        let enter = enter.into_iter().chain(["sh", "-c", r#"cd "$0" && exec "$@""#]).map(OsString::from);
        let starter: Vec<OsString> = enter.chain([folder.path("").into()]).collect();
        folder.start_by(starter.clone());
        Self { folder, starter, _holder: holder }
    }

    /// Runs a script beside the data directory; tells whether it went well.
    async fn sh(&self, script: &str) -> bool {
        let mut command = Command::new(&self.starter[0]);
        command.args(&self.starter[1..]).args(["sh", "-c", script]).stderr(Stdio::null());
        command.status().await.unwrap().success()
    }

    async fn fill(&self) {
        assert!(!self.sh("dd if=/dev/zero of=data/ballast bs=4k").await, "the disk must be full");
    }

    async fn free(&self) {
        assert!(self.sh("rm data/ballast").await);
    }

    /// Everything in the data directory, where this process sees it.
    async fn copy(&self) -> std::path::PathBuf {
        assert!(self.sh("cp -r data copy").await);
        self.folder.path("copy")
    }
}

struct Ada {
    access: String,
    refresh: String,
    file: String,
}

async fn register(server: &Server, username: &str) -> (u16, Value) {
    server.post("/v1/users", &registration(username)).await.unwrap()
}

async fn upload(server: &Server, token: &str, length: usize) -> (u16, Value) {
    let body = json!({ "file_name": "a.txt", "base64": STANDARD.encode(vec![b'a'; length]) });
    call(server.port, "POST", "/v1/files/base64", Some(token), Some(&body)).await.unwrap()
}

impl Ada {
    async fn register(server: &Server) -> Self {
        let (code, auth) = register(server, "ada").await;
        assert_eq!(code, 201, "{auth}");
        let text = |name: &str| auth[name].as_str().unwrap().to_owned();
        let (access, refresh) = (text("access_token"), text("refresh_token"));
        let (code, file) = upload(server, &access, 1000).await;
        assert_eq!(code, 201, "{file}");
        Self { access, refresh, file: file["id"].as_str().unwrap().to_owned() }
    }

    /// What was acknowledged before can be read.
    async fn reads(&self, server: &Server) {
        let file = format!("/v1/files/base64/{}", self.file);
        for path in ["/v1/users/me", "/v1/sessions", "/v1/files?limit=10", &file, "/v1/health-check/ready"] {
            let (code, answer) = call(server.port, "GET", path, Some(&self.access), None).await.unwrap();
            assert_eq!(code, 200, "{path}: {answer}");
        }
    }

    async fn refreshes(&mut self, server: &Server) {
        let body = json!({ "refresh_token": self.refresh });
        let (code, pair) = server.post("/v1/sessions/refresh", &body).await.unwrap();
        assert_eq!(code, 200, "{pair}");
        self.refresh = pair["refresh_token"].as_str().unwrap().to_owned();
        self.access = pair["access_token"].as_str().unwrap().to_owned();
    }

    /// Every kind of write is refused as something that passes.
    async fn is_refused(&self, server: &Server) {
        let own = Some(self.access.as_str());
        let login = json!({ "username": "ada", "password": PASSWORD });
        let name = json!({ "first_name": "x".repeat(90) });
        let device = json!({ "device_version": "1.0.0" });
        for (method, path, token, body) in [
            ("POST", "/v1/sessions/login", None, Some(&login)),
            ("PUT", "/v1/users/me", own, Some(&name)),
            ("POST", "/v1/sessions/logout", own, None),
            ("DELETE", "/v1/users/me", own, None),
        ] {
            let (code, answer) = call(server.port, method, path, token, body).await.unwrap();
            assert_eq!((code, &answer["code"]), (503, &json!("storage_unavailable")), "{method} {path}");
        }
        // It changes nothing.
        let (code, _) = call(server.port, "PUT", "/v1/devices/version", own, Some(&device)).await.unwrap();
        assert!(code < 500, "{code}");
        let (code, answer) = upload(server, &self.access, 1_000_000).await;
        assert_eq!(code, 503, "{answer}");
    }
}

/// Registers until the disk has no room for more; every answer until then is a success.
async fn register_until_refused(server: &Server, prefix: &str) -> Vec<String> {
    let mut registered = Vec::new();
    for n in 0..2000 {
        let username = format!("{prefix}{n}");
        match register(server, &username).await {
            (201, _) => registered.push(username),
            (code, answer) => {
                assert_eq!((code, &answer["code"]), (503, &json!("storage_unavailable")), "{answer}");
                return registered;
            }
        }
    }
    panic!("a full disk refuses nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_nothing_else_until_there_is_space() {
    let disk = Disk::new().await;
    let server = disk.folder.serve(&[]).await;
    let mut ada = Ada::register(&server).await;
    // Room for the record of a file, and not for its bytes.
    disk.fill().await;
    assert!(disk.sh("truncate -s -500K data/ballast").await);
    let (code, answer) = upload(&server, &ada.access, 1_000_000).await;
    assert_eq!((code, &answer["code"]), (503, &json!("storage_unavailable")), "{answer}");
    assert!(disk.sh(r#"test -z "$(ls -A data/files/tmp)""#).await, "a part of a file was left");
    // Room for nothing.
    disk.fill().await;
    let registered = register_until_refused(&server, "early-").await;
    ada.is_refused(&server).await;
    ada.reads(&server).await;

    disk.free().await;
    let (code, answer) = register(&server, "late").await;
    assert_eq!(code, 201, "there is space again: {answer}");
    ada.refreshes(&server).await;
    let (code, answer) = upload(&server, &ada.access, 1_000_000).await;
    assert_eq!(code, 201, "{answer}");
    let log = server.log();
    assert!(log.contains("no space left in DATA_DIR") && !log.contains("panicked"), "{log}");

    // A stop on a full disk loses nothing, and a start on one serves what there is or says what is wrong.
    disk.fill().await;
    server.stop().await;
    let copy = disk.copy().await;
    hold_to_the_rules(&copy).await;
    let start = disk.folder.run(&["doctor"], &[], "").await;
    assert!(!start.success && start.text.contains("disk is full: make space"), "{}", start.text);
    let server = disk.folder.serve(&[]).await;
    disk.fill().await;
    register_until_refused(&server, "again-").await;
    ada.reads(&server).await;
    ada.is_refused(&server).await;
    disk.free().await;
    ada.refreshes(&server).await;
    for username in registered.iter().map(String::as_str).chain(["ada", "late"]) {
        let login = json!({ "username": username, "password": PASSWORD });
        assert_eq!(server.post("/v1/sessions/login", &login).await.unwrap().0, 200, "{username}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_on_a_full_disk_loses_nothing_that_was_acknowledged() {
    let disk = Disk::new().await;
    let mut server = disk.folder.serve(&[]).await;
    let mut ada = Ada::register(&server).await;
    disk.fill().await;
    let registered = register_until_refused(&server, "user-").await;
    server.signal("KILL").await;
    server.child.wait().await.unwrap();
    let start = tokio::time::timeout(
        std::time::Duration::from_secs(5),
        disk.folder.run(&["serve"], &[("APP_PORT", "0")], ""),
    )
    .await;
    if let Ok(refused) = start {
        let says = refused.text.contains("full") && refused.text.contains("DATA_DIR");
        assert!(!refused.success && says && !refused.text.contains("panicked"), "{}", refused.text);
    }
    disk.free().await;
    let server = disk.folder.serve(&[]).await;
    ada.refreshes(&server).await;
    for username in registered {
        let login = json!({ "username": username, "password": PASSWORD });
        assert_eq!(server.post("/v1/sessions/login", &login).await.unwrap().0, 200, "{username}");
    }
    server.stop().await;
    hold_to_the_rules(&disk.copy().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_may_not_be_written_is_refused_with_what_to_do() {
    let disk = Disk::new().await;
    // Once without anything on it, and once with everything.
    for _ in 0..2 {
        assert!(disk.sh("mount -o remount,ro data").await);
        for command in [&["serve"][..], &["doctor"]] {
            let refused = disk.folder.run(command, &[("APP_PORT", "0")], "").await;
            let says = refused.text.contains("DATA_DIR") && refused.text.to_lowercase().contains("read-only");
            assert!(!refused.success && says && !refused.text.contains("panicked"), "{}", refused.text);
        }
        assert!(disk.sh("mount -o remount,rw data").await);
        let server = disk.folder.serve(&[]).await;
        register(&server, "ada").await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_no_longer_be_written_are_still_read() {
    let disk = Disk::new().await;
    let server = disk.folder.serve(&[]).await;
    let ada = Ada::register(&server).await;
    // The database is open for writing, so that only what is opened anew can be forbidden while a server runs.
    assert!(disk.sh("mount --bind data/files data/files && mount -o remount,bind,ro data/files").await);
    let (code, answer) = upload(&server, &ada.access, 1000).await;
    assert_eq!((code, &answer["code"]), (503, &json!("storage_unavailable")), "{answer}");
    ada.reads(&server).await;
    let removed = format!("/v1/files/{}", ada.file);
    let (code, answer) = call(server.port, "DELETE", &removed, Some(&ada.access), None).await.unwrap();
    assert_eq!(code, 200, "what is marked is gone for everybody, and its bytes go later: {answer}");
    assert!(server.log().contains("DATA_DIR must belong"), "{}", server.log());
    server.stop().await;
    assert!(disk.sh("umount data/files").await);
    let data = disk.copy().await;
    hold_to_the_rules(&data).await;
    assert!(Path::new(&data).join("files").exists());
}
