//! Stores that get in the way at chosen moments, and short ways to ask.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::store::{Lag, MemoryStore};
use portico_core::ports::store::{Condition, Key, Page, Query, Store, StoreError, Versioned, Write};
use portico_core::schema::{self, Table};
use portico_tests::client::{Answer, Client, PASSWORD, User};
use portico_tests::lab::{Lab, test_keys};
use portico_tests::messages::Message;
use serde_json::{Value, json};

/// Lets every other request have a turn before each call, so that requests that are awaited together overlap as much as
/// they can.
#[derive(Debug)]
pub(crate) struct Yielding(pub(crate) Arc<dyn Store>);

#[async_trait]
impl Store for Yielding {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        tokio::task::yield_now().await;
        self.0.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        tokio::task::yield_now().await;
        self.0.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        self.0.transact(writes).await
    }
}

type Chosen = Box<dyn Fn(&[Write]) -> bool + Send>;

/// Lets something else happen, once, right before a chosen transaction.
pub(crate) struct Interposed {
    inner: Arc<dyn Store>,
    next: Mutex<Option<(Chosen, BoxFuture<'static, ()>)>>,
}

impl Interposed {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, next: Mutex::default() }
    }

    pub(crate) fn once_before(
        &self,
        chosen: impl Fn(&[Write]) -> bool + Send + 'static,
        happening: impl Future<Output = ()> + Send + 'static,
    ) {
        let next = (Box::new(chosen) as Chosen, Box::pin(happening) as BoxFuture<'static, ()>);
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    /// Whether everything that was to happen did.
    pub(crate) fn is_over(&self) -> bool {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn due(&self, writes: &[Write]) -> Option<BoxFuture<'static, ()>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if !next.as_ref().is_some_and(|(chosen, _)| chosen(writes)) {
            return None;
        }
        next.take().map(|(_, happening)| happening)
    }
}

impl std::fmt::Debug for Interposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interposed")
    }
}

#[async_trait]
impl Store for Interposed {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        self.inner.query(query).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        if let Some(happening) = self.due(writes) {
            happening.await;
        }
        self.inner.transact(writes).await
    }
}

/// A memory store and its clock.
pub(crate) fn memory(lag: Lag) -> (Arc<MemoryStore>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let entropy = Arc::new(SeededEntropy::new(1));
    (Arc::new(MemoryStore::with_lagging_indexes(clock.clone(), entropy, lag)), clock)
}

/// A lab whose requests overlap as much as they can.
pub(crate) fn overlapping() -> Arc<Lab> {
    let (store, clock) = memory(Lag::Transactions(0));
    Arc::new(Lab::on_store(Arc::new(Yielding(store)), clock))
}

/// A lab in which something can happen at a chosen moment.
pub(crate) fn interposed() -> (Arc<Lab>, Arc<Interposed>) {
    let (store, clock) = memory(Lag::Transactions(0));
    let store = Arc::new(Interposed::new(store));
    (Arc::new(Lab::on_store(store.clone(), clock)), store)
}

/// The same deployment, started anew.
pub(crate) fn restarted(lab: &Lab) -> Arc<Lab> {
    Arc::new(lab.restarted(&[], test_keys()))
}

/// Whether a transaction changes something in a table.
pub(crate) fn puts_into(table: &'static Table) -> impl Fn(&[Write]) -> bool + Send + 'static {
    move |writes| {
        writes.iter().any(|write| matches!(write, Write::Put { key, .. } if key.table.name == table.name))
    }
}

/// Stores an item as some other program might have.
pub(crate) async fn store_row(lab: &Lab, table: &'static Table, row: Value) {
    let item = row.as_object().expect("an object").clone();
    let key = Key::of(table, &item).expect("an item with its key");
    let write = Write::Put { key, item, when: Condition::Always };
    lab.ports.store.transact(&[write]).await.expect("a write");
}

/// What is stored of a user.
pub(crate) async fn user_row(lab: &Lab, user_id: &str) -> Value {
    row(lab, Key::new(&schema::USERS, user_id)).await
}

/// What is stored under a key; null if nothing is.
pub(crate) async fn row(lab: &Lab, key: Key) -> Value {
    let found = lab.ports.store.get(&key).await.expect("an answer");
    found.map_or(Value::Null, |found| Value::Object(found.item))
}

/// Every entry of the outbox.
pub(crate) async fn promises(lab: &Lab) -> Vec<Value> {
    let mut found = Vec::new();
    for shard in 0..8 {
        let query = Query::index(&schema::OUTBOX, "shard-due_at-index", shard.to_string()).limit(1000);
        let page = lab.ports.store.query(&query).await.expect("an answer");
        found.extend(page.items.into_iter().map(|found| Value::Object(found.item)));
    }
    found
}

/// Whether the outbox promises a message to somebody.
pub(crate) async fn promises_to(lab: &Lab, to: &str) -> bool {
    promises(lab).await.iter().any(|entry| entry["task"]["to"] == to)
}

pub(crate) fn address(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, n))
}

