//! Rows of the older system through the API: read as they are, and written in today's form when they change.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use portico_core::dynamo::item;
use portico_core::ports::store::{Condition, Key, Page, Query, Store, StoreError, Version, Versioned, Write};
use portico_core::schema::{SESSIONS, USERS};
use portico_tests::client::User;
use portico_tests::lab::Lab;
use portico_tests::older;
use serde_json::{Value, json};

use super::support::{login, login_on, row};

/// Shows rows as an older system's, of version 0, until they are written.
#[derive(Debug)]
struct Older {
    inner: Arc<dyn Store>,
    keys: Mutex<BTreeSet<(String, String, Option<String>)>>,
}

fn name(key: &Key) -> (String, String, Option<String>) {
    (key.table.name.to_owned(), key.hash.clone(), key.range.clone())
}

impl Older {
    async fn over(inner: Arc<dyn Store>) -> Self {
        let mut keys = BTreeSet::new();
        for (table, rows) in older::rows() {
            for row in rows {
                let Versioned { item, version } = item::decode(table, row).expect("a row");
                assert_eq!(version, Version(0));
                let key = Key::of(table, &item).expect("a key");
                keys.insert(name(&key));
                let put = Write::Put { key, item, when: Condition::Absent };
                inner.transact(&[put]).await.expect("a write");
            }
        }
        Self { inner, keys: Mutex::new(keys) }
    }

    fn is_older(&self, key: &Key) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).contains(&name(key))
    }

    fn show(&self, key: &Key, stored: Versioned) -> Versioned {
        if self.is_older(key) { Versioned { version: Version(0), ..stored } } else { stored }
    }

    /// The write with the version that the row has in the store.
    async fn translate(&self, write: &Write) -> Result<Write, StoreError> {
        let mut write = write.clone();
        let key = write.key().clone();
        let (Write::Put { when, .. } | Write::Delete { when, .. } | Write::Check { when, .. }) = &mut write;
        if let Condition::At(Version(0)) = *when
            && self.is_older(&key)
            && let Some(stored) = self.inner.get(&key).await?
        {
            *when = Condition::At(stored.version);
        }
        Ok(write)
    }
}

#[async_trait]
impl Store for Older {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self.inner.get(key).await?.map(|stored| self.show(key, stored)))
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let mut page = self.inner.query(query).await?;
        let show = |stored: Versioned| match Key::of(query.table, &stored.item) {
            Some(key) => self.show(&key, stored),
            None => stored,
        };
        page.items = page.items.into_iter().map(show).collect();
        Ok(page)
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut translated = Vec::new();
        for write in writes {
            translated.push(self.translate(write).await?);
        }
        self.inner.transact(&translated).await?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for write in writes.iter().filter(|write| !matches!(write, Write::Check { .. })) {
            keys.remove(&name(write.key()));
        }
        Ok(())
    }
}

/// A deployment in which the older system left its rows, and the lab that keeps its store.
async fn deployment(base: Lab) -> (Arc<Lab>, Lab) {
    let store: Arc<dyn Store> = Arc::new(Older::over(base.ports.store.clone()).await);
    (Arc::new(Lab::on_store(store, base.clock.clone())), base)
}

async fn grace(lab: &Arc<Lab>) -> User {
    let client = lab.client();
    let signed_in = login_on(&client, "grace", older::PASSWORD, "grace-phone").await.expect(200);
    User::of(&client, "grace", &signed_in)
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|one| one["id"].as_str().expect("an id")).collect()
}

async fn passwords_verify_and_are_hashed_anew(lab: &Arc<Lab>) {
    let hash = async || row(lab, Key::new(&USERS, older::GRACE)).await["password_hash"].clone();
    assert!(hash().await.as_str().unwrap().starts_with("$2a$"));
    login(&lab.client(), "grace", "U*V").await.expect_problem(401, "invalid_credentials");
    login(&lab.client(), "grace", older::PASSWORD).await.expect(200);
    let upgraded = hash().await;
    assert!(upgraded.as_str().unwrap().starts_with("$argon2id$"), "{upgraded}");
    login(&lab.client(), "GRACE@example.com", older::PASSWORD).await.expect(200);
    assert_eq!(hash().await, upgraded);
    login(&lab.client(), "bare", older::PASSWORD).await.expect_problem(401, "invalid_credentials");
}

