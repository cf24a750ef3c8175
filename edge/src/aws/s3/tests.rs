use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::executor::block_on;
use futures::future::{self, BoxFuture};
use http::{HeaderMap, Response};
use portico_core::config::aws::{AwsCredentials, AwsSettings};
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::ports::blobs::{ByteRange, PresignedGetAnswer, PresignedPutTerms};
use portico_core::ports::clock::Clock;
use portico_core::s3::request::{CompletedPart, Description};
use portico_core::secret::Secret;
use portico_core::time::Timestamp;

use super::*;

type Reply = Result<Response<Bytes>, HttpError>;
type Requests = Arc<Mutex<Vec<http::Request<Bytes>>>>;

/// Sleeps by moving itself forward.
#[derive(Debug, Default)]
struct RestlessClock(ManualClock);

impl Clock for RestlessClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration_ms: u64) -> BoxFuture<'static, ()> {
        self.0.advance_ms(i64::try_from(duration_ms).unwrap());
        Box::pin(future::ready(()))
    }
}

fn settings(endpoint_url: Option<&str>) -> AwsSettings {
    AwsSettings {
        region: "eu-central-1".to_owned(),
        endpoint_url: endpoint_url.map(str::to_owned),
        credentials: None,
        sns_region: "eu-central-1".to_owned(),
        sns_sender_id: None,
    }
}

/// A client that gets these replies, and then the last of them again and again.
fn client(replies: impl IntoIterator<Item = (u16, &'static str, &'static str)>) -> (FetchClient, Requests) {
    let (requests, mut replies) = (Requests::default(), replies.into_iter().collect::<VecDeque<_>>());
    let (recorded, replies) = (
        Arc::clone(&requests),
        Mutex::new(move || if replies.len() > 1 { replies.pop_front() } else { replies.front().copied() }),
    );
    let http = MemoryHttpClient::new(move |request| {
        recorded.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let (status, headers, body) = (replies.lock().unwrap_or_else(PoisonError::into_inner))().unwrap();
        reply(status, headers, body)
    });
    let token = Some(Secret::new("token"));
    let key = AwsCredentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("canary"),
        session_token: token,
    };
    let (clock, entropy) = (Arc::new(RestlessClock::default()), Arc::new(SeededEntropy::new(1)));
    (
        FetchClient::new(
            Account { settings: settings(None), key, http: Arc::new(http), clock, entropy },
            "files",
        ),
        requests,
    )
}

/// Status 0 is no answer.
fn reply(status: u16, headers: &str, body: &'static str) -> Reply {
    if status == 0 {
        return Err(HttpError("the connection was cut".to_owned()));
    }
    let mut response = Response::builder().status(status);
    for (name, value) in headers.split('\n').filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    Ok(response.body(Bytes::from(body)).unwrap())
}

fn ask(client: &FetchClient, operation: Operation) -> Result<Answer, Failure> {
    block_on(client.send(&Request { key: key(), operation }))
}

fn key() -> BlobKey {
    BlobKey::parse("files/a/b.txt").unwrap()
}

fn description() -> Description {
    Description { content_type: "text/plain".to_owned(), metadata: vec![("put", "mark".to_owned())] }
}

fn upload_id() -> String {
    "a/b+c==".to_owned()
}

fn put() -> Operation {
    Operation::PutObject {
        description: description(),
        body: Bytes::from_static(b"hello"),
        sha256: Some([7; 32]),
        only_if_absent: true,
    }
}

fn part() -> Operation {
    Operation::UploadPart { upload_id: upload_id(), number: 2, body: Bytes::from_static(b"hello") }
}

fn complete() -> Operation {
    let parts = vec![CompletedPart { number: 1, e_tag: "\"<1>\"".to_owned() }];
    Operation::CompleteMultipartUpload { upload_id: upload_id(), parts, only_if_absent: true }
}

fn every() -> [Operation; 8] {
    [
        Operation::HeadObject,
        Operation::GetObject { range: None },
        put(),
        Operation::DeleteObject,
        Operation::CreateMultipartUpload { description: description() },
        part(),
        complete(),
        Operation::AbortMultipartUpload { upload_id: upload_id() },
    ]
}

