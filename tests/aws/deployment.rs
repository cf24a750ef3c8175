//! The policies, held against what the program asks of AWS.

use std::collections::BTreeSet;
use std::sync::Arc;

use portico::aws::connect;
use portico::store::dynamo::SdkClient;
use portico_core::dynamo::client::DynamoClient;
use portico_core::dynamo::request::Request;
use portico_core::dynamo::tables::creation;
use portico_core::schema::{TABLES, USERS};
use portico_tests::client::Client;
use portico_tests::emulators::Emulators;
use portico_tests::native::NativeHost;

use crate::calls::accesses;
use crate::document;
use crate::journey;
use crate::policy::{Access, Policy};

const BUCKET: &str = "go-api-files";

fn server() -> Policy {
    Policy::read(document!("policy.json"), BUCKET)
}

fn setup() -> Policy {
    Policy::read(document!("setup-policy.json"), BUCKET)
}

/// Mail and SMS leave as they would in production.
async fn start(emulators: Emulators) -> Arc<NativeHost> {
    let port = emulators.smtp_port().to_string();
    let variables =
        [("SMS_SENDER", "sns"), ("MAILER", "smtp"), ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", &port)];
    Arc::new(NativeHost::start_on_emulators(&Arc::new(emulators), &variables).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_does_all_that_its_policy_allows_and_nothing_else() {
    let host = start(Emulators::start()).await;
    let emulators = host.emulators().expect("it is on AWS");
    host.stop().await;
    emulators.forget_calls().await;
    host.serve().await;
    let client = Client::new(host.clone());
    let admin = client.admin("root").await;
    journey::travel(&client, &admin, emulators).await;
    journey::purge(emulators).await;
    host.run(&["doctor"], "").await;
    let done = accesses(emulators).await;
    let forbidden: Vec<&Access> = done.iter().filter(|access| !server().allows(access)).collect();
    assert!(forbidden.is_empty(), "not allowed: {forbidden:#?}");
    assert_eq!(server().unused(&done), [""; 0], "allowed, and never done");
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_up_does_all_that_its_policy_allows_besides() {
    let host = start(Emulators::start()).await;
    let first = accesses(host.emulators().expect("it is on AWS")).await;
    let older = Emulators::start();
    older_tables(&older).await;
    older.forget_calls().await;
    let migrated =
        host.command(&["migrate"]).env("AWS_ENDPOINT_URL", older.url()).output().await.expect("it runs");
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let done = [first, accesses(&older).await].concat();
    let (server, setup) = (server(), setup());
    let besides: Vec<Access> = done.into_iter().filter(|access| !server.allows(access)).collect();
    let forbidden: Vec<&Access> = besides.iter().filter(|access| !setup.allows(access)).collect();
    assert!(forbidden.is_empty(), "not allowed: {forbidden:#?}");
    assert_eq!(setup.unused(&besides), [""; 0], "allowed, and never done, or by the server too");
}

/// Tables that have their key and nothing else, so that all the rest is to be added.
async fn older_tables(emulators: &Emulators) {
    let client = SdkClient::new(&connect(&emulators.settings()).await);
    for table in TABLES {
        let mut request = creation(table, table.name);
        request.global_secondary_indexes.clear();
        request
            .attribute_definitions
            .retain(|one| request.key_schema.iter().any(|key| key.attribute_name == one.attribute_name));
        client.send(&Request::CreateTable(request)).await.expect("a table");
    }
}

#[test]
fn the_policies_name_the_tables_and_indexes_of_the_schema() {
    let table = |name: &str| format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}");
    let indexed = TABLES.iter().filter(|table| !table.indexes.is_empty());
    let indexes = indexed.map(|one| table(&format!("{}/index/*", one.name)));
    let expected: BTreeSet<String> = TABLES.iter().map(|one| table(one.name)).chain(indexes).collect();
    let (server, setup) = (server(), setup());
    let of_dynamodb = |policy: &Policy| -> BTreeSet<String> {
        policy.resources().filter(|name| name.contains(":dynamodb:")).map(str::to_owned).collect()
    };
    assert_eq!(of_dynamodb(&server), expected);
    assert!(of_dynamodb(&setup).is_subset(&expected));
    assert!(setup.resources().any(|name| name == table(USERS.name)));
}