async fn a_plain_refresh_token_is_good_once(lab: &Arc<Lab>) {
    let refresh = async |token: &str| {
        lab.client().post("/v1/sessions/refresh", json!({ "refresh_token": token })).await
    };
    let pair = refresh(older::REFRESH_TOKEN).await.expect(200).json();
    refresh(older::REFRESH_TOKEN).await.expect_problem(401, "invalid_refresh_token");
    let stored = row(lab, Key::new(&SESSIONS, older::SESSION)).await;
    assert_eq!(stored.get("refresh_token"), None);
    refresh(pair["refresh_token"].as_str().unwrap()).await.expect(200);
    refresh("bG9nZ2VkLW91dA").await.expect_problem(401, "invalid_refresh_token");
}

async fn what_is_missing_takes_its_default(lab: &Arc<Lab>) {
    let grace = grace(lab).await;
    assert_eq!((grace.id.as_str(), grace.device_id.as_str()), (older::GRACE, older::DEVICE));
    let me = grace.client.get("/v1/users/me").await.expect(200).json();
    assert_eq!((me.get("birthday"), me.get("phone")), (None, None));
    assert_eq!((&me["created"], &me["enable"]), (&json!("2023-05-06T07:08:09.123Z"), &json!(1)));
    let boss = login(&lab.client(), "boss", older::PASSWORD).await.expect(200);
    let boss = User::of(&lab.client(), "boss", &boss);
    // Without an e-mail address nobody can register today; it can be given one.
    let bare = format!("/v1/users/{}", older::BARE);
    assert_eq!(boss.client.get(&bare).await.expect(200).json()["email"], "");
    let bare = boss.client.put(&bare, json!({ "email": "bare@example.com" })).await.expect(200).json();
    assert_eq!(
        (&bare["enable"], &bare["role"], &bare["username"]),
        (&json!(0), &json!("User"), &json!("bare"))
    );
    assert_eq!((&bare["first_name"], bare.get("birthday")), (&json!("-"), None));
    let own = boss.client.get(&format!("/v1/users/{}", older::BOSS)).await.expect(200).json();
    assert_eq!(own["role"], "Admin");
}

async fn everything_is_listed(lab: &Arc<Lab>) {
    let grace = grace(lab).await;
    let get = async |path: &str| grace.client.get(path).await.expect(200).json();
    assert_eq!(ids(&get("/v1/devices").await), [older::DEVICE]);
    let all = get("/v1/notifications?all=true").await;
    assert_eq!(
        ids(&all["data"]),
        ["01H00000000000000000N0TE30", "01H00000000000000000N0TE20", "01H00000000000000000N0TE10"]
    );
    assert_eq!(
        all["data"].as_array().unwrap().iter().map(|one| &one["readed"]).collect::<Vec<_>>(),
        [0, 1, 0]
    );
    let read = grace.client.put("/v1/notifications/01H00000000000000000N0TE10", json!({})).await.expect(200);
    assert_eq!(read.json()["readed"], 1);
    assert_eq!(ids(&get("/v1/files").await["data"]), ["01H00000000000000000F1DE10"]);
    let statuses = get("/v1/statuses").await;
    let mut described: Vec<&Value> =
        statuses.as_array().unwrap().iter().map(|one| &one["description"]).collect();
    described.sort_by_key(|text| text.as_str().unwrap());
    assert_eq!(described, ["", "At sea"]);
    let versions = get("/v1/app-versions").await;
    let versions: Vec<&Value> = versions.as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(versions, ["2.1.0", "1.9.0"]);
    let outdated = grace.client.put("/v1/devices/version", json!({ "device_version": 1.9 })).await;
    assert_eq!(outdated.expect(409).json()["latest"], "2.1.0");
    get("/v1/users/me/sessions").await;
    get("/v1/users/me/export").await;
    grace.client.post_empty("/v1/confirm-email/request").await.expect(200);
}

macro_rules! on_every_store {
    ($($property:ident),* $(,)?) => {
        mod in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $property() {
                let (lab, _base) = deployment(Lab::new()).await;
                super::$property(&lab).await;
            })*
        }
        mod in_sqlite {
            use super::*;
            $(#[tokio::test]
            async fn $property() {
                let (lab, _base) = deployment(Lab::on_sqlite()).await;
                super::$property(&lab).await;
            })*
        }
    };
}

on_every_store!(
    passwords_verify_and_are_hashed_anew,
    a_plain_refresh_token_is_good_once,
    what_is_missing_takes_its_default,
    everything_is_listed,
);
