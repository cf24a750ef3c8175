//! What is asked of the emulators themselves, under `/_`, unsigned.

use crate::answer::{self, Answer};
use crate::faults::Rule;
use crate::front::Front;
use crate::mail::Relayed;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

const MAX_BODY: usize = 1024 * 1024;

const PATHS: &str = "GET /_health\n\
                     GET, POST, DELETE /_faults\n\
                     GET, DELETE /_calls\n\
                     GET, POST, DELETE /_mail (?to=ADDRESS)\n\
                     GET /_mail/ca.pem\n\
                     GET, DELETE /_aws/sns/sms-messages (?phoneNumber=NUMBER)\n\
                     DELETE /_aws/dynamodb/expired\n";

/// One rule, or many.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<serde_json::Value>),
    One(serde_json::Value),
}

pub(crate) async fn answer(front: &Front, request: &Parts, body: Incoming) -> Answer {
    match (&request.method, request.uri.path()) {
        (&Method::GET, "/_health" | "/_localstack/health") => answer::json(StatusCode::OK, &front.addresses),
        (&Method::GET, "/_faults") => answer::json(StatusCode::OK, &front.faults.list()),
        (&Method::POST, "/_faults") => add_faults(front, body).await,
        (&Method::GET, "/_calls") => answer::json(StatusCode::OK, &front.calls.record()),
        (&Method::GET, "/_mail") => {
            answer::json(StatusCode::OK, &front.mailbox.list(parameter(request, "to").as_deref()))
        }
        (&Method::POST, "/_mail") => relay(front, request, body).await,
        (&Method::GET, "/_mail/ca.pem") => match &front.mail_authority {
            Some(authority) => answer::typed(StatusCode::OK, "application/x-pem-file", authority.clone()),
            None => {
                said(StatusCode::NOT_FOUND, "no TLS: start with --smtp-starttls-port or --smtp-tls-port\n")
            }
        },
        (&Method::GET, "/_aws/sns/sms-messages") => {
            answer::json(StatusCode::OK, &front.sns.shown(parameter(request, "phoneNumber").as_deref()))
        }
        (&Method::DELETE, "/_aws/dynamodb/expired") => match front.dynamodb.delete_expired().await {
            Ok(count) => answer::json(StatusCode::OK, &json!({ "ExpiredItems": count })),
            Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        },
        (&Method::DELETE, path) => clear(front, request, path),
        _ => said(StatusCode::NOT_FOUND, PATHS),
    }
}

fn clear(front: &Front, request: &Parts, path: &str) -> Answer {
    match path {
        "/_faults" => front.faults.clear(),
        "/_calls" => front.calls.clear(),
        "/_mail" => front.mailbox.clear(),
        "/_aws/sns/sms-messages" => front.sns.clear(parameter(request, "phoneNumber").as_deref()),
        _ => return said(StatusCode::NOT_FOUND, PATHS),
    }
    answer::empty(StatusCode::NO_CONTENT)
}

/// Takes a mail in as a mail relay would, whatever the token.
async fn relay(front: &Front, request: &Parts, body: Incoming) -> Answer {
    let token = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !token.is_some_and(|token| token.starts_with("Bearer ")) {
        return said(StatusCode::UNAUTHORIZED, "a bearer token is missing\n");
    }
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "mails of 1 MiB at most\n");
    };
    match serde_json::from_slice::<Relayed>(&body.to_bytes()) {
        Ok(mail) => {
            front.mailbox.relay(mail);
            answer::empty(StatusCode::ACCEPTED)
        }
        Err(error) => said(StatusCode::UNPROCESSABLE_ENTITY, &format!("not a mail: {error}\n")),
    }
}

async fn add_faults(front: &Front, body: Incoming) -> Answer {
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "rules of 1 MiB at most\n");
    };
    let rules = match serde_json::from_slice(&body.to_bytes()) {
        Ok(Rules::Many(rules)) => rules,
        Ok(Rules::One(rule)) => vec![rule],
        Err(error) => return said(StatusCode::BAD_REQUEST, &format!("not JSON: {error}\n")),
    };
    for rule in rules {
        let rule: Result<Rule, String> = serde_json::from_value(rule).map_err(|error| error.to_string());
        if let Err(reason) = rule.and_then(|rule| front.faults.add(rule)) {
            return said(StatusCode::BAD_REQUEST, &format!("{reason}\n"));
        }
    }
    answer::json(StatusCode::CREATED, &front.faults.list())
}

fn parameter(request: &Parts, name: &str) -> Option<String> {
    let query = request.uri.query()?.as_bytes();
    form_urlencoded::parse(query).find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
}

fn said(status: StatusCode, text: &str) -> Answer {
    answer::typed(status, "text/plain", text.to_owned())
}
