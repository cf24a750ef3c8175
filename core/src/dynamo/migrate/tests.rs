//! A migration over tables that behave as DynamoDB's do.

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use serde_json::{Value, json};

use super::{
    Report, Silent, Tally,
    fake::Account,
    plan,
    report::{Progress, Step},
    run,
};
use crate::{
    dynamo::{
        client::{Answer, Failure},
        names::TableNames,
        request::Request,
        retry::Sender,
        script::{Script, code, cut},
    },
    memory::{entropy::SeededEntropy, restless_clock::RestlessClock},
    ports::store::{StoreError, StoreErrorKind},
    schema::{NOTIFICATIONS, USERS},
    users::model::list_shard,
};

type Shared = Arc<Mutex<Account>>;

fn user(id: &str, username: &str, email: &str) -> Value {
    json!({
        "user_id": {"S": id}, "username": {"S": username}, "email": {"S": email}, "enable": {"N": "1"},
        "first_name": {"S": "Ada"}, "birthday": {"S": "0001-01-01T00:00:00Z"}, "tags": {"SS": ["a", "b"]},
        "phone": {"NULL": true},
    })
}

fn notification(id: &str, readed: &str) -> Value {
    json!({
        "notification_id": {"S": id}, "user_id": {"S": "1"}, "readed": {"N": readed}, "message": {"S": "hi"},
        "created_at": {"S": "2024-01-01T00:00:00Z"},
    })
}

/// A deployment of the older system with some accounts and notifications.
fn deployment() -> Shared {
    let mut account = Account::older();
    for n in 1..=7 {
        account.put(&USERS, user(&n.to_string(), &format!("ada{n}"), &format!("ada{n}@example.com")));
    }
    account.put(&NOTIFICATIONS, notification("n1", "0"));
    account.put(&NOTIFICATIONS, notification("n2", "1"));
    Arc::new(Mutex::new(account))
}

fn with(script: &Script, names: &TableNames, dry: bool) -> Result<Report, StoreError> {
    let (clock, entropy) = (RestlessClock::default(), SeededEntropy::new(1));
    let sender = Sender { client: script, clock: &clock, entropy: &entropy, budget: None };
    block_on(async {
        if dry { plan(sender, names, &Silent).await } else { run(sender, names, &Silent).await }
    })
}

/// Runs over an account; what stands between may change or replace an answer.
fn run_through(
    account: &Shared,
    mut between: impl FnMut(&Request, &mut Account) -> Result<Answer, Failure> + Send + 'static,
) -> Result<Report, StoreError> {
    let account = account.clone();
    let script = Script::answering(move |request| between(request, &mut account.lock().unwrap()));
    with(&script, &TableNames::default(), false)
}

fn run_on(account: &Shared) -> Report {
    run_through(account, |request, account| account.answer(request)).unwrap()
}

fn plan_on(account: &Shared) -> Report {
    let answering = account.clone();
    let script = Script::answering(move |request| answering.lock().unwrap().answer(request));
    let report = with(&script, &TableNames::default(), true).unwrap();
    assert!(script.requests().iter().all(|request| !request.writes()));
    report
}

fn read(account: &Shared, key: &str) -> Value {
    account.lock().unwrap().row(&USERS, key)
}

fn assert_migrated(account: &Shared, id: &str) {
    let row = read(account, id);
    assert_eq!(row["list_shard"]["S"], list_shard(id), "{id}");
    for (kind, name) in [("username", &row["username"]["S"]), ("email", &row["email"]["S"])] {
        let claim = read(account, &format!("{kind}#{}", name.as_str().unwrap().to_lowercase()));
        assert_eq!(claim["owner_id"]["S"], id, "{id}");
    }
}

fn added(report: &Report) -> Vec<String> {
    report.added.iter().map(|added| format!("{}: {}", added.table, added.what)).collect()
}

fn duplicates(report: &Report) -> Vec<(&str, &str, &str)> {
    let found = report.duplicates.iter();
    let mut found: Vec<_> = found.map(|found| (&*found.name, &*found.user_id, &*found.owner_id)).collect();
    found.sort_unstable();
    found
}

fn tally(table: &str, read: u64, migrated: u64) -> Tally {
    Tally { table: table.to_owned(), read, migrated }
}

