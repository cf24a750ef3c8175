//! Line breaks and their kin in every value that comes back in a header of an answer, or goes out in a message or a
//! request: none begins a header, names another recipient, or breaks a line.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use portico_tests::client::{Answer, Client, User, registration};
use portico_tests::emulators::{self, Emulators};
use portico_tests::lab::Lab;
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

/// What would be there if an injection succeeded.
const INJECTED: &str = "x-injected";

/// What separates lines, to somebody.
const BREAKS: [&str; 12] = [
    "\r\n",
    "\n",
    "\r",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\0",
    "%0d%0a",
    "\\r\\n",
    // Half of a byte more makes a line feed of these where text is cut to bytes.
    "\u{560d}\u{560a}",
];

/// A value that tries to end its line and begin a header.
fn forged(text: &str, line_break: &str) -> String {
    format!("{text}{line_break}X-Injected: 1{line_break}Set-Cookie: a=b{line_break}{line_break}<script>")
}

#[track_caller]
fn assert_clean(headers: &HeaderMap, what: &str) {
    assert!(!headers.contains_key(INJECTED) && !headers.contains_key("set-cookie"), "{what}: {headers:?}");
    for (name, value) in headers {
        let visible = value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
        assert!(visible, "{what}: {name}: {value:?}");
    }
    for once in ["content-type", "content-disposition", "content-length", "etag", "x-request-id"] {
        assert!(headers.get_all(once).iter().count() <= 1, "{what}: {once} stands twice");
    }
}

/// Sends a request and looks at the answer's headers.
async fn ask(client: &Client, request: Request<Bytes>, what: &str) -> Answer {
    let answer = client.host().send(request).await;
    assert_ne!(answer.status, 500, "{what}");
    assert_clean(&answer.headers, what);
    answer
}

async fn upload(user: &User, name: &str, what: &str) -> Option<String> {
    let body = json!({ "file_name": name, "base64": "aGVsbG8=" });
    let request = user.client.request(Method::POST, "/v1/files/base64", Some(&body));
    let answer = ask(&user.client, request, what).await;
    assert!(matches!(answer.status, 201 | 422), "{what}: {}", answer.text());
    answer.json()["id"].as_str().map(str::to_owned)
}

/// Names and types of files, which come back in `Content-Disposition` and `Content-Type`.
async fn files(client: &Client) {
    let ada = client.register("ada").await;
    for line_break in BREAKS {
        let what = format!("a file's name with {line_break:?}");
        let id = upload(&ada, &forged("a.txt", line_break), &what).await.expect("a file");
        let answer =
            ask(&ada.client, ada.client.request(Method::GET, &format!("/v1/files/{id}"), None), &what).await;
        let answer = answer.expect(200);
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\""), "{what}: {disposition}");
        assert_eq!(disposition.matches('"').count(), 2, "{what}: {disposition}");
        let request = ada.client.request(Method::GET, &format!("/v1/files/{id}/url"), None);
        let url =
            ask(&ada.client, request, &what).await.expect(200).json()["url"].as_str().unwrap().to_owned();
        let answer = get(client, &url).await.expect(200);
        assert_clean(&answer.headers, &what);
        assert_eq!(answer.header("content-disposition"), Some(disposition), "{what}");

        let what = format!("a file's type with {line_break:?}");
        let body = json!({ "file_name": "b", "content_type": forged("text/plain", line_break), "size": 5 });
        let request = ada.client.request(Method::POST, "/v1/files/uploads", Some(&body));
        let answer = ask(&ada.client, request, &what).await;
        assert!(matches!(answer.status, 201 | 422), "{what}: {}", answer.text());
        for value in
            answer.json()["upload"]["headers"].as_object().into_iter().flatten().map(|(_, value)| value)
        {
            let visible = value.as_str().unwrap().bytes().all(|byte| matches!(byte, b' '..=b'~'));
            assert!(visible, "{what}: {value}");
        }
    }
}

