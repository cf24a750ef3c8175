//! A write load, and what a server acknowledged of it: every account's state as its owner was told it, and the one act
//! whose answer never came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::ports::entropy::Entropy;
use portico_tests::client::registration;
use portico_tests::process::call;
use serde_json::{Value, json};

/// Acts that one account does before its owner makes another.
const ACTS: usize = 60;

/// Numbers from a seed.
#[derive(Debug)]
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number below another.
    pub fn below(&self, most: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) % most
    }
}

/// Something that an account's owner asks for.
#[derive(Clone, Debug)]
pub enum Act {
    Register,
    Refresh,
    Rename(u64),
    Upload(Vec<u8>),
    Remove(String),
    ChangePassword(String),
    Notify(String),
    MarkRead(String),
    Leave,
}

/// What an account's owner was told.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub username: String,
    pub id: String,
    pub password: String,
    pub access: String,
    pub refresh: String,
    /// The number in the first name.
    pub name: u64,
    /// The content of each file.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Each notification's text, by its id once that was seen, and whether it was marked as read.
    pub notifications: BTreeMap<String, bool>,
    /// Changes of the password that were acknowledged, each of which promised an e-mail, and those that may have been.
    pub notices: (usize, usize),
    pub left: bool,
    /// What was asked for without an answer.
    pub in_flight: Option<Act>,
    pub acts: usize,
}

/// What one client was told: its accounts, of which it uses the last.
pub type Book = Arc<Mutex<Vec<Account>>>;

pub fn lock(book: &Book) -> std::sync::MutexGuard<'_, Vec<Account>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Uses a server until it is gone.
pub async fn work(port: u16, prefix: String, admin: String, book: Book, dice: Dice) {
    loop {
        let mut account = next_account(&book, &prefix);
        let act = if account.id.is_empty() { Act::Register } else { choose(&account, &dice) };
        account.in_flight = Some(act.clone());
        account.acts += 1;
        if let Act::ChangePassword(_) = act {
            account.notices.1 += 1;
        }
        *lock(&book).last_mut().unwrap() = account.clone();
        let Some((code, answer)) = ask(port, &account, &act, &admin).await else { return };
        assert!((200..300).contains(&code), "{act:?} of {}: {code} {answer}", account.username);
        account.in_flight = None;
        account.note(act, &answer);
        *lock(&book).last_mut().unwrap() = account;
    }
}

fn next_account(book: &Book, prefix: &str) -> Account {
    let mut book = lock(book);
    let done = book.last().is_none_or(|account| account.left || account.acts >= ACTS);
    if done {
        let username = format!("{prefix}-{}", book.len());
        let password = format!("the first one of {username}");
        book.push(Account { username, password, ..Account::default() });
    }
    book.last().unwrap().clone()
}

fn choose(account: &Account, dice: &Dice) -> Act {
    let number = dice.below(1 << 40);
    let unread = account.notifications.iter().find(|(_, read)| !**read);
    match dice.below(20) {
        0..5 => Act::Refresh,
        5..8 => Act::Rename(number),
        8..13 => Act::Upload(format!("{number} ").repeat(1 + dice.below(4000) as usize).into_bytes()),
        13..15 => account.files.keys().next().map_or(Act::Refresh, |id| Act::Remove(id.clone())),
        15 => Act::ChangePassword(format!("another one {number}")),
        16..18 => Act::Notify(format!("message {number}")),
        18 => unread.map_or(Act::Refresh, |(text, _)| Act::MarkRead(text.clone())),
        _ if account.acts > ACTS / 2 && dice.below(3) == 0 => Act::Leave,
        _ => Act::Rename(number),
    }
}

