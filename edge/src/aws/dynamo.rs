//! DynamoDB's JSON protocol over HTTP.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{Request, Uri};
use portico_core::dynamo::client::{Answer, DynamoClient, Failure};
use portico_core::dynamo::{json, request};

use super::account::Account;
use super::sign::Signer;

static TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The longest that one attempt may take, in milliseconds.
const ATTEMPT_MS: u64 = 3_000;

/// Sends each request of the store as one signed HTTP request.
#[derive(Debug)]
pub struct FetchClient {
    account: Account,
    signer: Signer,
    endpoint: String,
}

impl FetchClient {
    /// A client of the settings' region, or of the emulator that they name.
    #[must_use]
    pub fn new(account: Account) -> Self {
        let region = &account.settings.region;
        let (signer, endpoint) = (account.signer("dynamodb", region), account.endpoint("dynamodb", region));
        Self { account, signer, endpoint }
    }

    fn http_request(&self, request: &request::Request) -> Result<Request<Bytes>, Failure> {
        let unsent = |what: String| Failure::unanswered(what, false);
        let uri: Uri = self.endpoint.parse().map_err(|error| unsent(format!("no address: {error}")))?;
        let mut made = Request::post(uri)
            .header(CONTENT_TYPE, json::CONTENT_TYPE)
            .header(&TARGET, json::target(request))
            .body(Bytes::from(json::encode(request)?))
            .map_err(|error| unsent(error.to_string()))?;
        self.signer.sign(&mut made).map_err(|error| unsent(error.to_string()).caused_by(error))?;
        Ok(made)
    }
}

#[async_trait]
impl DynamoClient for FetchClient {
    async fn send(&self, request: &request::Request) -> Result<Answer, Failure> {
        let sent = self.account.http.send(self.http_request(request)?);
        let sent = match select(sent, self.account.clock.sleep(ATTEMPT_MS)).await {
            Either::Left((sent, _)) => sent,
            Either::Right(((), _)) => return Err(Failure::unanswered("no answer in time", true)),
        };
        let answer = sent.map_err(|error| Failure::unanswered(error.to_string(), true).caused_by(error))?;
        json::decode(request, answer.status().as_u16(), answer.body())
    }
}
