//! Notifications are read once, by whichever request is first, and none that was deleted comes back.

use std::collections::BTreeSet;

use futures::FutureExt;
use portico_core::ports::store::Key;
use portico_core::schema::NOTIFICATIONS;
use serde_json::{Value, json};

use crate::stage::{Scenario, Stage};

pub(crate) const READING: Scenario = Scenario {
    name: "notifications are read once",
    seeds: 150,
    variables: &[],
    play: |stage| reading(stage).boxed(),
};

/// What a caller did.
#[derive(Clone, Debug)]
enum Deed {
    ReadAll,
    Read(String),
    Delete(String),
}

async fn reading(stage: &Stage) {
    let mut chance = stage.chance();
    let admin = stage.client().admin(&stage.name("admin")).await.client;
    let user = stage.client().register(&stage.name("ada")).await;
    let count = 3 + chance.below(8);
    for n in 0..count {
        let body = json!({ "user_id": user.id, "message": format!("number {n}") });
        admin.post("/v1/notifications", body).await.expect(201);
    }
    stage.catch_up();
    let listed = user.client.get("/v1/notifications").await.expect(200).json();
    let listed = listed.as_array().expect("a list").iter();
    let ids: Vec<String> = listed.map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids.len(), count);
    let racers = (0..stage.callers()).map(|caller| {
        let one = chance.of_these(&ids).clone();
        let deed = match chance.below(5) {
            0 | 1 => Deed::ReadAll,
            2 | 3 => Deed::Read(one),
            _ => Deed::Delete(one),
        };
        let (client, history) = (user.client.clone(), stage.history.clone());
        async move {
            let asked = async {
                match &deed {
                    Deed::ReadAll => client.put("/v1/notifications/read-all", Value::Null).await,
                    Deed::Read(id) => client.put(&format!("/v1/notifications/{id}"), json!({})).await,
                    Deed::Delete(id) => client.delete(&format!("/v1/notifications/{id}")).await,
                }
            };
            let (answer, _) = history.ask(format!("{caller}: {deed:?}"), asked).await;
            (deed, answer)
        }
        .boxed()
    });
    let outcomes = stage.race(racers.collect()).await;
    let (mut read, mut deleted, mut counted) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (deed, answer) in &outcomes {
        match (deed, answer.status) {
            (Deed::ReadAll, 200) => counted += answer.json()["updated"].as_u64().expect("a count"),
            (Deed::Read(id), 200) => _ = read.insert(id),
            (Deed::Delete(id), 200) => _ = deleted.insert(id),
            (Deed::Read(_) | Deed::Delete(_), 404) | (_, 409) => {}
            (deed, _) => panic!("{deed:?}: {}", answer.text()),
        }
    }
    assert!(counted <= count as u64, "{counted} of {count} were read by reading all");
    let all_read =
        outcomes.iter().any(|(deed, answer)| matches!(deed, Deed::ReadAll) && answer.status == 200);
    for id in &ids {
        let row = stage.row(Key::new(&NOTIFICATIONS, id)).await;
        assert_eq!(row.is_null(), deleted.contains(id), "{id} was deleted or not: {row}");
        if !row.is_null() && (all_read || read.contains(id)) {
            assert_eq!((&row["readed"], row.get("unread_of")), (&json!(1), None), "{row}");
        }
    }
    if deleted.is_empty() && read.is_empty() && all_read {
        assert_eq!(counted, count as u64, "every notification is counted once");
    }
}
