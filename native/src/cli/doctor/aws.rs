//! What `portico doctor` finds at AWS. It changes nothing there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use portico_core::dynamo::client::Failure;
use portico_core::dynamo::failure::{Meaning, meaning};
use portico_core::dynamo::mismatch::{Mismatch, Remedy};
use portico_core::dynamo::request::Request;
use portico_core::dynamo::store::DynamoStore;
use portico_core::ports::clock::Clock;
use portico_core::schema::{TABLES, USERS};

use super::Finding::{self, Fine, Warning, Wrong};
use super::{Report, check_clock};
use crate::aws::{connect, describe};
use crate::blobs::s3;
use crate::clock::SystemClock;
use crate::entropy::SystemEntropy;
use crate::env::{AwsSettings, AwsStorage};
use crate::sms::sns;
use crate::store::dynamo;
use crate::store::dynamo::probe::Probe;

/// How far the clock may be ahead before it is told of; behind, `check_clock` knows.
const AHEAD: Duration = Duration::from_secs(60);

/// Checks credentials, clock and tables, each as far as those before it allow.
pub(super) async fn check(report: &mut Report, settings: &AwsSettings, storage: &AwsStorage) {
    report.add("region", Fine(place(settings)));
    let config = connect(settings).await;
    let credentials = check_credentials(&config, settings).await;
    let usable = !matches!(credentials, Wrong(_));
    report.add("credentials", credentials);
    if !usable {
        return;
    }
    let client = dynamo::SdkClient::new(&config);
    let Probe { answer, time } = client.probe(storage.tables.of(&USERS)).await;
    report.add("clock", compare_clocks(time));
    match answer {
        Ok(()) => check_tables(report, client, storage).await,
        Err(failure) => report.add("dynamodb", refused(&failure, settings)),
    }
    report.add("bucket", check_bucket(&config, settings, storage).await);
}

async fn check_bucket(config: &SdkConfig, settings: &AwsSettings, storage: &AwsStorage) -> Finding {
    let bucket = &storage.bucket;
    match s3::SdkClient::new(config, bucket.clone(), settings.endpoint_url.is_some()).has_bucket().await {
        Ok(true) => Fine(bucket.clone()),
        Ok(false) => Warning(format!("{bucket} is made at first start, if the credentials may")),
        Err(error) => Wrong(format!("{bucket}: {}", error.detail)),
    }
}

/// Asks SNS without sending anything.
pub(super) async fn check_sms(settings: &AwsSettings) -> Finding {
    let region = &settings.sns_region;
    match sns::SdkClient::new(&connect(settings).await, region.clone()).probe().await {
        Ok(()) => Fine(format!("through SNS in {region}; none was sent to try it")),
        Err(reason) => Wrong(format!(
            "SNS in {region}: {reason}; check SNS_REGION and that the credentials may sns:Publish and \
             sns:GetSMSAttributes"
        )),
    }
}

/// The region and the address.
fn place(settings: &AwsSettings) -> String {
    match &settings.endpoint_url {
        Some(url) => format!("{} at {url}", settings.region),
        None => settings.region.clone(),
    }
}

async fn check_credentials(config: &SdkConfig, settings: &AwsSettings) -> Finding {
    let Some(provider) = config.credentials_provider() else {
        return Wrong("none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
    };
    match provider.provide_credentials().await {
        Ok(found) => tell_credentials(&found, settings.credentials.is_some()),
        Err(error) => Wrong(format!(
            "none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role ({})",
            describe(&error)
        )),
    }
}

fn tell_credentials(found: &Credentials, given: bool) -> Finding {
    let source = if given {
        "AWS_ACCESS_KEY_ID"
    } else {
        "the SDK's default chain (profile, web identity, or the role of a container or a machine)"
    };
    let key = format!("access key {} of {source}", found.access_key_id());
    match found.expiry() {
        Some(expiry) if expiry <= SystemTime::now() => Wrong(format!("{key} has expired: renew it")),
        _ => Fine(key),
    }
}

/// DynamoDB refuses what is signed more than five minutes off.
fn compare_clocks(time: Option<SystemTime>) -> Finding {
    let ahead = time.and_then(|time| SystemTime::now().duration_since(time).ok());
    match ahead.filter(|ahead| *ahead > AHEAD) {
        Some(ahead) => Wrong(format!(
            "{} is {} s ahead of DynamoDB's: set the system's time (NTP)",
            SystemClock.now(),
            ahead.as_secs()
        )),
        None => check_clock(time, "DynamoDB's"),
    }
}

fn refused(failure: &Failure, settings: &AwsSettings) -> Finding {
    match meaning(failure) {
        Meaning::Permanent(advice) => Wrong(format!("{advice} ({failure})")),
        Meaning::Throttled => Warning(format!("it asks for patience: try again ({failure})")),
        _ => {
            let variable = if settings.endpoint_url.is_some() { "AWS_ENDPOINT_URL" } else { "AWS_REGION" };
            Wrong(format!("it does not answer: check {variable} and the network ({failure})"))
        }
    }
}

async fn check_tables(report: &mut Report, client: dynamo::SdkClient, storage: &AwsStorage) {
    let names = storage.tables.clone();
    let store = DynamoStore::new(Arc::new(client), Arc::new(SystemClock), Arc::new(SystemEntropy), names);
    let mismatches = match store.inspect().await {
        Ok(mismatches) => mismatches,
        Err(error) => return report.add("tables", Wrong(describe(&error))),
    };
    for table in TABLES {
        let name = storage.tables.of(table);
        let mut found = mismatches.iter().filter(|mismatch| mismatch.table == name).peekable();
        if found.peek().is_none() {
            report.add("table", Fine(name.to_owned()));
        }
        found.for_each(|mismatch| report.add("table", tell(mismatch)));
    }
}

fn tell(mismatch: &Mismatch) -> Finding {
    match &mismatch.remedy {
        Remedy::Request(request) if matches!(**request, Request::CreateTable(_)) => {
            Warning(format!("made at first start, if the credentials may; {mismatch}"))
        }
        _ => Wrong(mismatch.to_string()),
    }
}