async fn ask(port: u16, account: &Account, act: &Act, admin: &str) -> Option<(u16, Value)> {
    let own = Some(account.access.as_str());
    match act {
        Act::Register => {
            let mut body = registration(&account.username);
            body["password"] = json!(account.password);
            call(port, "POST", "/v1/users", None, Some(&body)).await
        }
        Act::Refresh => {
            let body = json!({ "refresh_token": account.refresh });
            call(port, "POST", "/v1/sessions/refresh", None, Some(&body)).await
        }
        Act::Rename(number) => {
            let body = json!({ "first_name": format!("Name {number}") });
            call(port, "PUT", "/v1/users/me", own, Some(&body)).await
        }
        Act::Upload(content) => {
            let body = json!({ "file_name": "notes.txt", "base64": STANDARD.encode(content) });
            call(port, "POST", "/v1/files/base64", own, Some(&body)).await
        }
        Act::Remove(id) => call(port, "DELETE", &format!("/v1/files/{id}"), own, None).await,
        Act::ChangePassword(new) => {
            let body = json!({ "current_password": account.password, "new_password": new });
            call(port, "POST", "/v1/users/me/password", own, Some(&body)).await
        }
        Act::Notify(text) => {
            let body = json!({ "user_id": account.id, "message": text });
            call(port, "POST", "/v1/notifications", Some(admin), Some(&body)).await
        }
        Act::MarkRead(text) => {
            // Its id is known from the list alone.
            let (_, list) = call(port, "GET", "/v1/notifications?limit=100&all=true", own, None).await?;
            let of_text = |one: &&Value| one["message"] == text.as_str();
            let one = list["data"].as_array().and_then(|all| all.iter().find(of_text))?;
            let path = format!("/v1/notifications/{}", one["id"].as_str()?);
            call(port, "PUT", &path, own, None).await
        }
        Act::Leave => call(port, "DELETE", "/v1/users/me", own, None).await,
    }
}

impl Account {
    /// Takes over what an act came to.
    fn note(&mut self, act: Act, answer: &Value) {
        let text =
            |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        match act {
            Act::Register => {
                (self.id, self.access, self.refresh) =
                    (text("/user/id"), text("/access_token"), text("/refresh_token"));
            }
            Act::Refresh => (self.access, self.refresh) = (text("/access_token"), text("/refresh_token")),
            Act::Rename(number) => self.name = number,
            Act::Upload(content) => drop(self.files.insert(text("/id"), content)),
            Act::Remove(id) => drop(self.files.remove(&id)),
            Act::ChangePassword(new) => {
                self.password = new;
                self.notices.0 += 1;
            }
            Act::Notify(text) => drop(self.notifications.insert(text, false)),
            Act::MarkRead(text) => drop(self.notifications.insert(text, true)),
            Act::Leave => self.left = true,
        }
    }

    /// Holds a server to what it acknowledged, and takes over which of the two it is with the act in flight.
    pub async fn verify(&mut self, port: u16) {
        let in_flight = self.in_flight.take();
        if let Some(Act::Register) = in_flight {
            return self.verify_registration(port).await;
        }
        if self.id.is_empty() {
            return;
        }
        let Some(auth) = self.verify_login(port, in_flight.as_ref()).await else {
            assert!(self.left, "{} is gone", self.username);
            return;
        };
        assert!(!self.left, "{} is deleted and can sign in", self.username);
        assert_eq!(auth["user"]["id"], self.id.as_str());
        self.verify_name(&auth, in_flight.as_ref());
        let (code, pair) = ask(port, self, &Act::Refresh, "").await.unwrap();
        assert_eq!(code, 200, "{} cannot refresh: {pair}", self.username);
        self.note(Act::Refresh, &pair);
        self.verify_files(port, in_flight.as_ref()).await;
        self.verify_notifications(port, in_flight.as_ref()).await;
    }

    /// Wholly there or not at all: either the name is free, or its owner can sign in.
    async fn verify_registration(&mut self, port: u16) {
        let (code, auth) = ask(port, self, &Act::Register, "").await.unwrap();
        let auth = match code {
            201 => auth,
            _ => {
                assert_eq!(code, 409, "{auth}");
                let signed_in = self.verify_login(port, None).await;
                signed_in.unwrap_or_else(|| panic!("{} is taken by nobody", self.username))
            }
        };
        self.note(Act::Register, &auth);
    }

