//! One deployment served by two hosts, and what is done to both of them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request};
use portico_tests::client::{Client, User};
use portico_tests::edge::EdgeHost;
use portico_tests::emulators::Emulators;
use portico_tests::native::NativeHost;
use sha2::{Digest, Sha256};

pub const MIB: usize = 1024 * 1024;

/// Without these, each host may be some seconds behind the other.
const UP_TO_DATE: [(&str, &str); 2] = [("SESSION_CACHE_SECONDS", "0"), ("REFRESH_GRACE_SECONDS", "0")];

/// A Worker and a native server on the same tables, bucket and key; the mail of both is at the same place.
#[derive(Debug)]
pub struct Deployment {
    pub edge: Client,
    pub native: Client,
}

impl Deployment {
    pub async fn start() -> Self {
        let emulators = Arc::new(Emulators::start());
        let port = emulators.smtp_port().to_string();
        let mut variables = vec![("MAILER", "smtp"), ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", &port)];
        variables.extend(UP_TO_DATE);
        let native = NativeHost::start_on_emulators(&emulators, &variables).await;
        let edge = EdgeHost::start_on(&emulators, &UP_TO_DATE).await;
        Self { edge: Client::new(Arc::new(edge)), native: Client::new(Arc::new(native)) }
    }

    /// One host and the other, both ways round, each with a name for what is made there.
    pub fn both_ways(&self) -> [(&'static str, &Client, &Client); 2] {
        [("edge", &self.edge, &self.native), ("native", &self.native, &self.edge)]
    }

    /// Waits until so many mails have come to an address, whichever host sent them, and gives the code in the last.
    pub async fn code_in_mail(&self, to: &str, number: usize) -> String {
        self.edge.messages_to(to, number).await.pop().expect("a mail").code()
    }
}

/// The same user, talking to another host.
pub fn moved(user: &User, host: &Client) -> User {
    User { client: host.with_token(Some(&user.access_token)), ..user.clone() }
}

/// A request that uploads a file as a form.
pub fn upload_request(user: &User, name: &str, bytes: &[u8]) -> Request<Bytes> {
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let mut request = user.client.request(Method::POST, "/v1/files", None);
    let form = HeaderValue::from_static("multipart/form-data; boundary=edge");
    request.headers_mut().insert("content-type", form);
    *request.body_mut() = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat().into();
    request
}

/// Bytes that are alike nowhere.
pub fn noise(length: usize) -> Vec<u8> {
    let blocks = (0..length.div_ceil(32) as u64).map(|n| Sha256::digest(n.to_be_bytes()));
    let mut bytes: Vec<u8> = blocks.flat_map(<[u8; 32]>::from).collect();
    bytes.truncate(length);
    bytes
}

/// The SHA-256 as a file's `hash` shows it.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
