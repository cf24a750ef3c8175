//! What is counted is counted exactly: files and bytes of a user, SMS of a day, failed sign-ins of an account.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use portico_core::ports::store::Key;
use portico_core::schema::{COUNTERS, FILES};
use portico_tests::hosts::Host;
use serde_json::json;

use crate::stage::{Scenario, Stage};

const MOST_FILES: u64 = 6;
const MOST_BYTES: u64 = 1000;
const MOST_SMS: usize = 5;
/// Failures of one source that cost it nothing.
const FREE_FAILURES: u64 = 10;

pub(crate) const QUOTA: Scenario = Scenario {
    name: "uploads never pass the quota",
    seeds: 150,
    variables: &[("USER_QUOTA_FILES", "6"), ("USER_QUOTA_BYTES", "1000")],
    play: |stage| quota(stage).boxed(),
};

pub(crate) const SMS: Scenario = Scenario {
    name: "SMS never pass the daily limit",
    seeds: 100,
    variables: &[("SMS_DAILY_LIMIT", "5")],
    play: |stage| sms(stage).boxed(),
};

pub(crate) const FAILURES: Scenario = Scenario {
    name: "every failed sign-in is counted",
    seeds: 200,
    variables: &[],
    play: |stage| failures(stage).boxed(),
};

/// Callers upload, and some delete what they uploaded.
async fn quota(stage: &Stage) {
    let mut chance = stage.chance();
    let user = stage.client().register(&stage.name("ada")).await;
    let racers = (0..stage.callers()).map(|caller| {
        let size = 1 + chance.below(400);
        let deletes = chance.one_in(3);
        let (client, history) = (user.client.clone(), stage.history.clone());
        async move {
            let text = STANDARD.encode("x".repeat(size));
            let body = json!({ "file_name": format!("{caller}.txt"), "base64": text });
            let asked = client.post("/v1/files/base64", body);
            let (answer, _) = history.ask(format!("{caller} uploads {size} bytes"), asked).await;
            match answer.status {
                201 => {}
                413 | 503 => return None,
                _ => panic!("{}", answer.text()),
            }
            let id = answer.json()["id"].as_str().expect("an id").to_owned();
            if deletes {
                let path = format!("/v1/files/{id}");
                let asked = client.delete(&path);
                history.ask(format!("{caller} deletes its file"), asked).await.0.expect(200);
            }
            (!deletes).then_some((id, size as u64))
        }
        .boxed()
    });
    let kept: Vec<_> = stage.race(racers.collect()).await.into_iter().flatten().collect();
    // Deletions that others were in the way of are finished a little later.
    stage.later().await;
    let (files, bytes) = (kept.len() as u64, kept.iter().map(|(_, size)| size).sum::<u64>());
    assert!(files <= MOST_FILES && bytes <= MOST_BYTES, "{files} files with {bytes} bytes");
    let usage = stage.row(Key::new(&COUNTERS, format!("files-of#{}", user.id))).await;
    assert_eq!((&usage["files"], &usage["bytes"]), (&json!(files), &json!(bytes)), "{usage}");
    for (id, size) in &kept {
        let file = stage.row(Key::new(&FILES, id)).await;
        assert_eq!((&file["size"], &file["state"]), (&json!(size), &json!("ready")), "{file}");
        user.client.delete(&format!("/v1/files/{id}")).await.expect(200);
    }
    let usage = stage.row(Key::new(&COUNTERS, format!("files-of#{}", user.id))).await;
    assert_eq!((&usage["files"], &usage["bytes"]), (&json!(0), &json!(0)), "{usage}");
    assert_eq!(stage.lab.blobs.keys(), [], "bytes are left");
}

/// Every caller has an account and a number, and all take from one budget.
async fn sms(stage: &Stage) {
    // The budget of a day is everybody's: on tables that others used, the day is another.
    stage.lab.clock.advance(i64::try_from(stage.number % 1000).expect("a small number") * 24 * 60 * 60);
    let mut users = Vec::new();
    for n in 0..8 {
        let user = stage.client().register(&stage.name(&format!("user{n}x"))).await;
        let phone = format!("+4915112{:06}", (stage.number * 10 + n) % 1_000_000);
        user.client.put("/v1/users/me", json!({ "phone": phone })).await.expect(200);
        users.push(user);
    }
    // Twice each: of an account's own two requests one comes too soon.
    let racers = (0..16).map(|caller| {
        let (user, history) = (users[caller % users.len()].clone(), stage.history.clone());
        async move {
            let asked = user.client.post_empty("/v1/confirm-phone/request");
            history.ask(format!("{caller} asks for an SMS"), asked).await.0
        }
        .boxed()
    });
    let answers = stage.race(racers.collect()).await;
    let promised = answers.iter().filter(|answer| answer.status == 200).count();
    let contended = answers.iter().any(|answer| answer.code() == "busy");
    assert!(promised <= MOST_SMS, "{promised} SMS were promised");
    assert!(contended || promised == MOST_SMS, "{promised} SMS were promised");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let refusals = ["sms_budget_spent", "too_soon", "busy"];
        assert!(refusals.contains(&answer.code().as_str()), "{}", answer.text());
    }
    let sent = stage.lab.messages().await.into_iter().filter(|message| message.channel == "sms").count();
    assert_eq!(sent, promised, "SMS sent and promised");
    let day = portico_core::ports::clock::Clock::now(&*stage.lab.clock).date();
    let counted = stage.row(Key::new(&COUNTERS, format!("sms-day#{day}"))).await;
    assert_eq!(counted["count"], promised, "{counted}");
}

async fn failures(stage: &Stage) {
    let mut chance = stage.chance();
    let username = stage.name("ada");
    let user = stage.client().register(&username).await;
    let callers = stage.callers();
    let racers = (0..callers).map(|caller| {
        let name = if chance.one_in(3) { user.email() } else { username.to_uppercase() };
        let (client, history) = (stage.client(), stage.history.clone());
        async move {
            let body = json!({ "username": name, "password": format!("guess number {caller}") });
            let asked = client.post("/v1/sessions/login", body);
            history.ask(format!("{caller} guesses"), asked).await.0
        }
        .boxed()
    });
    let answers = stage.race(racers.collect()).await;
    let refused = answers.iter().filter(|answer| answer.status == 401).count() as u64;
    let limited = answers.iter().filter(|answer| answer.code() == "too_many_attempts").count() as u64;
    assert_eq!(refused + limited, answers.len() as u64);
    assert!(refused <= FREE_FAILURES, "{refused} guesses were let through");
    let counted = stage.row(Key::new(&COUNTERS, format!("sign-in-failures#{}", user.id))).await;
    assert_eq!(counted["consecutive"], refused, "{counted}");
    assert!(refused == FREE_FAILURES.min(callers as u64), "{refused} of {callers} were counted");
}
