//! Buckets that are absent, refuse, stall or break off; and objects that others have put there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_async::time::StaticTimeSource;
use portico::clock::SystemClock;
use portico_core::http::body::Body;
use portico_core::ports::blobs::{BlobErrorKind, Blobs};
use serde_json::json;

use crate::support::{Adapter, BUCKET, Bucket, MIB, blobs_of, body, bytes, key, sdk_client, terms};
use portico_tests::emulators::Emulators;

#[tokio::test]
async fn the_bucket_is_created_once_where_the_client_is() {
    let emulators = Emulators::start();
    for (region, bucket) in [("us-east-1", "bucket-of-old"), ("eu-central-1", "bucket-of-europe")] {
        let config = emulators.config().into_builder().region(aws_config::Region::new(region)).build();
        let client = sdk_client(&config, bucket);
        for _ in 0..2 {
            client.prepare().await.unwrap();
        }
        Adapter::Sdk.blobs(&emulators, bucket).put(&key("a"), &terms(), Body::from("a")).await.unwrap();
    }
    assert_eq!(emulators.calls("s3", "CreateBucket").await, 2);
}

#[tokio::test]
async fn a_bucket_of_somebody_elses_is_said_to_be() {
    let emulators = Emulators::start();
    let client = sdk_client(&emulators.config(), BUCKET);
    for (code, status, expected) in [
        ("BucketAlreadyExists", 409, "S3_BUCKET_NAME"),
        ("AccessDenied", 403, "allow the AWS credentials"),
        ("InvalidBucketName", 400, "InvalidBucketName"),
    ] {
        emulators.misbehave(json!({
            "service": "s3", "operation": "CreateBucket", "action": "error", "code": code, "status": status
        })).await;
        let error = client.prepare().await.unwrap_err();
        assert_eq!(error.kind, BlobErrorKind::Unavailable);
        assert!(error.detail.contains(expected), "{error}");
        emulators.behave().await;
    }
    emulators.misbehave(json!({
        "service": "s3", "operation": "CreateBucket", "action": "error", "code": "BucketAlreadyOwnedByYou", "status": 409
    })).await;
    client.prepare().await.unwrap();
}

#[tokio::test]
async fn what_the_operator_can_mend_is_said() {
    for bucket in Bucket::each().await {
        for (settings, name, expected) in [
            (bucket.emulators.settings(), "no-such-bucket", "S3_BUCKET_NAME"),
            (bucket.emulators.settings_with("test", "wrong"), BUCKET, "AWS_SECRET_ACCESS_KEY"),
            (bucket.emulators.settings_with("wrong", "test"), BUCKET, "AWS_ACCESS_KEY_ID"),
        ] {
            let blobs = bucket.adapter.blobs_with(&settings, name, Arc::new(SystemClock));
            for error in [
                blobs.put(&key("a"), &terms(), Body::from("a")).await.unwrap_err(),
                blobs.put(&key("a"), &terms(), body(9)).await.unwrap_err(),
                blobs.get(&key("a"), None).await.unwrap_err(),
                blobs.delete(&key("a")).await.unwrap_err(),
            ] {
                assert_eq!(error.kind, BlobErrorKind::Unavailable);
                assert!(error.detail.contains(expected), "{expected}: {error}");
                assert!(std::error::Error::source(&error).is_some());
            }
        }
    }
}

#[tokio::test]
async fn the_sdk_puts_a_wrong_clock_right_by_the_answers() {
    let bucket = Bucket::new(Adapter::Sdk).await;
    let late = StaticTimeSource::new(SystemTime::now() - Duration::from_secs(3600));
    let config = bucket.emulators.config().into_builder().time_source(late).build();
    let blobs = blobs_of(sdk_client(&config, BUCKET));
    blobs.put(&key("a"), &terms(), Body::from("a")).await.unwrap();
    assert_eq!(bucket.read(&key("a")).await.unwrap(), "a");
}

