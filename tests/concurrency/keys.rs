//! An idempotency key, sent by many at once, does the thing once.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderValue, Method, Request};
use portico_tests::client::{Client, registration};
use serde_json::{Value, json};

use crate::stage::{Scenario, Stage};

pub(crate) const ONCE: Scenario = Scenario {
    name: "a key does a thing once",
    seeds: 150,
    variables: &[],
    play: |stage| once(stage).boxed(),
};

fn keyed(client: &Client, path: &str, body: &Value) -> Request<Bytes> {
    let mut request = client.request(Method::POST, path, Some(body));
    request.headers_mut().insert("idempotency-key", HeaderValue::from_static("the-key-of-this-request"));
    request
}

async fn once(stage: &Stage) {
    let mut chance = stage.chance();
    let admin = stage.client().admin(&stage.name("admin")).await;
    let description = stage.name("status ");
    let things = [
        ("/v1/users", registration(&stage.name("ada"))),
        ("/v1/statuses", json!({ "description": description })),
        ("/v1/notifications", json!({ "user_id": admin.id, "message": "once" })),
    ];
    let (path, body) = chance.of_these(&things).clone();
    // A public route's key is its address's, which on shared tables another stage used as well.
    let client = if path == "/v1/users" { stage.client() } else { admin.client.clone() };
    stage.lab.move_to(
        std::net::Ipv4Addr::from(u32::try_from(stage.number % 65536).expect("small") + 0x0a00_0000).into(),
    );
    let callers = if chance.one_in(4) { 64 } else { stage.callers() };
    let racers = (0..callers).map(|caller| {
        let (client, body, history) = (client.clone(), body.clone(), stage.history.clone());
        async move {
            let asked = client.send(keyed(&client, path, &body));
            history.ask(format!("{caller} posts to {path}"), asked).await.0
        }
        .boxed()
    });
    let answers = stage.race(racers.collect()).await;
    let first = answers
        .iter()
        .filter(|answer| answer.status == 201 && answer.header("idempotency-replayed").is_none());
    assert_eq!(first.count(), 1, "it was done by several, or by nobody");
    let given: BTreeSet<String> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.text()).collect();
    assert_eq!(given.len(), 1, "{given:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((answer.status, answer.code().as_str()), (409, "request_in_flight"), "{}", answer.text());
    }
    stage.catch_up();
    let again = client.send(keyed(&client, path, &body)).await.expect(201);
    assert!(given.contains(&again.text()), "{}", again.text());
    match path {
        "/v1/statuses" => {
            let listed = admin.client.get(path).await.expect(200).json();
            let made = listed.as_array().into_iter().flatten();
            assert_eq!(made.filter(|status| status["description"] == description.as_str()).count(), 1);
        }
        "/v1/notifications" => {
            let listed = admin.client.get(path).await.expect(200).json();
            assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        }
        _ => {}
    }
}
