//! Long puts over a scripted client: cut into parts, completed or aborted, whatever becomes of whoever waits.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures::{executor::block_on, future::join, stream};

use super::{
    client::{Answer, Object},
    parts::PART_BYTES,
    request::{CompletedPart, Operation, Request},
    script::{Script, key, refused, stored, terms},
};
use crate::{
    aws::failure::Failure,
    http::body::{Body, BodyError},
    ports::blobs::{BlobError, BlobErrorKind, BlobInfo, Blobs, PutTerms},
};

/// A body of two parts and a bit.
fn body() -> Body {
    let piece = Bytes::from(vec![7; PART_BYTES]);
    Body::stream(stream::iter([Ok(piece.clone()), Ok(piece), Ok(Bytes::from_static(b"end"))]))
}

/// An S3 that does what it is asked, but for what `fail` makes fail; says so after having done it if `applies`.
fn bucket(applies: bool, fail: impl Fn(&Operation) -> Option<Failure> + Send + 'static) -> Arc<Script> {
    let (mut begun, mut object) = (None::<Object>, None::<Object>);
    Script::answering(move |request| {
        let failure = fail(&request.operation);
        if failure.is_none() || applies {
            match &request.operation {
                Operation::CreateMultipartUpload { .. } => begun = stored(request),
                Operation::CompleteMultipartUpload { .. } => object = begun.clone(),
                _ => {}
            }
        }
        failure.map_or_else(|| answer(request, object.as_ref()), Err)
    })
}

fn answer(request: &Request, object: Option<&Object>) -> Result<Answer, Failure> {
    match &request.operation {
        Operation::HeadObject => object.cloned().map(Answer::Object).ok_or_else(|| refused(404, "")),
        Operation::CreateMultipartUpload { .. } => Ok(Answer::Upload("upload".into())),
        Operation::UploadPart { number, .. } => Ok(Answer::Part(format!("\"{number}\""))),
        _ => Ok(Answer::Done),
    }
}

fn put(script: &Arc<Script>, terms: &PutTerms, body: Body) -> Result<BlobInfo, BlobError> {
    let blobs = script.blobs();
    block_on(join(blobs.put(&key(), terms, body), script.background.run())).0
}

const WHOLE: [&str; 5] =
    ["CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart", "CompleteMultipartUpload"];

#[test]
fn a_long_body_goes_in_parts() {
    let script = bucket(false, |_| None);
    let info = put(&script, &terms(false), body()).unwrap();
    assert_eq!(info.length, 2 * PART_BYTES as u64 + 3);
    assert_eq!(script.operations(), WHOLE);
    let requests = script.requests();
    let Operation::CompleteMultipartUpload { upload_id, parts, only_if_absent } = &requests[4].operation
    else {
        panic!("{requests:?}")
    };
    let expected = |number| CompletedPart { number, e_tag: format!("\"{number}\"") };
    assert_eq!((upload_id.as_str(), *only_if_absent), ("upload", false));
    assert_eq!(parts, &[1, 2, 3].map(expected));
}

#[test]
fn where_there_is_an_object_no_upload_is_begun() {
    let script = Script::answering(|_| Ok(Answer::Object(Object { length: Some(1), ..Object::default() })));
    let error = put(&script, &terms(true), body()).unwrap_err();
    assert_eq!(error.kind, BlobErrorKind::Exists);
    assert_eq!(script.operations(), ["HeadObject"]);
}

