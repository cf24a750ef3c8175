//! Where requests are sent in our name: to the services that core names and those that the operator configured, and
//! nowhere that a client names (server-side request forgery). Redirects are not followed; answers have an end.
//!
//! Every URL that is ever asked for: Google's keys and the range of leaked passwords (core, fixed), AWS's endpoints and
//! the mail relay (the operator's variables). Presigned URLs are given to clients, not asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::HeaderValue;
use portico_core::http::routes::ROUTES;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::ports::http_client::HttpError;
use portico_tests::client::Client;
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::{Emulators, account};
use portico_tests::lab::{Lab, LabOptions};
use portico_tests::native::NativeHost;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::World;

/// A server that keeps what it is asked, and gives the same answer to all of it.
struct Trap {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Trap {
    /// Starts it; its answer is sent again and again so many times, as one.
    async fn start(answer: String, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), answer.clone());
                tokio::spawn(async move {
                    let mut bytes = vec![0; 4096];
                    let length = stream.read(&mut bytes).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    for _ in 0..times {
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    async fn silent() -> Self {
        Self::start("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(), 1).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// URLs of a place, as attackers write them.
fn baits(url: &str) -> Vec<String> {
    let authority = url.trim_start_matches("http://");
    vec![
        format!("{url}/canary"),
        format!("//{authority}/canary"),
        format!("http://user:password@{authority}/canary#x"),
        format!("\\\\{authority}\\canary"),
    ]
}

/// Members in which a client might name an address, whatever the operation knows.
const MEMBERS: [&str; 14] = [
    "url",
    "avatar",
    "avatar_url",
    "photo",
    "picture",
    "image",
    "file",
    "callback",
    "redirect_uri",
    "webhook",
    "jku",
    "x5u",
    "logo",
    "uri",
];

/// Each member of a body with the place's URL, and some members that there might be with every form of it.
fn tries(body: Option<&Value>, url: &str) -> Vec<(String, String)> {
    let Some(body) = body.and_then(Value::as_object) else { return Vec::new() };
    let plain = baits(url).swap_remove(0);
    let known = body.keys().map(|name| (name.clone(), plain.clone()));
    let more =
        MEMBERS.into_iter().flat_map(|name| baits(url).into_iter().map(move |bait| (name.to_owned(), bait)));
    known.chain(more.filter(|(name, bait)| name == "url" || *bait == plain)).collect()
}

/// Puts the place's URL into every member and header of a request to every operation.
async fn bait(client: &Client, url: &str) {
    let world = World::on(client).await;
    let headers = [
        "host",
        "origin",
        "referer",
        "forwarded",
        "x-forwarded-host",
        "x-forwarded-for",
        "x-original-url",
        "x-rewrite-url",
        "x-http-destinationurl",
        "location",
        "link",
        "from",
        "contact",
        "true-client-ip",
    ];
    for route in ROUTES.iter().filter(|route| !route.operation.starts_with("log_out")) {
        for caller in [&world.stranger.client, &world.admin.client] {
            for (name, bait) in tries(world.body(route.operation).as_ref(), url) {
                let mut body = world.body(route.operation).unwrap_or_else(|| json!({}));
                body[&name] = json!(bait);
                let request = caller.request(route.method.clone(), &world.path(route), Some(&body));
                let answer = client.host().send(request).await;
                assert_ne!(answer.status, 500, "{}: {body}", route.operation);
            }
            let mut request = world.request(route, caller);
            if route.method == http::Method::GET {
                for name in headers {
                    let value = if name == "host" { url.trim_start_matches("http://") } else { url };
                    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
                }
                let path = format!("{}?url={url}&next={url}&cursor={url}", world.path(route));
                *request.uri_mut() = path.replace("?expires", "&expires").parse().unwrap_or_default();
                let answer = client.host().send(request).await;
                assert_ne!(answer.status, 500, "{}", route.operation);
            }
        }
    }
}

#[tokio::test]
async fn only_google_and_the_list_of_leaks_are_asked() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&asked);
    let lab = Arc::new(Lab::with(LabOptions {
        variables: vec![("GOOGLE_CLIENT_ID", "ours".to_owned()), ("HIBP", "on".to_owned())],
        ports: Some(Box::new(move |ports| {
            ports.http = Arc::new(MemoryHttpClient::new(move |request| {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(request.uri().to_string());
                // Wherever it leads, nobody goes there.
                let moved = Response::builder().status(302).header("location", "http://127.0.0.1:1/canary");
                moved.body(Bytes::new()).map_err(|error| HttpError(error.to_string()))
            }));
        })),
        keys: None,
    }));
    let client = lab.client();
    bait(&client, "http://127.0.0.1:1").await;
    let jku = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngiLCJqa3UiOiJodHRwOi8vMTI3LjAuMC4xOjEvY2FuYXJ5In0.e30.AAAA";
    let refused = client.post("/v1/sessions/google", json!({ "credential": jku })).await;
    assert!(matches!(refused.status, 401 | 503), "{}", refused.text());
    let mut urls = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(urls.len() > 2, "{urls:?}");
    urls.sort();
    urls.dedup();
    for url in urls {
        let range = url.strip_prefix("https://api.pwnedpasswords.com/range/");
        let is_range =
            range.is_some_and(|digits| digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(is_range || url == "https://www.googleapis.com/oauth2/v3/certs", "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_url_that_a_client_names_is_fetched_by_the_native_host() {
    let trap = Trap::silent().await;
    bait(&Client::new(Arc::new(NativeHost::start().await)), &trap.url).await;
    assert_eq!(trap.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_url_that_a_client_names_is_fetched_by_the_edge() {
    let trap = Trap::silent().await;
    bait(&Client::new(Arc::new(EdgeHost::start().await)), &trap.url).await;
    assert_eq!(trap.asked(), [""; 0]);
    // The trap does work.
    let _answer =
        portico_tests::emulators::send(http::Request::get(&trap.url).body(Bytes::new()).unwrap()).await;
    assert_eq!(trap.asked().len(), 1);
}

/// The mail relay's answers, which the operator trusts with mail and with no more.
#[tokio::test(flavor = "multi_thread")]
async fn the_edge_follows_no_redirect_and_reads_no_endless_answer_of_the_mail_relay() {
    let elsewhere = Trap::silent().await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nLocation: {}/canary\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            elsewhere.url
        );
        let relay = Trap::start(answer, 1).await;
        let host = EdgeHost::start_on(&Arc::new(Emulators::start()), &[("MAIL_RELAY_URL", &relay.url)]).await;
        let client = Client::new(Arc::new(host));
        client.register("ada").await;
        await_asked(&relay).await;
    }
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
    let relay = Trap::start(format!("{head}{}", "x".repeat(64 * 1024)), 1024).await;
    let host = EdgeHost::start_on(&Arc::new(Emulators::start()), &[("MAIL_RELAY_URL", &relay.url)]).await;
    let client = Client::new(Arc::new(host));
    client.register("ada").await;
    await_asked(&relay).await;
    client.register("bob").await;
    assert_eq!(elsewhere.asked(), [""; 0]);
}

async fn await_asked(trap: &Trap) {
    for _ in 0..400 {
        if !trap.asked().is_empty() {
            // Whoever followed would have by then.
            tokio::time::sleep(Duration::from_millis(300)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nobody was asked");
}

/// Neither adapter of DynamoDB, the SDK's and the signed requests', goes where an answer points, nor takes a bomb in XML
/// or JSON for one.
#[tokio::test(flavor = "multi_thread")]
async fn no_adapter_of_aws_follows_a_redirect() {
    use portico::clock::SystemClock;
    use portico::entropy::SystemEntropy;
    use portico::store::dynamo::SdkClient;
    use portico_core::dynamo::client::DynamoClient;
    use portico_core::dynamo::names::TableNames;
    use portico_core::dynamo::store::DynamoStore;
    use portico_core::ports::store::{Key, Store};
    use portico_core::schema::USERS;

    let elsewhere = Trap::silent().await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}/canary\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        elsewhere.url
    );
    let trap = Trap::start(answer, 1).await;
    let mut settings = Emulators::start().settings();
    settings.endpoint_url = Some(trap.url.clone());
    let sdk = SdkClient::new(&portico::aws::connect(&settings).await);
    let fetch = portico_edge::aws::dynamo::FetchClient::new(account(&settings, Arc::new(SystemClock)));
    let clients: [Arc<dyn DynamoClient>; 2] = [Arc::new(sdk), Arc::new(fetch)];
    for client in clients {
        let store =
            DynamoStore::new(client, Arc::new(SystemClock), Arc::new(SystemEntropy), TableNames::default());
        let read = tokio::time::timeout(Duration::from_secs(20), store.get(&Key::new(&USERS, "x"))).await;
        assert!(read.expect("an answer in time").is_err());
    }
    assert!(trap.asked().len() >= 2, "{:?}", trap.asked());
    assert_eq!(elsewhere.asked(), [""; 0]);
}
