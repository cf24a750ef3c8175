//! `portico migrate` as its operator runs it: the real program, looked at from outside, and killed in the middle.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portico_core::dynamo::attribute::{AttributeValue, Attributes};
use portico_core::dynamo::client::Answer;
use portico_core::dynamo::item::VERSION;
use portico_core::dynamo::request::{PutItem, Request, TableName};
use portico_core::schema::{NOTIFICATIONS, TABLES, Table, USERS};
use portico_tests::native::NativeHost;
use portico_tests::older;
use portico_tests::tables::Tables;
use serde_json::json;

use crate::migrate::Deployment;

/// Accounts besides those of the fixtures.
const MANY: usize = 120;

/// Writes after which a migration of so many accounts is in its middle.
const MIDDLE: u64 = 40;

/// A deployment, and the program that is to migrate it.
struct Scene {
    deployment: Deployment,
    program: NativeHost,
}

impl Scene {
    async fn new() -> Self {
        let deployment = Deployment::new().await;
        let program = NativeHost::prepare_on_emulators(&deployment.emulators, &[]);
        Self { deployment, program }
    }

    /// A deployment of more accounts.
    async fn of_many() -> Self {
        let scene = Self::new().await;
        let users = scene.deployment.items(&USERS).await;
        for n in 0..MANY {
            let mut item = users[older::GRACE].clone();
            let (id, name) = (format!("01H000000000000000MANY{n:04}"), format!("many{n}"));
            let email = format!("{name}@example.com");
            for (member, text) in [("user_id", &id), ("username", &name), ("email", &email)] {
                item.insert(member.to_owned(), AttributeValue::string(text));
            }
            let put = PutItem { table_name: USERS.name.to_owned(), item, condition: None };
            scene.deployment.send(Request::PutItem(put)).await;
        }
        scene
    }

    async fn migrate(&self, arguments: &[&str]) -> Said {
        let arguments: Vec<&str> = ["migrate"].iter().chain(arguments).copied().collect();
        Said::from(self.program.command(&arguments).output().await.expect("it ends"))
    }

