//! What an operator must mend: it is not asked again, and the error says what to do.

use std::sync::Arc;

use portico::env::AwsSettings;
use portico_core::dynamo::client::Failure;
use portico_core::dynamo::request::{Request, TableName};
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::ports::store::{Key, Store, StoreError, StoreErrorKind};
use portico_core::schema::USERS;
use portico_core::secret::Secret;
use portico_tests::emulators::Emulators;
use serde_json::json;

use super::{Account, Adapter, tomorrow};

async fn refusal(adapter: Adapter, settings: &AwsSettings) -> StoreError {
    let account = Account::by(adapter, settings, Arc::new(RestlessClock::over(tomorrow()))).await;
    account.store().inspect().await.unwrap_err()
}

fn failure(error: &StoreError) -> &Failure {
    error.source.as_deref().and_then(|source| source.downcast_ref()).expect("a failure")
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_accepted_are_told() {
    let emulators = Emulators::start();
    let with_key = |id: &str, secret: &str| {
        let mut settings = emulators.settings();
        let credentials = settings.credentials.as_mut().unwrap();
        credentials.access_key_id = id.to_owned();
        credentials.secret_access_key = Secret::new(secret);
        settings
    };
    for (settings, advised) in [
        (with_key("test", "canary"), "AWS_SECRET_ACCESS_KEY, AWS_REGION and the system's clock"),
        (with_key("other", "canary"), "DynamoDB does not know the credentials"),
    ] {
        for adapter in Adapter::EACH {
            let error = refusal(adapter, &settings).await;
            assert_eq!(error.kind, StoreErrorKind::Unexpected);
            assert!(error.detail.contains(advised), "{adapter:?}: {error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
            assert!(!failure(&error).may_have_applied());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable_and_nothing_was_sent() {
    let emulators = Emulators::start();
    let mut settings = emulators.settings();
    drop(emulators);
    for address in ["http://nowhere.invalid", settings.endpoint_url.clone().unwrap().as_str()] {
        settings.endpoint_url = Some(address.to_owned());
        let error = refusal(Adapter::Fetch, &settings).await;
        assert_eq!(error.kind, StoreErrorKind::Unavailable, "{address}");
        let error = refusal(Adapter::Sdk, &settings).await;
        assert_eq!(error.kind, StoreErrorKind::Unavailable, "{address}");
        // Only the SDK tells a connection that did not come about from one that broke off.
        assert!(!failure(&error).sent, "{address}: {error:?}");
    }
    // The last one refused the connection.
    let text = failure(&refusal(Adapter::Sdk, &settings).await).to_string();
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_may_have_been_received() {
    let emulators = Emulators::start();
    for (adapter, action) in Adapter::EACH
        .iter()
        .flat_map(|adapter| ["reset", "apply_then_reset", "truncate"].map(|action| (*adapter, action)))
    {
        let account = Account::patient_by(adapter, &emulators).await;
        emulators.misbehave(json!({ "service": "dynamodb", "action": action, "times": 1 })).await;
        let table_name = "Test_users".to_owned();
        let cut = account.client.send(&Request::DescribeTimeToLive(TableName { table_name })).await;
        let cut = cut.unwrap_err();
        // Whether a refusal of a missing table was cut, or its request.
        assert!(cut.sent && cut.status.is_none_or(|status| status >= 400), "{adapter:?}, {action}: {cut:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_told() {
    let emulators = Emulators::start();
    for adapter in Adapter::EACH {
        let account = Account::patient_by(adapter, &emulators).await;
        let error = account.store().get(&Key::new(&USERS, "u")).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unexpected);
        assert!(error.detail.contains("DYNAMO_TABLE_"), "{error}");
        assert_eq!(failure(&error).code.as_deref(), Some("ResourceNotFoundException"));
        assert_eq!(failure(&error).status, Some(400));
    }
}