#[test]
fn what_fails_midway_is_aborted() {
    for (name, requests) in [("UploadPart", 3), ("CompleteMultipartUpload", 7)] {
        let script =
            bucket(false, move |operation| (operation.name() == name).then(|| refused(503, "SlowDown")));
        assert_eq!(put(&script, &terms(false), body()).unwrap_err().kind, BlobErrorKind::Unavailable);
        assert_eq!(script.operations().last(), Some(&"AbortMultipartUpload"), "{name}");
        assert_eq!(script.operations().len(), requests, "{name}: {:?}", script.operations());
    }
    let script = bucket(false, |_| None);
    let broken = stream::iter([Ok(Bytes::from(vec![7; PART_BYTES + 1])), Err(BodyError::new("lost"))]);
    let error = put(&script, &terms(false), Body::stream(broken)).unwrap_err();
    assert_eq!(error.kind, BlobErrorKind::Interrupted);
    assert_eq!(script.operations().last(), Some(&"AbortMultipartUpload"));
}

#[test]
fn a_completion_whose_answer_was_lost_is_known_by_its_mark() {
    for only_if_absent in [false, true] {
        for failure in [|| Failure::unanswered("cut"), || refused(404, "NoSuchUpload"), || refused(412, "")] {
            let script = bucket(true, move |operation| (operation.name() == WHOLE[4]).then(failure));
            assert!(put(&script, &terms(only_if_absent), body()).is_ok());
            assert_eq!(script.operations().last(), Some(&"HeadObject"));
        }
    }
}

#[test]
fn an_upload_that_cannot_be_aborted_is_tried_three_times() {
    let script = bucket(false, |operation| match operation.name() {
        "UploadPart" => Some(refused(400, "InvalidRequest")),
        "AbortMultipartUpload" => Some(refused(503, "SlowDown")),
        _ => None,
    });
    put(&script, &terms(false), body()).unwrap_err();
    assert_eq!(script.operations()[2..], ["AbortMultipartUpload"; 3]);
    assert_eq!(script.clock.pauses()[..2], [1000, 2000]);
    let gone = bucket(false, |operation| match operation.name() {
        "UploadPart" => Some(refused(400, "InvalidRequest")),
        "AbortMultipartUpload" => Some(refused(404, "NoSuchUpload")),
        _ => None,
    });
    put(&gone, &terms(false), body()).unwrap_err();
    assert_eq!(gone.operations()[2..], ["AbortMultipartUpload"]);
}

#[test]
fn an_upload_that_nobody_waits_for_is_aborted() {
    let script = bucket(false, |_| None);
    let asked = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&asked);
    let pieces = stream::unfold(0, move |count| {
        let silent = Arc::clone(&silent);
        async move {
            if count == 2 {
                silent.store(true, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            Some((Ok(Bytes::from(vec![7; PART_BYTES])), count + 1))
        }
    });
    let (blobs, name, terms) = (script.blobs(), key(), terms(false));
    let mut put = blobs.put(&name, &terms, Body::stream(pieces));
    block_on(async {
        assert!(futures::poll!(&mut put).is_pending());
        script.background.run().await;
        assert!(futures::poll!(&mut put).is_pending());
    });
    assert!(asked.load(Ordering::SeqCst));
    drop(put);
    block_on(script.background.run());
    assert_eq!(script.operations(), ["CreateMultipartUpload", "UploadPart", "AbortMultipartUpload"]);
}

#[test]
fn an_upload_that_is_left_while_it_is_begun_is_aborted() {
    let script = bucket(false, |_| None);
    let (blobs, name, terms) = (script.blobs(), key(), terms(false));
    let mut put = blobs.put(&name, &terms, body());
    block_on(async { assert!(futures::poll!(&mut put).is_pending()) });
    drop(put);
    block_on(script.background.run());
    assert_eq!(script.operations(), ["CreateMultipartUpload", "AbortMultipartUpload"]);
}

#[test]
fn a_host_that_runs_nothing_more_begins_no_upload() {
    let script = bucket(false, |_| None);
    let blobs = script.blobs();
    let forget = async { script.background.forget() };
    let (name, terms) = (key(), terms(false));
    let (outcome, ()) = block_on(join(blobs.put(&name, &terms, body()), forget));
    assert_eq!(outcome.unwrap_err().kind, BlobErrorKind::Unavailable);
    assert!(script.operations().is_empty());
}
