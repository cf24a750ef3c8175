//! Short puts, reads and URLs over a scripted client: what they ask, and what they make of what goes wrong.

use futures::executor::block_on;

use super::{
    client::{Answer, Object},
    request::{Operation, Request},
    script::{Script, key, refused, stored, terms},
};
use crate::{
    aws::failure::Failure,
    http::body::Body,
    ports::{
        blobs::{
            BlobError, BlobErrorKind, BlobInfo, Blobs, ByteRange, PresignedGetAnswer, PresignedPutTerms,
            Presigner,
        },
        clock::Clock,
    },
};

type Reply = Result<Answer, Failure>;

/// Puts five bytes; each `PutObject` gets the next reply, and stores the object if `applies`.
fn put(
    only_if_absent: bool,
    applies: bool,
    mut replies: Vec<Reply>,
    foreign: bool,
) -> (Result<BlobInfo, BlobError>, Vec<&'static str>, Vec<u64>) {
    replies.reverse();
    let mut object = foreign.then(|| Object { length: Some(1), ..Object::default() });
    let script = Script::answering(move |request| match &request.operation {
        Operation::HeadObject => object.clone().map(Answer::Object).ok_or_else(|| refused(404, "")),
        _ => {
            if applies {
                object = stored(request);
            }
            replies.pop().expect("no more replies")
        }
    });
    let outcome = block_on(script.blobs().put(&key(), &terms(only_if_absent), Body::from("hello")));
    (outcome, script.operations(), script.clock.pauses())
}

fn kind<T>(outcome: Result<T, BlobError>) -> Option<BlobErrorKind> {
    outcome.err().map(|error| error.kind)
}

#[test]
fn a_short_body_goes_at_once_with_its_hash_and_a_mark() {
    let script = Script::answering(|_| Ok(Answer::Done));
    let info = block_on(script.blobs().put(&key(), &terms(true), Body::from("hello"))).unwrap();
    let requests = script.requests();
    let [Request { operation: Operation::PutObject { description, body, sha256, only_if_absent }, .. }] =
        &requests[..]
    else {
        panic!("{requests:?}")
    };
    assert!(*only_if_absent && body == "hello" && sha256.is_some() && *sha256 == info.sha256);
    assert_eq!(description.content_type, "text/plain");
    let metadata: Vec<_> = description.metadata.iter().map(|(name, value)| (*name, value.len())).collect();
    assert_eq!(metadata, [("put", 32), ("sha256", 64)]);
    assert!(!format!("{requests:?}").contains("hello"));
}

#[test]
fn a_put_whose_answer_was_lost_is_known_by_its_mark() {
    for reply in [
        Failure::unanswered("cut"),
        refused(500, "InternalError"),
        refused(412, "PreconditionFailed"),
        refused(409, ""),
    ] {
        for only_if_absent in [false, true] {
            let (outcome, operations, _) = put(only_if_absent, true, vec![Err(clone(&reply))], false);
            assert_eq!(outcome.unwrap().length, 5, "{reply}");
            assert_eq!(operations, ["PutObject", "HeadObject"]);
        }
    }
}

fn clone(failure: &Failure) -> Failure {
    let (code, message) = (failure.code.clone(), failure.message.clone());
    Failure { code, status: failure.status, ..Failure::unanswered(message) }
}

#[test]
fn a_refusal_for_another_object_is_that_it_exists() {
    for status in [409, 412] {
        let (outcome, ..) = put(true, false, vec![Err(refused(status, ""))], true);
        assert_eq!(kind(outcome), Some(BlobErrorKind::Exists), "{status}");
    }
    // It was removed meanwhile.
    let (outcome, ..) = put(true, false, vec![Err(refused(412, ""))], false);
    assert_eq!(kind(outcome), Some(BlobErrorKind::Exists));
    for failure in [refused(409, ""), refused(503, "SlowDown"), Failure::unanswered("cut")] {
        let (outcome, ..) = put(true, false, vec![Err(failure)], false);
        assert_eq!(kind(outcome), Some(BlobErrorKind::Unavailable));
    }
}

