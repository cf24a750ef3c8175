//! A deployment's tables at the emulators, looked at and changed past the server.

use std::sync::Arc;

use portico::aws::connect;
use portico::clock::SystemClock;
use portico::entropy::SystemEntropy;
use portico::store::dynamo::SdkClient;
use portico_core::dynamo::attribute::Attributes;
use portico_core::dynamo::client::{Answer, DynamoClient};
use portico_core::dynamo::item;
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::request::{Request, Scan};
use portico_core::dynamo::store::DynamoStore;
use portico_core::ports::store::{Condition, Key, Store, Versioned, Write};
use portico_core::schema::{COUNTERS, OUTBOX, Table, USER_VERIFICATIONS};
use portico_core::time::Timestamp;
use serde_json::Value;

use crate::emulators::Emulators;

/// Tables of the usual names.
#[derive(Debug)]
pub struct Tables {
    client: Arc<SdkClient>,
    store: DynamoStore,
}

impl Tables {
    /// The tables that the emulators hold.
    pub async fn of(emulators: &Emulators) -> Self {
        let client = Arc::new(SdkClient::new(&connect(&emulators.settings()).await));
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let store = DynamoStore::new(client.clone(), clock, entropy, TableNames::default());
        Self { client, store }
    }

    /// Asks DynamoDB.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn send(&self, request: Request) -> Answer {
        self.client.send(&request).await.expect("an answer")
    }

    /// Every item of a table as DynamoDB has it.
    ///
    /// # Panics
    /// When the table cannot be read.
    pub async fn items(&self, table: &'static Table) -> Vec<Attributes> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let scan = Scan {
                table_name: table.name.to_owned(),
                consistent_read: true,
                limit: 1000,
                exclusive_start_key: after,
            };
            let Answer::Page { items, last_evaluated_key } = self.send(Request::Scan(scan)).await else {
                panic!("no page of {}", table.name);
            };
            all.extend(items);
            after = last_evaluated_key;
            if after.is_none() {
                return all;
            }
        }
    }

    /// How many messages are promised and neither sent nor given up.
    ///
    /// # Panics
    /// When the outbox cannot be read.
    pub async fn promised_messages(&self) -> usize {
        let entries = self.items(&OUTBOX).await.into_iter();
        let entries = entries.map(|entry| item::decode(&OUTBOX, entry).expect("an entry").item);
        entries.filter(|entry| ["mail", "sms"].map(Value::from).contains(&entry["task"]["kind"])).count()
    }

    /// Lets what messages and codes go by become so many seconds older, as if that time had passed. What is being sent
    /// meanwhile would be taken for long overdue: wait for it.
    ///
    /// # Panics
    /// When a table cannot be read or written.
    pub async fn age(&self, seconds: i64) {
        for table in [&OUTBOX, &USER_VERIFICATIONS, &COUNTERS] {
            for attributes in self.items(table).await {
                let Versioned { mut item, version } = item::decode(table, attributes).expect("an item");
                let key = Key::of(table, &item).expect("a key");
                item.iter_mut().for_each(|(name, value)| age(name, value, seconds));
                match self.store.transact(&[Write::Put { key, item, when: Condition::At(version) }]).await {
                    // The server was quicker, which it can be only if the item was due without this.
                    Err(error) if error.conflicting_write().is_some() => {}
                    outcome => outcome.expect("a write"),
                }
            }
        }
    }
}

fn age(name: &str, value: &mut Value, seconds: i64) {
    match value {
        Value::String(text) => {
            if let Ok(then) = Timestamp::parse(text) {
                *text = then.plus_seconds(-seconds).to_string();
            }
        }
        Value::Number(number) if name == "expires_at" => {
            *value = (number.as_i64().expect("seconds") - seconds).into();
        }
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| age(name, value, seconds)),
        _ => {}
    }
}