#[test]
fn an_older_deployment_gets_what_it_lacks_and_keeps_what_it_has() {
    let account = deployment();
    let planned = plan_on(&account);
    let report = run_on(&account);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(
        added(&report),
        [
            "users: it has no index list_shard-user_id-index",
            "sessions: TTL is not enabled on purge_at, so that what has expired stays",
            "notifications: it has no index unread_of-notification_id-index",
            "notifications: TTL is not enabled on purge_at, so that what has expired stays",
            "user_verifications: TTL is not enabled on expires_at, so that what has expired stays",
            "outbox: it does not exist",
            "counters: it does not exist",
            "counters: TTL is not enabled on expires_at, so that what has expired stays",
        ]
    );
    assert_eq!(planned.tallies, report.tallies);
    assert_eq!(report.tallies[0].migrated, 7);
    assert_eq!(report.tallies[1], tally("notifications", 2, 1));
    (1..=7).for_each(|id| assert_migrated(&account, &id.to_string()));
    let mut row = read(&account, "1");
    let version = row["_version"]["N"].take();
    assert_ne!(version, "0");
    let attributes = row.as_object_mut().unwrap();
    attributes.retain(|name, _| !["_version", "list_shard"].contains(&name.as_str()));
    assert_eq!(row, user("1", "ada1", "ada1@example.com"));
    let account = account.lock().unwrap();
    assert_eq!(account.row(&NOTIFICATIONS, "n1")["unread_of"], json!({"S": "1"}));
    assert_eq!(account.row(&NOTIFICATIONS, "n2"), notification("n2", "1"));
}

#[test]
fn another_run_has_nothing_to_do() {
    let account = deployment();
    run_on(&account);
    let writes = account.lock().unwrap().writes;
    let again = run_on(&account);
    assert!(again.changed_nothing() && again.is_complete(), "{again:?}");
    assert_eq!(account.lock().unwrap().writes, writes);
    assert_eq!(again.tallies[0], tally("users", 7, 0));
}

#[test]
fn names_of_two_accounts_are_reported_by_either_run_alike() {
    let account = deployment();
    {
        let mut account = account.lock().unwrap();
        // As the index finds it, whoever comes first; of two alike, the older; of none, whoever comes first.
        account.put(&USERS, user("0", "Ada7", "zero@example.com"));
        account.put(&USERS, user("8", "ada6", "eight@example.com"));
        account.put(&USERS, user("9", "GRACE", "nine@example.com"));
        account.put(&USERS, user("91", "grace", "ADA1@example.com"));
        account.put(&USERS, user("92", "BoB", "92@example.com"));
        account.put(&USERS, user("93", "bOb", "93@example.com"));
    }
    let before: Vec<Value> = ["0", "8", "9", "91", "93"].map(|id| read(&account, id)).into();
    let expected = [
        ("ada1@example.com", "91", "1"),
        ("ada6", "8", "6"),
        ("ada7", "0", "7"),
        ("bob", "93", "92"),
        ("grace", "9", "91"),
    ];
    let planned = plan_on(&account);
    assert_eq!(duplicates(&planned), expected);
    let report = run_on(&account);
    assert_eq!(duplicates(&report), expected);
    assert!(!report.is_complete());
    let after: Vec<Value> = ["0", "8", "9", "91", "93"].map(|id| read(&account, id)).into();
    assert_eq!(before, after);
    assert_migrated(&account, "92");
    assert_eq!(duplicates(&run_on(&account)), expected);
    assert_eq!(
        report.duplicates[0].to_string(),
        "user 0: the username ada7 belongs to user 7; give one of them another"
    );
    // Once its name is another, the rest follows.
    account.lock().unwrap().put(&USERS, user("91", "grace", "free@example.com"));
    let report = run_on(&account);
    assert_eq!(duplicates(&report)[3], ("grace", "9", "91"));
    assert_migrated(&account, "91");
}

#[test]
fn what_the_older_system_changes_meanwhile_is_not_lost() {
    let account = deployment();
    let mut changed = false;
    let report = run_through(&account, move |request, account| {
        if matches!(request, Request::TransactWriteItems(_)) && !std::mem::replace(&mut changed, true) {
            for id in ["1", "2", "3"] {
                let mut row = account.row(&USERS, id);
                row["first_name"] = json!({"S": "Grace"});
                row["username"] = json!({"S": format!("grace{id}")});
                account.put(&USERS, row);
            }
        }
        account.answer(request)
    })
    .unwrap();
    assert!(report.is_complete(), "{report:?}");
    for id in ["1", "2", "3"] {
        assert_eq!(read(&account, id)["first_name"]["S"], "Grace");
        assert_migrated(&account, id);
        assert_eq!(read(&account, &format!("username#ada{id}")), Value::Null);
    }
}

#[test]
fn a_name_that_is_taken_at_the_last_moment_is_a_duplicate() {
    let account = deployment();
    let report = run_through(&account, |request, account| {
        if matches!(request, Request::TransactWriteItems(_)) {
            let claim = json!({"user_id": {"S": "username#ada4"}, "owner_id": {"S": "new"}});
            account.put(&USERS, claim);
        }
        account.answer(request)
    })
    .unwrap();
    assert_eq!(duplicates(&report), [("ada4", "4", "new")]);
    assert_eq!(read(&account, "4"), user("4", "ada4", "ada4@example.com"));
}