    async fn verify_login(&mut self, port: u16, in_flight: Option<&Act>) -> Option<Value> {
        let login = async |password: &str| {
            let body = json!({ "username": self.username, "password": password });
            call(port, "POST", "/v1/sessions/login", None, Some(&body)).await.unwrap()
        };
        let (code, auth) = login(&self.password).await;
        if code == 200 {
            return Some(auth);
        }
        // Who left is asked for after every kill: too often, in the end.
        assert!(code == 401 || (self.left && code == 429), "{}: {auth}", self.username);
        match in_flight {
            Some(Act::ChangePassword(new)) => {
                let (code, auth) = login(new).await;
                assert_eq!(code, 200, "neither password of {}: {auth}", self.username);
                self.password.clone_from(new);
                self.notices.0 += 1;
                Some(auth)
            }
            Some(Act::Leave) => {
                self.left = true;
                None
            }
            _ => None,
        }
    }

    fn verify_name(&mut self, auth: &Value, in_flight: Option<&Act>) {
        let name = auth["user"]["first_name"].as_str().unwrap();
        let name = name.trim_start_matches("Name ").parse().unwrap_or_default();
        let expected = matches!(in_flight, Some(Act::Rename(new)) if *new == name) || name == self.name;
        assert!(expected, "{} is called {name}, not {}, with {in_flight:?}", self.username, self.name);
        self.name = name;
    }

    async fn verify_files(&mut self, port: u16, in_flight: Option<&Act>) {
        let mut found = BTreeMap::new();
        for file in list(port, "/v1/files?limit=50", &self.access).await {
            let id = file["id"].as_str().unwrap().to_owned();
            let path = format!("/v1/files/base64/{id}");
            let (code, answer) = call(port, "GET", &path, Some(&self.access), None).await.unwrap();
            assert_eq!(code, 200, "{id} is listed: {answer}");
            found.insert(id, STANDARD.decode(answer["base64"].as_str().unwrap()).unwrap());
        }
        for (id, content) in &self.files {
            let removed = matches!(in_flight, Some(Act::Remove(removed)) if removed == id);
            let there = found.get(id);
            assert!(there == Some(content) || (removed && there.is_none()), "{id} of {}", self.username);
        }
        for (id, content) in found.iter().filter(|(id, _)| !self.files.contains_key(*id)) {
            let uploaded = matches!(in_flight, Some(Act::Upload(uploaded)) if uploaded == content);
            assert!(uploaded, "{id} of {} comes from nowhere", self.username);
        }
        self.files = found;
    }

    async fn verify_notifications(&mut self, port: u16, in_flight: Option<&Act>) {
        let mut found = BTreeMap::new();
        for one in list(port, "/v1/notifications?limit=50&all=true", &self.access).await {
            found.insert(one["message"].as_str().unwrap().to_owned(), one["readed"] == 1);
        }
        for (text, read) in &self.notifications {
            let marked = matches!(in_flight, Some(Act::MarkRead(marked)) if marked == text);
            let there = found.get(text);
            assert!(there == Some(read) || (marked && there == Some(&true)), "{text:?} of {}", self.username);
        }
        for text in found.keys().filter(|text| !self.notifications.contains_key(*text)) {
            let sent = matches!(in_flight, Some(Act::Notify(sent)) if sent == text);
            assert!(sent, "{text:?} of {} comes from nowhere", self.username);
        }
        self.notifications = found;
    }
}

async fn list(port: u16, path: &str, token: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), path.to_owned());
    loop {
        let (code, page) = call(port, "GET", &next, Some(token), None).await.unwrap();
        assert_eq!(code, 200, "{page}");
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        match &page["next_cursor"] {
            Value::String(cursor) => next = format!("{path}&cursor={cursor}"),
            _ => return all,
        }
    }
}
