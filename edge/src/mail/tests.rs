use std::sync::Mutex;

use futures::executor::block_on;
use http::Response;
use portico_core::memory::http_client::MemoryHttpClient;

use super::*;

fn mail() -> Mail {
    Mail {
        id: "01JZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(),
        to: "ada@example.com".to_owned(),
        subject: "Your code".to_owned(),
        text: "ABC234".to_owned(),
        html: "<p>ABC234</p>".to_owned(),
    }
}

fn settings(api: Api) -> MailSettings {
    MailSettings {
        api,
        url: "https://relay.example.com/messages".to_owned(),
        token: Secret::new("canary-token"),
        from: "Portico <noreply@example.com>".to_owned(),
    }
}

/// Sends a mail, and tells what was posted.
fn posted(api: Api) -> (Request<Bytes>, Value) {
    let seen = Arc::new(Mutex::new(None));
    let kept = seen.clone();
    let http = MemoryHttpClient::new(move |request| {
        *kept.lock().unwrap() = Some(request);
        Ok(Response::builder().status(202).body(Bytes::new()).unwrap())
    });
    block_on(HttpMailer::new(settings(api), Arc::new(http)).send(&mail())).unwrap();
    let request = seen.lock().unwrap().take().unwrap();
    let body = serde_json::from_slice(request.body()).unwrap();
    (request, body)
}

fn outcome(status: u16) -> Result<(), SendError> {
    let http =
        MemoryHttpClient::new(move |_| Ok(Response::builder().status(status).body(Bytes::new()).unwrap()));
    block_on(HttpMailer::new(settings(Api::Relay), Arc::new(http)).send(&mail()))
}

#[test]
fn a_relay_gets_the_message_and_its_id() {
    let (request, body) = posted(Api::Relay);
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/messages"));
    assert_eq!(request.headers()["authorization"], "Bearer canary-token");
    assert_eq!(request.headers()["idempotency-key"], mail().id.as_str());
    let wanted = json!({
        "from": "Portico <noreply@example.com>", "to": "ada@example.com", "subject": "Your code",
        "text": "ABC234", "html": "<p>ABC234</p>", "message_id": mail().id,
    });
    assert_eq!(body, wanted);
}

#[test]
fn resend_gets_a_list_of_recipients() {
    let (request, body) = posted(Api::Resend);
    assert_eq!(request.headers()["idempotency-key"], mail().id.as_str());
    assert_eq!(body["to"], json!(["ada@example.com"]));
    assert_eq!(body["headers"]["Auto-Submitted"], "auto-generated");
    assert!(body.get("message_id").is_none());
}

#[test]
fn only_a_refusal_of_the_message_is_final() {
    for status in [200, 202, 204] {
        outcome(status).unwrap();
    }
    for status in [400, 413, 422] {
        assert!(!outcome(status).unwrap_err().retry, "{status}");
    }
    for status in [301, 401, 403, 404, 405, 408, 409, 429, 500, 502, 503] {
        assert!(outcome(status).unwrap_err().retry, "{status}");
    }
    let unreachable = HttpMailer::new(settings(Api::Relay), Arc::new(MemoryHttpClient::unreachable()));
    assert!(block_on(unreachable.send(&mail())).unwrap_err().retry);
    assert!(!format!("{unreachable:?}").contains("canary"));
}

#[test]
fn a_token_that_fits_in_no_header_is_the_operators_to_mend() {
    let settings = MailSettings { token: Secret::new("two\nlines"), ..settings(Api::Relay) };
    let mailer = HttpMailer::new(settings, Arc::new(MemoryHttpClient::unreachable()));
    let error = block_on(mailer.send(&mail())).unwrap_err();
    assert!(
        error.retry && error.detail.contains("MAIL_RELAY_TOKEN") && !error.detail.contains("two"),
        "{error}"
    );
}
