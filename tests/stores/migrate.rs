//! Tables of the older system, as it had them in DynamoDB, migrated and served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use portico::aws::connect;
use portico::entropy::SystemEntropy;
use portico::store::dynamo::SdkClient;
use portico_core::dynamo::attribute::{AttributeValue, Attributes};
use portico_core::dynamo::client::{Answer, DynamoClient};
use portico_core::dynamo::migrate::{self, Report, Silent};
use portico_core::dynamo::names::TableNames;
use portico_core::dynamo::request::{
    AttributeDefinition, GlobalIndex, KeyElement, Projection, PutItem, Request, Scan,
};
use portico_core::dynamo::retry::Sender;
use portico_core::dynamo::store::DynamoStore;
use portico_core::dynamo::tables::creation;
use portico_core::memory::clock::ManualClock;
use portico_core::ports::clock::Clock;
use portico_core::ports::store::StoreError;
use portico_core::schema::{NOTIFICATIONS, Table, USERS};
use portico_core::time::Timestamp;
use portico_tests::client::User;
use portico_tests::emulators::Emulators;
use portico_tests::lab::Lab;
use portico_tests::older;
use serde_json::{Value, json};

/// The indexes that the older system's tables did not have.
const ADDED: [&str; 2] = ["list_shard-user_id-index", "unread_of-notification_id-index"];

/// A clock that a test sets, and that waits for a little of what it is asked to.
#[derive(Debug)]
struct HastyClock(Arc<ManualClock>);

impl Clock for HastyClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(duration_ms.min(50))))
    }
}

/// A deployment of the older system in emulators.
pub(crate) struct Deployment {
    pub(crate) emulators: Arc<Emulators>,
    client: Arc<SdkClient>,
    clock: Arc<ManualClock>,
    waiting: Arc<HastyClock>,
    names: TableNames,
}

impl Deployment {
    pub(crate) async fn new() -> Self {
        let emulators = Arc::new(Emulators::start());
        let client = Arc::new(SdkClient::new(&connect(&emulators.settings()).await));
        let clock = Arc::new(ManualClock::default());
        let waiting = Arc::new(HastyClock(clock.clone()));
        let deployment = Self { emulators, client, clock, waiting, names: TableNames::default() };
        for (table, rows) in older::rows() {
            deployment.send(Request::CreateTable(older_creation(table))).await;
            for item in rows {
                let table_name = table.name.to_owned();
                deployment.send(Request::PutItem(PutItem { table_name, item, condition: None })).await;
            }
        }
        deployment
    }

    pub(crate) async fn send(&self, request: Request) -> Answer {
        self.client.send(&request).await.expect("an answer")
    }

    fn sender(&self) -> Sender<'_> {
        Sender { client: &*self.client, clock: &*self.waiting, entropy: &SystemEntropy, budget: None }
    }

    async fn plan(&self) -> Report {
        migrate::plan(self.sender(), &self.names, &Silent).await.expect("a plan")
    }

    async fn run(&self) -> Result<Report, StoreError> {
        migrate::run(self.sender(), &self.names, &Silent).await
    }

    /// Every item of a table, by key.
    pub(crate) async fn items(&self, table: &'static Table) -> BTreeMap<String, Attributes> {
        let scan = Scan {
            table_name: table.name.to_owned(),
            consistent_read: true,
            limit: 1000,
            exclusive_start_key: None,
        };
        let Answer::Page { items, last_evaluated_key: None } = self.send(Request::Scan(scan)).await else {
            panic!("more than a page");
        };
        items.into_iter().map(|item| (text(&item, table.hash).to_owned(), item)).collect()
    }

    /// How often something was written.
    pub(crate) async fn writes(&self) -> u64 {
        let mut writes = 0;
        for operation in ["PutItem", "TransactWriteItems", "UpdateTable", "CreateTable", "UpdateTimeToLive"] {
            writes += self.emulators.calls("dynamodb", operation).await;
        }
        writes
    }

    async fn lab(&self) -> Arc<Lab> {
        let entropy = Arc::new(SystemEntropy);
        let store = DynamoStore::new(self.client.clone(), self.waiting.clone(), entropy, self.names.clone());
        Arc::new(Lab::on_store(Arc::new(store), self.clock.clone()))
    }
}