#[tokio::test]
async fn a_clock_that_stays_wrong_is_said_to_be() {
    for bucket in Bucket::each().await {
        let rule = json!({"service": "s3", "operation": "GetObject", "action": "error", "status": 403,
        "code": "RequestTimeTooSkewed", "times": 99});
        bucket.emulators.misbehave(rule).await;
        let error = bucket.blobs.get(&key("a"), None).await.unwrap_err();
        assert!(error.detail.contains("this machine's clock is wrong"), "{error}");
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_unavailable() {
    for bucket in Bucket::each().await {
        bucket.blobs.put(&key("a"), &terms(), Body::from("a")).await.unwrap();
        for action in ["throttle", "internal_error", "unavailable", "reset", "html"] {
            for operation in ["PutObject", "GetObject", "HeadObject", "DeleteObject"] {
                bucket.misbehave(operation, action, 2).await;
                attempt(&bucket, operation)
                    .await
                    .unwrap_or_else(|error| panic!("{action} {operation}: {error}"));
                bucket.emulators.behave().await;
            }
        }
        bucket.blobs.put(&key("a"), &terms(), Body::from("a")).await.unwrap();
        for operation in ["PutObject", "GetObject", "HeadObject", "DeleteObject"] {
            bucket.misbehave(operation, "unavailable", 99).await;
            assert_eq!(attempt(&bucket, operation).await.unwrap_err().kind, BlobErrorKind::Unavailable);
            bucket.emulators.behave().await;
        }
        let nobody = Emulators::start();
        let (blobs, url) = (bucket.adapter.blobs(&nobody, BUCKET), nobody.url().to_owned());
        drop(nobody);
        let error = blobs.get(&key("a"), None).await.unwrap_err();
        assert_eq!(error.kind, BlobErrorKind::Unavailable, "{url}");
        assert!(error.detail.to_lowercase().contains("connect"), "{error}");
    }
}

async fn attempt(bucket: &Bucket, operation: &str) -> Result<(), portico_core::ports::blobs::BlobError> {
    match operation {
        "PutObject" => bucket.blobs.put(&key("b"), &terms(), Body::from("b")).await.map(drop),
        "GetObject" => bucket.blobs.get(&key("a"), None).await.map(drop),
        "HeadObject" => bucket.blobs.head(&key("a")).await.map(drop),
        _ => bucket.blobs.delete(&key("b")).await,
    }
}

#[tokio::test]
async fn a_conflict_of_first_puts_is_tried_again() {
    for bucket in Bucket::each().await {
        let rule = |times: u64| {
            json!({
                "service": "s3", "operation": "PutObject", "action": "error", "status": 409,
                "code": "ConditionalRequestConflict", "times": times
            })
        };
        let first = portico_core::ports::blobs::PutTerms { only_if_absent: true, ..terms() };
        bucket.emulators.misbehave(rule(2)).await;
        bucket.blobs.put(&key("a"), &first, Body::from("a")).await.unwrap();
        bucket.emulators.misbehave(rule(99)).await;
        let error = bucket.blobs.put(&key("a"), &first, Body::from("b")).await.unwrap_err();
        assert_eq!(error.kind, BlobErrorKind::Exists);
        let error = bucket.blobs.put(&key("c"), &first, Body::from("c")).await.unwrap_err();
        assert_eq!(error.kind, BlobErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_is_no_end() {
    for bucket in Bucket::each().await {
        bucket.blobs.put(&key("a"), &terms(), body(2)).await.unwrap();
        bucket.misbehave("GetObject", "truncate", 1).await;
        let blob = bucket.blobs.get(&key("a"), None).await.unwrap().unwrap();
        assert_eq!(blob.info.length, 2 * MIB as u64);
        assert!(blob.body.read(usize::MAX, None).await.is_err());
        assert!(bucket.read(&key("a")).await.unwrap() == bytes(2));
    }
}

#[tokio::test]
async fn objects_of_others_are_read() {
    for bucket in Bucket::each().await {
        let put = bucket.client().put_object().bucket(BUCKET).key("user-1/Photo_1.jpeg");
        put.body(ByteStream::from_static(b"older")).send().await.unwrap();
        let name = key("user-1/Photo_1.jpeg");
        let info = bucket.blobs.head(&name).await.unwrap().unwrap();
        assert_eq!((info.length, info.sha256), (5, None));
        assert!(!info.content_type.is_empty());
        assert_eq!(bucket.read(&name).await.unwrap(), "older");
        bucket.blobs.delete(&name).await.unwrap();
        assert_eq!(bucket.blobs.head(&name).await.unwrap(), None);
    }
}