#[test]
fn a_conflict_of_conditional_puts_is_waited_for() {
    let conflict = || Err(refused(409, "ConditionalRequestConflict"));
    let (outcome, operations, pauses) =
        put(true, false, vec![conflict(), conflict(), Ok(Answer::Done)], false);
    assert!(outcome.is_ok());
    assert_eq!((operations, pauses), (vec!["PutObject"; 3], vec![50, 200]));
    let (outcome, operations, pauses) = put(true, false, (0..5).map(|_| conflict()).collect(), false);
    assert_eq!(kind(outcome), Some(BlobErrorKind::Unavailable));
    assert_eq!(pauses, [50, 200, 500, 1000]);
    assert_eq!(operations.len(), 6);
}

#[test]
fn what_is_no_object_is_none_and_what_is_no_answer_unavailable() {
    let read = |reply: fn() -> Reply| {
        let script = Script::answering(move |_| reply());
        let blobs = script.blobs();
        let (head, get) = (block_on(blobs.head(&key())), block_on(blobs.get(&key(), None)));
        (head.map(|found| found.is_some()), get.map(|found| found.is_some()))
    };
    let (head, get) = read(|| Err(refused(404, "NoSuchKey")));
    assert!(matches!((head, get), (Ok(false), Ok(false))));
    let replies: [fn() -> Reply; 5] = [
        || Err(refused(404, "NoSuchBucket")),
        || Err(Failure::unanswered("cut")),
        || Ok(Answer::Done),
        || Ok(Answer::Object(Object::default())),
        || Ok(Answer::Content { object: Object::default(), content_range: None, body: Body::empty() }),
    ];
    for reply in replies {
        let (head, get) = read(reply);
        assert_eq!(kind(head), Some(BlobErrorKind::Unavailable));
        assert_eq!(kind(get), Some(BlobErrorKind::Unavailable));
    }
}

#[test]
fn a_range_that_is_cut_or_not_answered_is_no_range() {
    let get = |content_range: Option<&'static str>, first, last| {
        let script = Script::answering(move |request| match &request.operation {
            Operation::HeadObject => Ok(Answer::Object(Object { length: Some(5), ..Object::default() })),
            _ => Ok(Answer::Content {
                object: Object { length: Some(2), ..Object::default() },
                content_range: content_range.map(str::to_owned),
                body: Body::from("el"),
            }),
        });
        let outcome = block_on(script.blobs().get(&key(), Some(ByteRange { first, last })));
        outcome.map(|blob| blob.map(|blob| blob.info.length)).map_err(|error| error.kind)
    };
    assert_eq!(get(Some("bytes 1-2/5"), 1, 2), Ok(Some(5)));
    assert_eq!(get(Some("bytes 4-4/5"), 4, 5), Err(BlobErrorKind::OutOfRange));
    assert_eq!(get(None, 1, 2), Err(BlobErrorKind::Unavailable));
    assert_eq!(get(Some("bytes 1-2/5"), 2, 1), Err(BlobErrorKind::OutOfRange));
    assert_eq!(get(Some("bytes 1-2/5"), 1, u64::MAX), Err(BlobErrorKind::OutOfRange));
}

#[test]
fn presigned_requests_are_told_but_for_the_host() {
    let script = Script::answering(|_| Ok(Answer::Done));
    let expires_at = script.clock.now().plus_seconds(60);
    let put = PresignedPutTerms { length: 5, content_type: "text/plain".into(), sha256: None };
    let url = block_on(script.blobs().presign_put(&key(), &put, expires_at)).unwrap();
    assert_eq!((url.method, url.expires_at), ("PUT", expires_at));
    assert_eq!(url.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["content-length"]);
    assert!(url.url.contains("seconds: 60"), "{}", url.url);
    let get = PresignedGetAnswer { content_type: "image/png".into(), content_disposition: "inline".into() };
    let url = block_on(script.blobs().presign_get(&key(), &get, expires_at.plus_seconds(9999))).unwrap();
    assert_eq!((url.method, url.expires_at), ("GET", script.clock.now().plus_seconds(900)));
    assert!(script.requests().is_empty(), "nothing is sent");
}