#[test]
fn each_operation_is_a_signed_request() {
    const OBJECT: &str = "https://files.s3.eu-central-1.amazonaws.com/files/a/b.txt";
    let expected = [
        ("HEAD", "", "x-amz-checksum-mode"),
        ("GET", "", "x-amz-checksum-mode"),
        ("PUT", "", "content-type;host;if-none-match;x-amz-checksum-sha256"),
        ("DELETE", "", "host"),
        (
            "POST",
            "?uploads=",
            "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-put;x-amz-security-token",
        ),
        ("PUT", "?partNumber=2&uploadId=a%2Fb%2Bc%3D%3D", "host"),
        ("POST", "?uploadId=a%2Fb%2Bc%3D%3D", "content-type;host;if-none-match"),
        ("DELETE", "?uploadId=a%2Fb%2Bc%3D%3D", "host"),
    ];
    for (operation, (method, query, signed)) in every().into_iter().zip(expected) {
        let (client, requests) = client([(403, "", "")]);
        ask(&client, operation.clone()).unwrap_err();
        let requests = requests.lock().unwrap();
        let [request] = &requests[..] else { panic!("{operation:?}: {requests:?}") };
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            (method, format!("{OBJECT}{query}"))
        );
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("/eu-central-1/s3/aws4_request"), "{authorization}");
        assert!(authorization.contains(signed), "{operation:?}: {authorization}");
        assert_eq!(request.headers()["x-amz-security-token"], "token");
        assert!(request.headers().contains_key("x-amz-content-sha256"));
    }
}