    /// Everything that the tables are and hold.
    async fn everything(&self) -> BTreeMap<&'static str, (String, Vec<Attributes>)> {
        let tables = Tables::of(&self.deployment.emulators).await;
        let mut all = BTreeMap::new();
        for (table, _) in older::rows() {
            let described = Request::DescribeTable(TableName { table_name: table.name.to_owned() });
            let Answer::Table(description) = tables.send(described).await else { panic!("no description") };
            let expiry = Request::DescribeTimeToLive(TableName { table_name: table.name.to_owned() });
            let expiry = tables.send(expiry).await;
            all.insert(table.name, (format!("{description:?} {expiry:?}"), tables.items(table).await));
        }
        all
    }

    /// Every item of a table but for its version, which is drawn at random.
    async fn items(&self, table: &'static Table) -> BTreeMap<String, Attributes> {
        let mut items = self.deployment.items(table).await;
        items.values_mut().for_each(|item| drop(item.remove(VERSION)));
        items
    }

    async fn assert_same_items(&self, other: &Self) {
        for table in [&USERS, &NOTIFICATIONS] {
            let (these, those) = (self.items(table).await, other.items(table).await);
            assert!(these.keys().eq(those.keys()), "{:?}\n{:?}", these.keys(), those.keys());
            for (key, item) in these {
                assert_eq!(item, those[&key], "{key}");
            }
        }
    }

    /// How many transactions migrated an account.
    async fn accounts_written(&self) -> u64 {
        self.deployment.emulators.calls("dynamodb", "TransactWriteItems").await
    }

    /// Runs a migration and kills it, as a power cut would, once it has written so much more.
    async fn migrate_and_kill(&self, after: u64) {
        let goal = self.accounts_written().await + after;
        let mut command = self.program.command(&["migrate"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        while self.accounts_written().await < goal {
            let ended = child.try_wait().expect("a state");
            assert!(ended.is_none(), "it was to be killed, and ended with {ended:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.expect("it can be killed");
    }
}

/// What the program said, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
    }
}

impl Said {
    /// Asserts that both accounts of another's name are reported, which is what is left to the operator, in plain lines.
    fn assert_duplicates(&self) {
        assert_eq!(self.code, Some(1), "{self:?}");
        for duplicate in [
            "user 01H000000000000000000TW1N0: the email grace@example.com belongs to user 01H00000000000000000GRACE0; \
             give one of them another",
            "user 01H0000000000000000000ADA1: the username ada belongs to user 01H0000000000000000000ADA2; \
             give one of them another",
            "some of this only you can mend: do so, and run this again",
        ] {
            assert_eq!(self.error.lines().filter(|line| line.ends_with(duplicate)).count(), 1, "{self:#?}");
        }
        let drawn = |c: char| c.is_control() && c != '\n';
        assert!(!self.out.contains(drawn) && !self.error.contains(drawn), "{self:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_run_does_and_changes_nothing() {
    let scene = Scene::new().await;
    let (before, writes) = (scene.everything().await, scene.deployment.writes().await);
    let planned = scene.migrate(&["--dry-run"]).await;
    planned.assert_duplicates();
    assert_eq!(scene.everything().await, before);
    assert_eq!(scene.deployment.writes().await, writes);

    let done = scene.migrate(&[]).await;
    done.assert_duplicates();
    assert_eq!(
        planned.out.replace(": to be added", ": added").replace("to be migrated", "migrated"),
        done.out
    );
    for line in ["table users: 6 rows, 4 migrated", "table notifications: 4 rows, 3 migrated"] {
        assert!(done.out.lines().any(|said| said == line), "{done:#?}");
    }
    for table in TABLES {
        assert!(done.out.contains(&format!("table {}: ", table.name)) || before.contains_key(table.name));
    }

    let writes = scene.deployment.writes().await;
    let again = scene.migrate(&[]).await;
    again.assert_duplicates();
    assert_eq!(again.out, "table users: 6 rows, 0 migrated\ntable notifications: 4 rows, 0 migrated\n");
    assert_eq!(scene.deployment.writes().await, writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_killed_ends_as_one_that_was_not() {
    let (killed, spared) = (Scene::of_many().await, Scene::of_many().await);
    let slow = json!({
        "service": "dynamodb", "operation": "TransactWriteItems", "action": "delay", "delay_ms": 20,
    });
    killed.deployment.emulators.misbehave(slow).await;
    for _ in 0..2 {
        killed.migrate_and_kill(MIDDLE).await;
        let users = killed.items(&USERS).await;
        let migrated = users.values().filter(|item| item.contains_key("list_shard")).count();
        assert!((1..MANY).contains(&migrated), "{migrated}");
    }
    // What was on its way when it was killed may still be applied.
    killed.deployment.emulators.behave().await;
    let (again, once) = (killed.migrate(&[]).await, spared.migrate(&[]).await);
    again.assert_duplicates();
    once.assert_duplicates();
    killed.assert_same_items(&spared).await;
    let dry = killed.migrate(&["--dry-run"]).await;
    let rows = |migrated| format!("table users: {} rows, {migrated} to be migrated\n", 6 + MANY);
    assert!(dry.out.starts_with(&rows(0)), "{dry:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_killed_between_tables_goes_on() {
    let scene = Scene::new().await;
    let emulators = Arc::clone(&scene.deployment.emulators);
    for (operation, after) in [
        ("UpdateTable", 1),
        ("UpdateTimeToLive", 0),
        ("CreateTable", 1),
        ("TransactWriteItems", 1),
        ("PutItem", 1),
    ] {
        let rule = json!({"service": "dynamodb", "operation": operation, "action": "stall", "after": after});
        emulators.misbehave(rule).await;
        let mut command = scene.program.command(&["migrate"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let hit =
            async || emulators.tell("/_faults").await[0]["applied"].as_u64().is_some_and(|hits| hits > 0);
        while !hit().await {
            let ended = child.try_wait().expect("a state");
            assert!(ended.is_none(), "{operation}: it was to be killed, and ended with {ended:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().await.expect("it can be killed");
        emulators.behave().await;
    }
    let (done, spared) = (scene.migrate(&[]).await, Scene::new().await);
    done.assert_duplicates();
    spared.migrate(&[]).await.assert_duplicates();
    scene.assert_same_items(&spared).await;
}