/// How the older system made a table.
fn older_creation(table: &'static Table) -> portico_core::dynamo::request::CreateTable {
    let mut creation = creation(table, table.name);
    creation.global_secondary_indexes.retain(|index| !ADDED.contains(&index.index_name.as_str()));
    let added = ["list_shard", "unread_of"];
    creation.attribute_definitions.retain(|definition| !added.contains(&definition.attribute_name.as_str()));
    if table == &USERS {
        let element =
            |name: &str, kind: &str| KeyElement { attribute_name: name.into(), key_type: kind.into() };
        creation.global_secondary_indexes.push(GlobalIndex {
            index_name: "enable-index".into(),
            key_schema: vec![element("enable", "HASH"), element("created_at", "RANGE")],
            projection: Projection { projection_type: "ALL".into() },
            provisioned_throughput: None,
        });
        creation.attribute_definitions.extend([("enable", "N"), ("created_at", "S")].map(|(name, kind)| {
            AttributeDefinition { attribute_name: name.into(), attribute_type: kind.into() }
        }));
    }
    creation
}

fn text<'item>(item: &'item Attributes, name: &str) -> &'item str {
    match item.get(name) {
        Some(AttributeValue::S(text)) => text,
        other => panic!("{name} is {other:?}"),
    }
}

/// What is expected of the fixtures: whose name and address are somebody else's.
fn assert_duplicates(report: &Report) {
    let found = report.duplicates.iter();
    let mut found: Vec<_> =
        found.map(|one| (&*one.kind, &*one.name, &*one.user_id, &*one.owner_id)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("email", "grace@example.com", "01H000000000000000000TW1N0", older::GRACE),
            ("username", "ada", "01H0000000000000000000ADA1", "01H0000000000000000000ADA2"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_a_run_does_and_writes_nothing() {
    let deployment = Deployment::new().await;
    let before = (deployment.items(&USERS).await, deployment.items(&NOTIFICATIONS).await);
    let writes = deployment.writes().await;
    let planned = deployment.plan().await;
    assert_eq!(deployment.writes().await, writes);
    assert_eq!((deployment.items(&USERS).await, deployment.items(&NOTIFICATIONS).await), before);
    let report = deployment.run().await.expect("a migration");
    for report in [&planned, &report] {
        assert_duplicates(report);
        let tallies: Vec<_> = report.tallies.iter().map(|tally| (tally.read, tally.migrated)).collect();
        assert_eq!(tallies, [(6, 4), (4, 3)]);
        assert_eq!((report.remaining.len(), report.unfinished.len()), (0, 0), "{report:?}");
    }
    let (users, notifications) = (deployment.items(&USERS).await, deployment.items(&NOTIFICATIONS).await);
    for untouched in ["01H000000000000000000TW1N0", "01H0000000000000000000ADA1"] {
        assert_eq!(users[untouched], before.0[untouched]);
    }
    // What a row had it keeps, types included.
    for (table, key) in [(&users, older::GRACE), (&notifications, "01H00000000000000000N0TE10")] {
        let was = if table.contains_key(older::BOSS) { &before.0[key] } else { &before.1[key] };
        assert!(was.iter().all(|(name, value)| table[key].get(name) == Some(value)), "{key}");
        assert_eq!(table[key].len(), was.len() + 2, "{key}");
    }
    let writes = deployment.writes().await;
    let again = deployment.run().await.expect("a migration");
    assert!(again.changed_nothing());
    assert_duplicates(&again);
    assert_eq!(deployment.writes().await, writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_stopped_is_gone_on_with() {
    let deployment = Deployment::new().await;
    for (operation, after) in [("UpdateTable", 1), ("TransactWriteItems", 2), ("PutItem", 1)] {
        let rule = json!({
            "service": "dynamodb", "operation": operation, "action": "error", "after": after, "status": 400,
            "code": "AccessDeniedException", "message": "stopped here",
        });
        deployment.emulators.misbehave(rule).await;
        deployment.run().await.expect_err("it is stopped");
        deployment.emulators.behave().await;
    }
    let report = deployment.run().await.expect("a migration");
    assert_duplicates(&report);
    let users = deployment.items(&USERS).await;
    assert_eq!(text(&users["username#grace"], "owner_id"), older::GRACE);
    assert_eq!(text(&users["username#ada"], "owner_id"), "01H0000000000000000000ADA2");
    assert!(deployment.run().await.expect("a migration").changed_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_refusals_that_pass_change_nothing_of_the_outcome() {
    let deployment = Deployment::new().await;
    let rule = |operation: &str, action: &str, seed: u64| {
        json!({
            "service": "dynamodb", "operation": operation, "action": action, "probability": 0.3, "seed": seed,
        })
    };
    let rules = json!([
        rule("TransactWriteItems", "apply_then_reset", 1),
        rule("TransactWriteItems", "transaction_conflict", 2),
        rule("PutItem", "apply_then_500", 3),
        rule("Scan", "throttle", 4),
        rule("GetItem", "internal_error", 5),
    ]);
    deployment.emulators.misbehave(rules).await;
    let report = deployment.run().await.expect("a migration");
    deployment.emulators.behave().await;
    assert_duplicates(&report);
    assert!(deployment.run().await.expect("a migration").changed_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_deployment_serves() {
    let deployment = Deployment::new().await;
    deployment.run().await.expect("a migration");
    let lab = deployment.lab().await;
    let client = lab.client();
    let login = async |name: &str| {
        let body = json!({"username": name, "password": older::PASSWORD, "device_uuid": "grace-phone"});
        client.post("/v1/sessions/login", body).await
    };
    let refreshed = json!({ "refresh_token": older::REFRESH_TOKEN });
    client.post("/v1/sessions/refresh", refreshed.clone()).await.expect(200);
    client.post("/v1/sessions/refresh", refreshed).await.expect_problem(401, "invalid_refresh_token");
    let grace = User::of(&client, "grace", &login("Grace@example.com").await.expect(200));
    assert_eq!((grace.id.as_str(), grace.device_id.as_str()), (older::GRACE, older::DEVICE));
    let hash = text(&deployment.items(&USERS).await[older::GRACE], "password_hash").to_owned();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let unread = grace.client.get("/v1/notifications").await.expect(200).json();
    let unread: Vec<&Value> = unread.as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    assert_eq!(unread, ["01H00000000000000000N0TE30", "01H00000000000000000N0TE10"]);
    for path in ["/v1/devices", "/v1/files", "/v1/statuses", "/v1/app-versions", "/v1/users/me/export"] {
        grace.client.get(path).await.expect(200);
    }
    // The list of accounts has those that are migrated; a name that is taken stays taken.
    let boss = User::of(&client, "boss", &login("boss").await.expect(200));
    let bare = format!("/v1/users/{}", older::BARE);
    boss.client.put(&bare, json!({ "email": "bare@example.com" })).await.expect(200);
    let listed = boss.client.get("/v1/users").await.expect(200).json();
    let listed: BTreeSet<&str> =
        listed["data"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
    let migrated = [older::BARE, older::BOSS, older::GRACE, "01H0000000000000000000ADA2"];
    assert_eq!(listed, BTreeSet::from(migrated));
    let taken = grace.client.put("/v1/users/me", json!({ "username": "BOSS" })).await;
    taken.expect_problem(409, "username_taken");
    // Given another address, a duplicate is migrated like the rest.
    let twin = "/v1/users/01H000000000000000000TW1N0";
    boss.client.put(twin, json!({ "email": "gracie@example.com" })).await.expect(200);
    let report = deployment.run().await.expect("a migration");
    assert_eq!((report.duplicates.len(), report.tallies[0].migrated), (1, 1));
}
