//! What a server acknowledged, and whether it is there.

use bytes::Bytes;
use http::Method;
use portico_bench::connection::{Answer, Connection};
use portico_bench::scenario::Call;
use portico_core::dynamo::client::{Answer as Found, DynamoClient};
use portico_core::dynamo::request::{Request, Scan};
use portico_core::schema::OUTBOX;
use portico_tests::client::PASSWORD;
use portico_tests::emulators::Emulators;
use serde_json::{Value, json};

/// What was acknowledged to one connection.
#[derive(Debug)]
pub struct Ledger {
    /// The user.
    pub username: String,
    /// Their id.
    pub id: String,
    /// The last refresh token.
    pub refresh_token: String,
    /// The ids of files, and what they hold.
    pub files: Vec<(String, String)>,
    /// The users registered.
    pub registered: Vec<String>,
    /// The messages of notifications.
    pub notifications: Vec<String>,
    /// How many texts were promised.
    pub texts: usize,
}

impl Ledger {
    /// Holds the server to it. Of many things of one kind some are looked at: the first, the last, and some between.
    pub async fn verify(&self, server: &mut Connection) {
        let pair =
            post(server, "/v1/sessions/refresh", None, json!({ "refresh_token": self.refresh_token })).await;
        let token = pair["access_token"].as_str().expect("a token").to_owned();
        for username in some(&self.registered) {
            let login = json!({ "username": username, "password": PASSWORD });
            let auth = post(server, "/v1/sessions/login", None, login).await;
            assert_eq!(auth["user"]["username"], username.as_str());
        }
        for (id, content) in some(&self.files) {
            let answer = get(server, &format!("/v1/files/{id}"), &token).await;
            assert_eq!(answer.body, content.as_bytes(), "file {id}");
        }
        let unread = self.unread(server, &token).await;
        for message in &self.notifications {
            assert!(unread.contains(message), "{}: {message:?} is lost", self.username);
        }
    }

    async fn unread(&self, server: &mut Connection, token: &str) -> Vec<String> {
        let (mut messages, mut path) = (Vec::new(), "/v1/notifications?limit=100".to_owned());
        loop {
            let answer = get(server, &path, token).await;
            let page: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let data = page["data"].as_array().expect("a list");
            messages.extend(data.iter().map(|one| one["message"].as_str().expect("a text").to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else { return messages };
            path = format!("/v1/notifications?limit=100&cursor={cursor}");
        }
    }
}

/// Holds that each welcome was sent, or is still promised.
pub async fn verify_messages(emulators: &Emulators, client: &dyn DynamoClient, ledgers: &[Ledger]) {
    // What is promised is asked for first: it may be sent between the two.
    let promised = promised(client).await;
    let sent = emulators.tell("/_mail").await;
    let mails: Vec<&str> =
        sent.as_array().expect("a list").iter().filter_map(|mail| mail["to"][0].as_str()).collect();
    for username in ledgers.iter().flat_map(|ledger| &ledger.registered) {
        let address = format!("{username}@example.com");
        let is_promised = promised.iter().any(|entry| entry.contains(&address));
        assert!(is_promised || mails.contains(&address.as_str()), "the mail to {address} is lost");
    }
    let texts = emulators.tell("/_aws/sns/sms-messages").await;
    let texts: usize = texts["sms_messages"]
        .as_object()
        .expect("numbers")
        .values()
        .map(|messages| messages.as_array().map_or(0, Vec::len))
        .sum();
    let still = promised.iter().filter(|entry| entry.contains("+1415")).count();
    let acknowledged: usize = ledgers.iter().map(|ledger| ledger.texts).sum();
    assert!(texts + still >= acknowledged, "{texts} texts sent, {still} promised, of {acknowledged}");
}

/// The outbox's entries, as text.
async fn promised(client: &dyn DynamoClient) -> Vec<String> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let scan = Scan {
            table_name: OUTBOX.name.to_owned(),
            consistent_read: true,
            limit: 1_000,
            exclusive_start_key: after,
        };
        let answer = client.send(&Request::Scan(scan)).await.expect("a page");
        let Found::Page { items, last_evaluated_key } = answer else { panic!("no page") };
        entries.extend(items.iter().map(|item| serde_json::to_string(item).expect("JSON")));
        after = last_evaluated_key;
        if after.is_none() {
            return entries;
        }
    }
}

/// The first, the last, and some between.
fn some<T>(all: &[T]) -> impl Iterator<Item = &T> {
    let last = all.len().saturating_sub(1);
    all.iter().enumerate().filter(move |(index, _)| index % 7 == 0 || *index == last).map(|(_, one)| one)
}

/// Posts, and expects a 2xx.
pub async fn post(server: &mut Connection, path: &str, token: Option<&str>, body: Value) -> Value {
    let answer = server.exchange(Call::post("", path, token, &body).request).await.expect("an answer");
    assert!((200..300).contains(&answer.status), "{path}: {} {:?}", answer.status, answer.body);
    serde_json::from_slice(&answer.body).expect("JSON")
}

async fn get(server: &mut Connection, path: &str, token: &str) -> Answer {
    let call = Call::new("", Method::GET, path, Some(token), None, Bytes::new());
    let answer = server.exchange(call.request).await.expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
    answer
}
