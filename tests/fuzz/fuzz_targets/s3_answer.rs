//! S3's answers, as the edge reads them: what is not S3's is none, and what blobs say of themselves is what S3 said.
//!
//! The first line is what is asked of S3, the rest its answers.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use portico_core::http::body::Body;
use portico_core::memory::background::QueuedBackground;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::ports::blobs::{BlobKey, Blobs, ByteRange, PutTerms};
use portico_core::s3::blobs::S3Blobs;
use portico_core::s3::client::{Answer, S3Client};
use portico_core::s3::request::{CompletedPart, Description, Operation, Request};
use portico_edge::aws::s3::FetchClient;
use portico_fuzz::script::cut;
use portico_fuzz::service::{account, replies};

const BODY: &[u8] = b"hello";

fuzz_target!(|text: &[u8]| {
    let Some((call, rest)) = cut(text, b"\n") else { return };
    let Ok(call) = std::str::from_utf8(call) else { return };
    let replies = replies(rest);
    let successes = replies.iter().flatten().filter(|reply| reply.status().is_success()).count();
    let absent = replies.iter().flatten().any(|reply| reply.status() == 404 || !reply.body().is_empty());
    let client = Arc::new(FetchClient::new(account(replies), "files"));
    let (name, argument) = call.split_once(' ').unwrap_or((call, ""));
    let is_done = match name {
        "create-bucket" => block_on(client.create_bucket()).is_ok(),
        "head" | "get" | "put" | "put-new" | "delete" => use_blobs(client, name, argument),
        _ => operate(&client, name, argument),
    };
    assert!(!is_done || successes > 0 || absent, "done, and nobody said so");
});

fn key() -> BlobKey {
    BlobKey::parse("files/a/b.txt").expect("a key")
}

fn operate(client: &FetchClient, name: &str, argument: &str) -> bool {
    let description =
        Description { content_type: "text/plain".into(), metadata: vec![("put", "mark".into())] };
    let body = Bytes::from_static(BODY);
    let parts = vec![CompletedPart { number: 1, e_tag: argument.to_owned() }];
    let upload_id = argument.to_owned();
    let operation = match name {
        "create-upload" => Operation::CreateMultipartUpload { description },
        "upload-part" => Operation::UploadPart { upload_id, number: 1, body },
        "complete-upload" => Operation::CompleteMultipartUpload { upload_id, parts, only_if_absent: true },
        "abort-upload" => Operation::AbortMultipartUpload { upload_id },
        "put-object" => Operation::PutObject { description, body, sha256: None, only_if_absent: false },
        _ => return false,
    };
    let answer = block_on(client.send(&Request { key: key(), operation: operation.clone() }));
    match (&operation, &answer) {
        (_, Err(failure)) => assert!(!failure.to_string().is_empty()),
        (Operation::CreateMultipartUpload { .. }, Ok(Answer::Upload(_)))
        | (Operation::UploadPart { .. }, Ok(Answer::Part(_)))
        | (_, Ok(Answer::Done)) => {}
        (operation, Ok(answer)) => panic!("{operation:?} is answered {answer:?}"),
    }
    answer.is_ok()
}

fn use_blobs(client: Arc<FetchClient>, name: &str, argument: &str) -> bool {
    let background = Arc::new(QueuedBackground::default());
    let (clock, entropy) = (Arc::new(RestlessClock::default()), Arc::new(SeededEntropy::new(1)));
    let blobs = S3Blobs::new(client, clock, entropy, background.clone());
    let is_done = match name {
        "head" => block_on(blobs.head(&key())).is_ok(),
        "get" => get(&blobs, argument),
        "delete" => block_on(blobs.delete(&key())).is_ok(),
        _ => {
            let length = argument.parse().ok();
            let only_if_absent = name == "put-new";
            let terms = PutTerms { length, only_if_absent, ..PutTerms::up_to(1 << 20, "text/plain") };
            let stored = block_on(blobs.put(&key(), &terms, Body::from(BODY.to_vec())));
            stored.map(|info| assert_eq!(info.length, BODY.len() as u64)).is_ok()
        }
    };
    block_on(background.run());
    is_done
}

fn get(blobs: &S3Blobs, range: &str) -> bool {
    let range =
        range.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let range = range.map(|(first, last)| ByteRange { first, last });
    let Ok(found) = block_on(blobs.get(&key(), range)) else { return false };
    if let (Some(blob), Some(ByteRange { first, last })) = (&found, range) {
        assert!(first <= last && last < blob.info.length, "a range that lies not within");
    }
    true
}
