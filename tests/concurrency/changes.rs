//! Changes of different members of one thing: each that was acknowledged is there, unless a later one replaced it.
//!
//! Every answer shows the whole thing, so that the history is that of a register with several members, and must be
//! linearizable.

use futures::FutureExt;
use portico_tests::client::{Answer, Client};
use serde_json::{Value, json};

use crate::history::Span;
use crate::linearizability::is_linearizable;
use crate::stage::{Scenario, Stage};

pub(crate) const PROFILES: Scenario = Scenario {
    name: "no change of a profile is lost",
    seeds: 150,
    variables: &[],
    play: |stage| profiles(stage).boxed(),
};

pub(crate) const DEVICES: Scenario = Scenario {
    name: "no change of a device is lost",
    seeds: 100,
    variables: &[],
    play: |stage| devices(stage).boxed(),
};

pub(crate) const STATUSES: Scenario = Scenario {
    name: "no change of a status is lost",
    seeds: 100,
    variables: &[],
    play: |stage| statuses(stage).boxed(),
};

/// A thing as it is shown: its members in order, or that there is none.
type Shown = Option<Vec<String>>;

/// What was done to a thing, and what the answer showed.
#[derive(Debug)]
enum Operation {
    Show(Shown),
    Change {
        member: usize,
        value: String,
        shown: Shown,
    },
    Remove {
        was_there: bool,
    },
    /// Overtaken by others, without effect.
    Refused,
}

fn step(state: &Shown, operation: &Operation) -> Option<Shown> {
    match operation {
        Operation::Refused => Some(state.clone()),
        Operation::Show(shown) => (shown == state).then(|| state.clone()),
        Operation::Change { shown: None, .. } => state.is_none().then_some(None),
        Operation::Change { member, value, shown } => {
            let mut changed = state.clone()?;
            changed[*member].clone_from(value);
            (*shown == Some(changed)).then(|| shown.clone())
        }
        Operation::Remove { was_there } => (*was_there == state.is_some()).then_some(None),
    }
}

/// A thing that callers change.
#[derive(Clone)]
struct Thing {
    path: String,
    members: &'static [&'static str],
    /// Values of a member, by a number.
    value: fn(usize, usize) -> String,
    can_go: bool,
}

impl Thing {
    fn shown(&self, answer: &Answer) -> Shown {
        let body = answer.json();
        let text = |member: &&str| body[*member].as_str().unwrap_or_default().to_owned();
        (answer.status == 200).then(|| self.members.iter().map(text).collect())
    }

    async fn show(&self, client: &Client) -> Operation {
        let answer = client.get(&self.path).await;
        assert!(matches!(answer.status, 200 | 404), "{}", answer.text());
        Operation::Show(self.shown(&answer))
    }

    async fn change(&self, client: &Client, member: usize, value: String) -> Operation {
        let body =
            Value::Object([(self.members[member].to_owned(), value.clone().into())].into_iter().collect());
        let answer = client.put(&self.path, body).await;
        match answer.status {
            200 | 404 => Operation::Change { member, value, shown: self.shown(&answer) },
            409 => Operation::Refused,
            _ => panic!("{}", answer.text()),
        }
    }

    async fn remove(&self, client: &Client) -> Operation {
        let answer = client.delete(&self.path).await;
        match answer.status {
            200 | 404 => Operation::Remove { was_there: answer.status == 200 },
            409 => Operation::Refused,
            _ => panic!("{}", answer.text()),
        }
    }
}

async fn race_for(stage: &Stage, client: &Client, thing: Thing) {
    let mut chance = stage.chance();
    let before = thing.shown(&client.get(&thing.path).await.expect(200));
    let racers = (0..8 + chance.below(8)).map(|caller| {
        let member = chance.below(thing.members.len());
        let removes = thing.can_go && chance.one_in(12);
        let (thing, client, history) = (thing.clone(), client.clone(), stage.history.clone());
        async move {
            let mut operations: Vec<(Span, Operation)> = Vec::new();
            let value = (thing.value)(member, caller);
            operations.push(swap(history.timed(thing.change(&client, member, value)).await));
            let second = if removes {
                thing.remove(&client).left_future()
            } else {
                thing.show(&client).right_future()
            };
            operations.push(swap(history.timed(second).await));
            for (span, operation) in &operations {
                history.note(*span, format!("{caller}: {operation:?}"));
            }
            operations
        }
        .boxed()
    });
    let mut operations: Vec<_> = stage.race(racers.collect()).await.into_iter().flatten().collect();
    operations.push(swap(stage.history.timed(thing.show(client)).await));
    assert!(is_linearizable(before, &operations, step), "a change was lost");
}

fn swap((operation, span): (Operation, Span)) -> (Span, Operation) {
    (span, operation)
}

async fn profiles(stage: &Stage) {
    let user = stage.client().register(&stage.name("ada")).await;
    let value = |member: usize, caller: usize| match member {
        2 => format!("1990-01-{:02}", 1 + caller % 28),
        _ => format!("Name {member} of {caller}"),
    };
    let thing =
        Thing { path: user.path(), members: &["first_name", "last_name", "birthday"], value, can_go: false };
    race_for(stage, &user.client, thing).await;
}

async fn devices(stage: &Stage) {
    let user = stage.client().register(&stage.name("ada")).await;
    let value = |member: usize, caller: usize| match member {
        0 => format!("token {caller}"),
        _ => format!("01KHXB3VQ0T5R7Y9W1N2C4D6{:02}", caller % 100),
    };
    let path = format!("/v1/devices/{}", user.device_id);
    let thing = Thing { path, members: &["token", "app_version_id"], value, can_go: false };
    race_for(stage, &user.client, thing).await;
}

async fn statuses(stage: &Stage) {
    let admin = stage.client().admin(&stage.name("admin")).await.client;
    let created = admin.post("/v1/statuses", json!({ "description": "new" })).await.expect(201).json();
    let path = format!("/v1/statuses/{}", created["id"].as_str().expect("an id"));
    let value = |_: usize, caller: usize| format!("as {caller} would have it");
    let thing = Thing { path, members: &["description"], value, can_go: true };
    race_for(stage, &admin, thing).await;
}