#[test]
fn what_is_put_is_described_and_hashed_once() {
    let (client, requests) = client([(200, "etag: \"1\"", "")]);
    ask(&client, put()).unwrap();
    let requests = requests.lock().unwrap();
    let header = |name: &str| requests[0].headers()[name].to_str().unwrap();
    assert_eq!(header("x-amz-content-sha256"), "07".repeat(32));
    assert_eq!(header("x-amz-checksum-sha256"), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    assert_eq!((header("x-amz-meta-put"), header("if-none-match")), ("mark", "*"));
    assert_eq!((header("content-type"), requests[0].body().as_ref()), ("text/plain", &b"hello"[..]));
}

#[test]
fn a_range_and_a_list_of_parts_are_written_as_s3_reads_them() {
    let (client, requests) = client([(403, "", "")]);
    ask(&client, Operation::GetObject { range: Some(ByteRange { first: 1, last: 9 }) }).unwrap_err();
    ask(&client, complete()).unwrap_err();
    let requests = requests.lock().unwrap();
    assert_eq!(requests[0].headers()["range"], "bytes=1-9");
    assert_eq!(
        requests[1].body(),
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><ETag>\"&lt;1&gt;\"</ETag>\
         <PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"
    );
}

#[test]
fn a_bucket_is_in_the_host_or_in_the_path() {
    for (endpoint, bucket, expected) in [
        (None, "files", "https://files.s3.eu-central-1.amazonaws.com"),
        (None, "files.example.com", "https://s3.eu-central-1.amazonaws.com/files.example.com"),
        (Some("http://localhost:4566"), "files", "http://localhost:4566/files"),
        (Some("http://localhost:4566/"), "files", "http://localhost:4566/files"),
    ] {
        assert_eq!(request::bucket_url(&settings(endpoint), bucket), expected);
    }
}

#[test]
fn answers_are_read() {
    const DESCRIBED: &str = "etag: \"1\"\ncontent-length: 5\ncontent-type: text/plain\nx-amz-meta-put: mark\n\
                             x-amz-checksum-sha256: aGFzaA==\ncontent-range: bytes 0-4/9";
    let (head, _) = client([(200, DESCRIBED, "")]);
    let Answer::Object(object) = ask(&head, Operation::HeadObject).unwrap() else { panic!("no object") };
    assert_eq!((object.length, object.content_type.as_deref()), (Some(5), Some("text/plain")));
    assert_eq!(object.checksum_sha256.as_deref(), Some("aGFzaA=="));
    assert_eq!(object.metadata, HashMap::from([("put".to_owned(), "mark".to_owned())]));

    let (get, _) = client([(206, DESCRIBED, "hello")]);
    let Answer::Content { object: found, content_range, body } =
        ask(&get, Operation::GetObject { range: None }).unwrap()
    else {
        panic!("no content")
    };
    assert_eq!((found, content_range.as_deref()), (object, Some("bytes 0-4/9")));
    assert_eq!(block_on(body.read(9, None)).unwrap(), "hello");

    let begun = "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>";
    let (create, _) = client([(200, "", begun)]);
    let answer = ask(&create, Operation::CreateMultipartUpload { description: description() });
    assert!(matches!(answer, Ok(Answer::Upload(id)) if id == "id"));
    let (sent, _) = client([(200, "etag: \"2\"", "")]);
    assert!(matches!(ask(&sent, part()), Ok(Answer::Part(e_tag)) if e_tag == "\"2\""));
    let (gone, _) = client([(204, "", "")]);
    assert!(matches!(ask(&gone, Operation::DeleteObject), Ok(Answer::Done)));
    let (done, _) =
        client([(200, "", "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>")]);
    assert!(matches!(ask(&done, complete()), Ok(Answer::Done)));
}

#[test]
fn a_refusal_is_told_with_its_code_and_not_repeated() {
    for operation in every() {
        let refusal = "<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>";
        let (client, requests) = client([(404, "content-type: application/xml", refusal)]);
        let failure = ask(&client, operation.clone()).unwrap_err();
        assert_eq!(failure.to_string(), "NoSuchBucket (404): none", "{operation:?}");
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}

#[test]
fn what_passes_is_tried_again_and_given_up() {
    const ERROR: &str = "<Error><Code>InternalError</Code><Message>We</Message></Error>";
    const DONE: &str = "<CompleteMultipartUploadResult/>";
    let html = "<html>502</html>";
    let (complete_client, requests) = client([
        (0, "", ""),
        (503, "", ""),
        (429, "", ""),
        (502, "", html),
        (200, "", ERROR),
        (200, "", DONE),
    ]);
    assert!(matches!(ask(&complete_client, complete()), Ok(Answer::Done)));
    assert_eq!(requests.lock().unwrap().len(), 6);

    for operation in every() {
        let (client, requests) = client([(503, "", "<Error><Code>SlowDown</Code></Error>")]);
        let failure = ask(&client, operation.clone()).unwrap_err();
        assert_eq!(failure.to_string(), "SlowDown (503)", "{operation:?}");
        assert!((3..30).contains(&requests.lock().unwrap().len()));
    }
}

#[test]
fn what_a_proxy_says_is_no_answer() {
    for operation in every() {
        for (headers, body) in [
            ("content-type: text/html", "<html>Welcome to the hotel's network</html>"),
            ("content-type: application/xml\ncontent-length: 99", "<CompleteMultipart"),
            ("", ""),
        ] {
            let (client, _) = client([(200, headers, body)]);
            let failure = ask(&client, operation.clone()).unwrap_err();
            assert!(failure.message.contains("proxy"), "{operation:?}: {failure}");
            assert_eq!(failure.status, None);
        }
    }
    let (client, _) = client([(301, "location: https://elsewhere", "")]);
    assert_eq!(ask(&client, Operation::HeadObject).unwrap_err().to_string(), "status 301");
}

#[test]
fn what_cannot_be_made_is_not_sent() {
    let (client, requests) = client([(200, "", "")]);
    let metadata = vec![("put", "line\nfeed".to_owned())];
    let description = Description { metadata, ..description() };
    let failure = ask(&client, Operation::CreateMultipartUpload { description }).unwrap_err();
    assert!(failure.unmade, "{failure}");
    assert!(requests.lock().unwrap().is_empty());
    assert!(!format!("{client:?}").contains("canary"));
}

#[test]
fn presigned_requests_name_all_that_is_signed() {
    let (client, requests) = client([(200, "", "")]);
    let sign =
        |request| block_on(client.presign(&key(), &request, Period { start: 1_771_581_600, seconds: 60 }));
    let terms = PresignedPutTerms { length: 5, content_type: "text/plain".to_owned(), sha256: Some([7; 32]) };
    let Signed { url, headers } = sign(Presignable::PutObject(terms)).unwrap();
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"]);
    let signed =
        "SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match%3Bx-amz-checksum-sha256&";
    assert!(url.contains(signed), "{url}");
    assert!(url.contains("X-Amz-Date=20260220T100000Z&X-Amz-Expires=60"), "{url}");
    assert!(url.contains("X-Amz-Security-Token=token"), "{url}");

    let answer = PresignedGetAnswer {
        content_type: "image/png".to_owned(),
        content_disposition: "attachment; filename=\"a b.png\"".to_owned(),
    };
    let Signed { url, headers } = sign(Presignable::GetObject(answer)).unwrap();
    assert_eq!(headers, HeaderMap::new());
    assert!(url.starts_with("https://files.s3.eu-central-1.amazonaws.com/files/a/b.txt?"), "{url}");
    assert!(
        url.contains("response-content-disposition=attachment%3B%20filename%3D%22a%20b.png%22&"),
        "{url}"
    );
    assert!(url.contains("response-content-type=image%2Fpng&"), "{url}");
    assert!(requests.lock().unwrap().is_empty());
}
