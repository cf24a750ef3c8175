//! Backups taken while people register, upload and delete.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_tests::client::{PASSWORD, registration};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use portico_tests::process::{Folder, Server, call};

const CLIENTS: usize = 4;

/// The content of every acknowledged file that nobody asked to delete, by its id.
type Kept = Arc<Mutex<HashMap<String, Vec<u8>>>>;

async fn token(server: &Server, username: &str) -> String {
    let login = json!({ "username": username, "password": PASSWORD });
    let (code, auth) = server.post("/v1/sessions/login", &login).await.unwrap();
    assert_eq!(code, 200, "{auth}");
    auth["access_token"].as_str().unwrap().to_owned()
}

/// Uploads files, and deletes two of three, until told to stop.
async fn churn(port: u16, token: String, client: usize, kept: Kept, stop: Arc<AtomicBool>) {
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let content = format!("{client}-{n} ").repeat(1 + n * 97 % 5000).into_bytes();
        let body = json!({ "file_name": format!("{n}.txt"), "base64": STANDARD.encode(&content) });
        let (code, file) = call(port, "POST", "/v1/files/base64", Some(&token), Some(&body)).await.unwrap();
        assert_eq!(code, 201, "{file}");
        let id = file["id"].as_str().unwrap().to_owned();
        if n % 3 == 0 {
            kept.lock().unwrap().insert(id, content);
        } else {
            let path = format!("/v1/files/{id}");
            assert_eq!(call(port, "DELETE", &path, Some(&token), None).await.unwrap().0, 200);
        }
    }
}

/// Every file that a user is shown, with its content.
async fn files_of(server: &Server, token: &str) -> HashMap<String, Vec<u8>> {
    let (mut files, mut path) = (HashMap::new(), "/v1/files?limit=50".to_owned());
    loop {
        let (code, page) = call(server.port, "GET", &path, Some(token), None).await.unwrap();
        assert_eq!(code, 200, "{page}");
        for file in page["data"].as_array().unwrap() {
            let id = file["id"].as_str().unwrap();
            let one = format!("/v1/files/base64/{id}");
            let (code, answer) = call(server.port, "GET", &one, Some(token), None).await.unwrap();
            assert_eq!(code, 200, "{id} is listed: {answer}");
            files.insert(id.to_owned(), STANDARD.decode(answer["base64"].as_str().unwrap()).unwrap());
        }
        match &page["next_cursor"] {
            Value::String(cursor) => path = format!("/v1/files?limit=50&cursor={cursor}"),
            _ => return files,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_amid_uploads_and_deletions_has_every_file_and_no_ghost() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let (stop, kept) = (Arc::<AtomicBool>::default(), Kept::default());
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let username = format!("user-{client}");
        let (code, _) = server.post("/v1/users", &registration(&username)).await.unwrap();
        assert_eq!(code, 201);
        let token = token(&server, &username).await;
        tasks.spawn(churn(server.port, token, client, Arc::clone(&kept), Arc::clone(&stop)));
    }
    let mut acknowledged = Vec::new();
    for name in ["first", "second", "third"] {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let before = kept.lock().unwrap().clone();
        let backup = folder.run(&["backup", name], &[], "").await;
        assert!(backup.success, "{}", backup.text);
        acknowledged.push((name, before));
    }
    let checked = folder.run(&["doctor"], &[], "").await;
    assert!(checked.success && checked.text.contains("files"), "{}", checked.text);
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let kept = kept.lock().unwrap().clone();
    let log = server.stop().await;
    assert!(!log.contains("ERROR"), "{log}");

    for (name, before) in acknowledged {
        let place = format!("{name}-restored");
        let variables = [("DATA_DIR", place.as_str())];
        let restored = folder.run(&["restore", name], &variables, "").await;
        assert!(restored.success, "{}", restored.text);
        let server = folder.serve(&variables).await;
        let mut found = HashMap::new();
        for client in 0..CLIENTS {
            found.extend(files_of(&server, &token(&server, &format!("user-{client}")).await).await);
        }
        assert!(!before.is_empty());
        for (id, content) in &before {
            assert_eq!(found.get(id), Some(content), "{name}: {id} was acknowledged before");
        }
        // What else there is was uploaded, or not yet deleted, while the backup ran: a few, with sound bytes.
        for (id, content) in &found {
            assert!(kept.get(id).is_none_or(|kept| kept == content), "{name}: {id} has other bytes");
        }
        let log = server.stop().await;
        assert!(!log.contains("ERROR"), "{log}");
        let checked = folder.run(&["doctor"], &variables, "").await;
        assert!(checked.success && !checked.text.contains("missing"), "{}", checked.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_while_serving_restores_everything_acknowledged_before() {
    let folder = Folder::new();
    let server = folder.serve(&[]).await;
    let (code, auth) = server.post("/v1/users", &registration("ada")).await.unwrap();
    assert_eq!(code, 201);
    let refresh_of = |auth: &Value| auth["refresh_token"].as_str().unwrap().to_owned();
    let ada = ("ada".to_owned(), refresh_of(&auth));
    let told = Arc::<Mutex<Vec<(String, String)>>>::default();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (told, stop, port) = (Arc::clone(&told), Arc::clone(&stop), server.port);
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let username = format!("user-{n}");
                let made = call(port, "POST", "/v1/users", None, Some(&registration(&username))).await;
                let (code, auth) = made.unwrap();
                assert_eq!(code, 201, "{auth}");
                told.lock().unwrap().push((username, refresh_of(&auth)));
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = told.lock().unwrap().clone();
    let backup = folder.run(&["backup", "copy"], &[], "").await;
    assert!(backup.success, "{}", backup.text);
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let again = folder.run(&["backup", "copy"], &[], "").await;
    assert!(!again.success && again.text.contains("exists"), "{}", again.text);

    let elsewhere = [("DATA_DIR", "restored")];
    let restored = folder.run(&["restore", "copy"], &elsewhere, "").await;
    assert!(restored.success, "{}", restored.text);
    let second = folder.serve(&elsewhere).await;
    assert!(!before.is_empty());
    for (username, refresh) in before.iter().chain([&ada]) {
        let login = json!({ "username": username, "password": PASSWORD });
        assert_eq!(second.post("/v1/sessions/login", &login).await.unwrap().0, 200, "{username}");
        let body = json!({ "refresh_token": refresh });
        assert_eq!(second.post("/v1/sessions/refresh", &body).await.unwrap().0, 200, "{username}");
    }
    let in_use = folder.run(&["restore", "copy", "--force"], &elsewhere, "").await;
    assert!(!in_use.success, "{}", in_use.text);
    second.stop().await;
    let occupied = folder.run(&["restore", "copy"], &elsewhere, "").await;
    assert!(!occupied.success && occupied.text.contains("exists"), "{}", occupied.text);
    server.stop().await;
}
