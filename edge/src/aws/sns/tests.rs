use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use http::Response;
use portico_core::config::aws::{AwsCredentials, AwsSettings};
use portico_core::memory::clock::ManualClock;
use portico_core::memory::entropy::SeededEntropy;
use portico_core::memory::http_client::MemoryHttpClient;
use portico_core::secret::Secret;

use super::*;

type Requests = Arc<Mutex<Vec<http::Request<Bytes>>>>;

/// A client that always gets this answer.
fn client(status: u16, body: &'static str) -> (FetchClient, Requests) {
    let requests = Requests::default();
    let recorded = Arc::clone(&requests);
    let http = MemoryHttpClient::new(move |request| {
        recorded.lock().unwrap().push(request);
        Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
    });
    let settings = AwsSettings {
        region: "eu-central-1".to_owned(),
        endpoint_url: None,
        credentials: None,
        sns_region: "us-east-1".to_owned(),
        sns_sender_id: None,
    };
    let key = AwsCredentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Secret::new("canary"),
        session_token: None,
    };
    let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    (FetchClient::new(Account { settings, key, http: Arc::new(http), clock, entropy }), requests)
}

fn message() -> Publish {
    Publish {
        phone_number: "+15005550006".to_owned(),
        message: "Your code: 123456 & more".to_owned(),
        attributes: vec![("AWS.SNS.SMS.SMSType", "Transactional".to_owned())],
    }
}

const TAKEN: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>1\
                     </MessageId></PublishResult></PublishResponse>";

#[test]
fn a_message_is_a_signed_form() {
    let (client, requests) = client(200, TAKEN);
    block_on(client.publish(&message())).unwrap();
    let requests = requests.lock().unwrap();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.uri(), "https://sns.us-east-1.amazonaws.com/");
    let authorization = request.headers()["authorization"].to_str().unwrap();
    assert!(authorization.contains("/us-east-1/sns/aws4_request"), "{authorization}");
    assert_eq!(
        request.body(),
        "Action=Publish&Version=2010-03-31&PhoneNumber=%2B15005550006&Message=Your+code%3A+123456+%26+more&\
         MessageAttributes.entry.1.Name=AWS.SNS.SMS.SMSType&MessageAttributes.entry.1.Value.DataType=String&\
         MessageAttributes.entry.1.Value.StringValue=Transactional"
    );
    assert!(!format!("{client:?}").contains("canary"));
}

#[test]
fn a_refusal_is_told_with_its_code_and_not_repeated() {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>OptedOut</Code><Message>no</Message></Error>\
                   <RequestId>1</RequestId></ErrorResponse>";
    let (client, requests) = client(400, refusal);
    assert_eq!(block_on(client.publish(&message())).unwrap_err().to_string(), "OptedOut (400): no");
    assert_eq!(requests.lock().unwrap().len(), 1);
}