/// Tries to sign in.
pub(crate) async fn login(client: &Client, name: &str, password: &str) -> Answer {
    client.post("/v1/sessions/login", json!({"username": name, "password": password})).await
}

/// Tries to sign in on a device.
pub(crate) async fn login_on(client: &Client, name: &str, password: &str, device_uuid: &str) -> Answer {
    let body = json!({"username": name, "password": password, "device_uuid": device_uuid});
    client.post("/v1/sessions/login", body).await
}

/// Fails to sign in so many times.
pub(crate) async fn fail(client: &Client, name: &str, times: usize) {
    for _ in 0..times {
        login(client, name, "not the password").await.expect_problem(401, "invalid_credentials");
    }
}

/// Asks for a recovery code.
pub(crate) async fn ask_recovery(client: &Client, email: &str) -> Answer {
    client.post("/v1/password-recovery/request", json!({"email": email})).await
}

/// The recovery code that an account is sent.
pub(crate) async fn recovery_code(lab: &Arc<Lab>, email: &str) -> String {
    ask_recovery(&lab.client(), email).await.expect(200);
    newest(lab, email).code()
}

/// Enters a recovery code.
pub(crate) async fn recover(client: &Client, email: &str, code: &str, new_password: &str) -> Answer {
    let body = json!({"email": email, "otp": code, "new_password": new_password});
    client.post("/v1/password-recovery/validate-code", body).await
}

/// Changes the password.
pub(crate) async fn change_password(user: &User, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    user.client.post("/v1/users/me/password", body).await
}

/// Changes a user's own profile.
pub(crate) async fn update(user: &User, changes: Value) -> Answer {
    user.client.put("/v1/users/me", changes).await
}

/// What a lab sent to somebody, oldest first.
pub(crate) fn sent_to(lab: &Lab, to: &str) -> Vec<Message> {
    let mails = lab.mailer.sent().into_iter().map(|mail| Message {
        channel: "email".to_owned(),
        to: mail.to,
        subject: mail.subject,
        text: mail.text,
    });
    let texts = lab.sms.sent().into_iter().map(|sms| Message {
        channel: "sms".to_owned(),
        to: sms.to,
        subject: String::new(),
        text: sms.text,
    });
    mails.chain(texts).filter(|message| message.to == to).collect()
}

/// The newest message to somebody.
pub(crate) fn newest(lab: &Lab, to: &str) -> Message {
    sent_to(lab, to).pop().unwrap_or_else(|| panic!("nothing was sent to {to}"))
}

/// The subjects of what was sent to somebody.
pub(crate) fn subjects(lab: &Lab, to: &str) -> Vec<String> {
    sent_to(lab, to).into_iter().map(|message| message.subject).collect()
}

/// `Retry-After`, in seconds.
pub(crate) fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After in seconds")
}

/// An answer without what is new in every answer.
pub(crate) fn normalized(answer: &Answer) -> (u16, Vec<String>, Value) {
    let mut body = answer.json();
    body.as_object_mut().map(|body| body.remove("request_id"));
    let headers = answer.headers.iter().filter(|(name, _)| name.as_str() != "x-request-id");
    let mut headers: Vec<String> = headers
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    (answer.status, headers, body)
}

/// The usual password still works.
pub(crate) async fn assert_password(client: &Client, name: &str) {
    login(client, name, PASSWORD).await.expect(200);
}

/// A session that has ended.
pub(crate) async fn assert_ended(user: &User) {
    user.client.get("/v1/sessions").await.expect_problem(401, "session_ended");
    user.refresh_with(&user.refresh_token).await.expect_problem(401, "invalid_refresh_token");
}

/// A session that goes on.
pub(crate) async fn assert_live(user: &User) {
    user.client.get("/v1/sessions").await.expect(200);
}