/// Follows a URL to whoever answers it.
async fn get(client: &Client, url: &str) -> Answer {
    let own = url.find("/blobs/").map(|at| &url[at..]);
    let request = Request::get(own.unwrap_or(url)).body(Bytes::new()).unwrap();
    if own.is_some() { client.host().send(request).await } else { emulators::send(request).await }
}

/// Headers of requests that come back in headers of answers.
async fn reflected_headers(client: &Client) {
    // No client can send a line break in a header; these are what it can.
    let values: [&[u8]; 8] = [
        b"a\tb",
        b"a b",
        b"\x80\x8a\x8d",
        b"a, b",
        "\u{2028}x".as_bytes(),
        b"\xc4\x8d\xc4\x8a",
        b"https://app.example.com\tx",
        b"null",
    ];
    for name in
        ["x-request-id", "origin", "host", "if-none-match", "if-range", "range", "idempotency-key", "accept"]
    {
        for value in values {
            let what = format!("{name}: {value:?}");
            for path in ["/v1/roles", "/nothing", "/.well-known/openid-configuration"] {
                let mut request = client.request(Method::GET, path, None);
                let header: HeaderName = name.parse().unwrap();
                request.headers_mut().insert(header, HeaderValue::from_bytes(value).unwrap());
                let answer = ask(client, request, &what).await;
                let origin = answer.header("access-control-allow-origin");
                assert!(matches!(origin, None | Some("*")), "{what}: {origin:?}");
                assert!(answer.header("x-request-id").unwrap().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}

/// The origin comes back only if it is, letter by letter, one of those allowed.
#[tokio::test]
async fn a6_no_origin_is_reflected_but_those_that_are_listed() {
    let lab = Lab::with_variables(&[("ALLOWED_ORIGINS", "https://app.example.com")]);
    let client = Arc::new(lab).client();
    let ask = async |origin: &[u8]| {
        let mut request = client.request(Method::GET, "/v1/roles", None);
        request.headers_mut().insert("origin", HeaderValue::from_bytes(origin).unwrap());
        client.send(request).await
    };
    let allowed = ask(b"https://app.example.com").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    let others: [&[u8]; 12] = [
        b"https://app.example.com.attacker.example",
        b"https://attacker.example/https://app.example.com",
        b"https://app.example.com, https://attacker.example",
        b"https://app.example.com:443",
        b"https://app.example.com\tx",
        b"https://app.example.com/",
        b"HTTPS://APP.EXAMPLE.COM",
        b"http://app.example.com",
        b"https://appxexample.com",
        b"null",
        b"*",
        b"",
    ];
    for origin in others {
        let answer = ask(origin).await.expect(200);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "{:?}",
            String::from_utf8_lossy(origin)
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
}

#[tokio::test]
async fn x3_no_value_begins_a_header_in_process() {
    let client = Arc::new(Lab::new()).client();
    files(&client).await;
    reflected_headers(&client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x3_no_value_begins_a_header_on_the_native_host() {
    let client = Client::new(Arc::new(NativeHost::start().await));
    files(&client).await;
    reflected_headers(&client).await;
}

/// The bucket answers the downloads itself, with what the URL was signed for.
#[tokio::test(flavor = "multi_thread")]
async fn x3_no_value_begins_a_header_on_aws() {
    let client = Client::new(Arc::new(NativeHost::start_on_aws().await));
    files(&client).await;
}

/// Addresses that would be more than one, or end the line of their header or of the SMTP dialogue.
fn hostile_addresses() -> Vec<String> {
    let mut addresses: Vec<String> = [
        "ada@example.com,eve@example.org",
        "ada@example.com;eve@example.org",
        "ada@example.com eve@example.org",
        "<ada@example.com>",
        "Ada <ada@example.com>",
        "ada@example.com>\r\nRCPT TO:<eve@example.org",
        "\"a\r\nBcc: eve@example.org\"@example.com",
        "\"ada eve@example.org\"@example.com",
        "eve@example.org(@example.com)",
        "ada@example.com\0@example.org",
        "@example.org:ada@example.com",
        "ada%eve@example.org@example.com",
        "ada@[127.0.0.1]",
    ]
    .map(str::to_owned)
    .to_vec();
    for line_break in BREAKS.into_iter().filter(|line_break| !line_break.is_ascii() || line_break.len() < 3) {
        addresses.push(format!("ada@example.com{line_break}Bcc: eve@example.org"));
        addresses.push(format!("ada{line_break}bcc@example.com"));
        addresses.push(format!("ada@example.com{line_break}"));
    }
    addresses
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_adds_a_recipient_or_a_header_to_a_message() {
    let emulators = Arc::new(Emulators::start());
    let port = emulators.smtp_port().to_string();
    let variables =
        [("MAILER", "smtp"), ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", &port), ("SMS_SENDER", "sns")];
    let host = Arc::new(NativeHost::start_on_emulators(&emulators, &variables).await);
    let client = Client::new(host.clone());
    let ada = client.register("ada").await;
    let mut expected = vec![ada.email()];
    for (n, address) in hostile_addresses().into_iter().enumerate() {
        let mut body = registration(&format!("user{n}"));
        body["email"] = json!(address);
        let answer = client.post("/v1/users", body).await;
        // What is one address after trimming is that address, which is Ada's.
        assert!(matches!(answer.status, 201 | 409 | 422), "{address:?}: {}", answer.text());
        if answer.status == 201 {
            expected.push(answer.json()["user"]["email"].as_str().unwrap().to_owned());
        }
        let changed = ada.client.put(&ada.path(), json!({ "phone": address })).await;
        assert_eq!(changed.status, 422, "{address:?}");
        client.post("/v1/password-recovery/request", json!({ "email": address })).await;
    }
    // Names go into no header, and into the text as text.
    for (n, line_break) in BREAKS.iter().enumerate() {
        let mut body = registration(&format!("name{n}"));
        body["username"] = json!(forged("ada", line_break));
        assert_eq!(client.post("/v1/users", body.clone()).await.status, 422, "{line_break:?}");
        body["username"] = json!(format!("name{n}"));
        body["first_name"] = json!(forged("Ada", line_break));
        if client.post("/v1/users", body).await.status == 201 {
            expected.push(format!("name{n}@example.com"));
        }
    }
    for phone in ["+4915112345678,+4915112345679", "+4915112345678\r\n+4915112345679", "+49&Message=x"] {
        ada.client.put(&ada.path(), json!({ "phone": phone })).await.expect(422);
    }
    ada.client.put(&ada.path(), json!({ "phone": "+4915112345678" })).await.expect(200);
    ada.client.post_empty("/v1/confirm-phone/request").await.expect(200);

    expected.sort();
    let mails = await_mails(&emulators, &expected).await;
    for mail in &mails {
        let raw = mail["raw"].as_str().unwrap_or_default().to_ascii_lowercase();
        let head = raw.split("\r\n\r\n").next().unwrap_or_default();
        for header in ["bcc:", "cc:", "x-injected:", "set-cookie:"] {
            assert!(!head.lines().any(|line| line.starts_with(header)), "{head}");
        }
        assert_eq!(mail["to"].as_array().unwrap().len(), 1, "{mail}");
    }
    let texts = emulators.tell("/_aws/sns/sms-messages").await;
    let numbers: Vec<&String> = texts["sms_messages"].as_object().unwrap().keys().collect();
    assert_eq!(numbers, ["+4915112345678"]);
}

/// Waits until everybody expected has mail; asserts that nobody else has.
async fn await_mails(emulators: &Emulators, expected: &[String]) -> Vec<Value> {
    let mut recipients = Vec::new();
    for _ in 0..400 {
        let mails = emulators.tell("/_mail").await.as_array().unwrap().clone();
        recipients = mails
            .iter()
            .flat_map(|mail| mail["to"].as_array().unwrap().clone())
            .map(|to| to.as_str().unwrap().to_owned())
            .collect();
        recipients.sort();
        recipients.dedup();
        if recipients.len() >= expected.len() {
            assert_eq!(recipients, expected);
            return mails;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{expected:?} wait for mail, which came to {recipients:?}");
}