#[test]
fn it_goes_on_wherever_it_was_stopped() {
    for stop in 1..=24 {
        let account = deployment();
        let mut left = stop;
        let stopped = run_through(&account, move |request, account| {
            left -= i32::from(request.writes());
            if left == 0 { Err(code("AccessDeniedException")) } else { account.answer(request) }
        });
        let report = run_on(&account);
        assert!(report.is_complete(), "{report:?}");
        assert!(stop > 16 || stopped.is_err(), "{stop}");
        (1..=7).for_each(|id| assert_migrated(&account, &id.to_string()));
        assert!(run_on(&account).changed_nothing());
    }
}

#[test]
fn lost_answers_and_requests_for_patience_delay_it() {
    let account = deployment();
    let mut n = 0;
    let report = run_through(&account, move |request, account| {
        n += 1;
        match n % 4 {
            0 => account.answer(request).and(Err(cut())),
            1 => Err(code("ThrottlingException")),
            _ => account.answer(request),
        }
    });
    assert!(report.unwrap().is_complete());
    (1..=7).for_each(|id| assert_migrated(&account, &id.to_string()));
    let report = run_through(&deployment(), |_, _| Err(code("ThrottlingException")));
    assert_eq!(report.unwrap_err().kind, StoreErrorKind::Throttled);
}

#[test]
fn no_row_is_touched_while_a_table_needs_an_operator() {
    let account = deployment();
    account.lock().unwrap().description(&USERS).global_secondary_indexes[0].projection.projection_type =
        "KEYS_ONLY".to_owned();
    for report in [plan_on(&account), run_on(&account)] {
        let [remaining] = &report.remaining[..] else { panic!("{report:?}") };
        assert!(remaining.what.starts_with("index username-index has"), "{remaining}");
        assert_eq!(report.tallies, []);
    }
    assert_eq!(account.lock().unwrap().keys(&USERS), ["1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn what_cannot_be_migrated_is_told_and_does_not_hinder_the_rest() {
    let account = deployment();
    {
        let mut account = account.lock().unwrap();
        account.put(&USERS, json!({"user_id": {"S": "0"}, "username": {"N": "7"}}));
        account.put(&USERS, user("8", &"x".repeat(2048), "long@example.com"));
        account.put(&USERS, user("9", "ada lovelace", "nine@example.com"));
        account.put(&NOTIFICATIONS, json!({"notification_id": {"S": "n0"}}));
    }
    let report = run_on(&account);
    let unfinished: Vec<String> = report.unfinished.iter().map(ToString::to_string).collect();
    assert_eq!(
        unfinished,
        [
            "table users, user_id 0: it cannot be read as a user; mend or delete it",
            "table users, user_id 8: its username or e-mail address is too long; give it another",
            "table notifications, notification_id n0: it cannot be read as a notification; mend or delete it",
        ]
    );
    let [unusable] = &report.unusable[..] else { panic!("{report:?}") };
    assert_eq!(
        unusable.to_string(),
        "user 9: nobody can sign in by the username \"ada lovelace\"; give them another"
    );
    assert_eq!(report.tallies[0].migrated, 8);
    assert!(report.duplicates.is_empty());
}

#[test]
fn renamed_tables_are_migrated_and_progress_is_told() {
    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);
    impl Progress for Heard {
        fn step(&self, step: &Step<'_>) {
            self.0.lock().unwrap().push(format!("{step:?}"));
        }
    }
    let script = Script::answering(|request| Account::default().answer(request));
    let names = TableNames::from_fn(|table| Some(format!("prod-{}", table.name)));
    let report = with(&script, &names, true).unwrap();
    // Four of them have a TTL.
    assert_eq!((report.added.len(), report.tallies.len()), (10 + 4, 0));
    assert!(report.added.iter().all(|added| added.table.starts_with("prod-")));
    let account = deployment();
    let script = Script::answering(move |request| account.lock().unwrap().answer(request));
    let (clock, entropy, heard) = (RestlessClock::default(), SeededEntropy::new(1), Heard::default());
    let sender = Sender { client: &script, clock: &clock, entropy: &entropy, budget: None };
    block_on(run(sender, &TableNames::default(), &heard)).unwrap();
    let heard = heard.0.into_inner().unwrap();
    let index = "list_shard-user_id-index";
    for expected in [
        format!("Changing {{ table: \"users\", what: \"it has no index {index}\" }}"),
        "Waiting { table: \"users\", index: Some(\"username-index\") }".to_owned(),
        "Read { table: \"notifications\", items: 2, about: Some(2) }".to_owned(),
    ] {
        assert!(heard.contains(&expected), "{expected} in {heard:#?}");
    }
}
