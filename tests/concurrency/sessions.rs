//! Refresh tokens rotate once, and what ends a session ends it for everybody who races.

use std::collections::BTreeMap;

use futures::FutureExt;
use portico_core::ports::store::Key;
use portico_core::schema::SESSIONS;
use portico_tests::client::{Answer, Client, PASSWORD, User};
use serde_json::json;

use crate::history::Span;
use crate::stage::{Scenario, Stage};

pub(crate) const ROTATION: Scenario = Scenario {
    name: "of refreshes with one token, one rotates",
    seeds: 200,
    variables: &[],
    play: |stage| rotation(stage).boxed(),
};

pub(crate) const CHAINS: Scenario = Scenario {
    name: "chains of refresh tokens never fork",
    seeds: 200,
    variables: &[],
    play: |stage| chains(stage).boxed(),
};

pub(crate) const ENDINGS: Scenario = Scenario {
    name: "no token of an ended session works",
    seeds: 300,
    variables: &[],
    play: |stage| endings(stage).boxed(),
};

pub(crate) const PASSWORDS: Scenario = Scenario {
    name: "of changes of a password, one wins",
    seeds: 100,
    variables: &[],
    play: |stage| passwords(stage).boxed(),
};

const NEW_PASSWORD: &str = "another horse battery";

fn token(answer: &Answer) -> String {
    answer.json()["refresh_token"].as_str().expect("a refresh token").to_owned()
}

/// Which token of its session it is.
fn counter(token: &str) -> u64 {
    token.split('.').nth(2).and_then(|text| text.parse().ok()).expect("a counter")
}

async fn refresh(client: &Client, token: &str) -> Answer {
    client.with_token(None).post("/v1/sessions/refresh", json!({ "refresh_token": token })).await
}

async fn sign_in(client: &Client, username: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    client.with_token(None).post("/v1/sessions/login", body).await
}

async fn rotation(stage: &Stage) {
    let user = stage.client().register(&stage.name("ada")).await;
    let session = Key::new(&SESSIONS, &user.session_id);
    let before = stage.scheduler.puts(&session);
    let racers = (0..stage.callers()).map(|caller| {
        let (client, presented, history) =
            (stage.client(), user.refresh_token.clone(), stage.history.clone());
        async move { history.ask(format!("{caller} refreshes"), refresh(&client, &presented)).await.0 }
            .boxed()
    });
    let answers = stage.race(racers.collect()).await;
    let given: Vec<_> = answers.into_iter().map(|answer| token(&answer.expect(200))).collect();
    assert!(given.iter().all(|token| *token == given[0]), "several successors: {given:?}");
    assert_eq!((counter(&user.refresh_token), counter(&given[0])), (1, 2));
    assert_eq!(stage.row(session.clone()).await["refresh_counter"], 2);
    assert_eq!(stage.scheduler.puts(&session) - before, 1, "more than one rotated");
    refresh(&stage.client(), &given[0]).await.expect(200);
}

/// Each caller goes on from the token that it was given last, as the tabs of a browser do.
async fn chains(stage: &Stage) {
    let mut chance = stage.chance();
    let user = stage.client().register(&stage.name("ada")).await;
    let racers = (0..stage.callers()).map(|caller| {
        let rounds = 1 + chance.below(3);
        let (client, mut presented, history) =
            (stage.client(), user.refresh_token.clone(), stage.history.clone());
        async move {
            let mut given = Vec::new();
            for _ in 0..rounds {
                let what = format!("{caller} refreshes with {}", counter(&presented));
                let (answer, _) = history.ask(what, refresh(&client, &presented)).await;
                if matches!(answer.status, 401 | 503) {
                    return (given, answer.status == 401);
                }
                presented = token(&answer.expect(200));
                given.push(presented.clone());
            }
            (given, false)
        }
        .boxed()
    });
    let outcomes = stage.race(racers.collect()).await;
    let was_refused = outcomes.iter().any(|(_, refused)| *refused);
    let given: Vec<String> = outcomes.into_iter().flat_map(|(given, _)| given).collect();
    let mut by_counter = BTreeMap::new();
    for token in &given {
        let other = by_counter.insert(counter(token), token);
        assert!(other.is_none_or(|other| other == token), "the chain forks at {}", counter(token));
    }
    let last = *by_counter.keys().next_back().unwrap_or(&1);
    assert!(by_counter.keys().copied().eq(2..=last), "a token was skipped: {by_counter:?}");
    let session = stage.row(Key::new(&SESSIONS, &user.session_id)).await;
    if was_refused {
        // Somebody was two rotations behind, which is a replay.
        assert_eq!(session["enable"], false);
        assert_ended(&stage.client(), &user.access_token, &given).await;
    } else {
        assert_eq!(session["refresh_counter"], last);
        let newest = by_counter.get(&last).map_or(user.refresh_token.as_str(), |token| token.as_str());
        refresh(&stage.client(), newest).await.expect(200);
    }
}

async fn assert_ended(client: &Client, access_token: &str, refresh_tokens: &[String]) {
    for token in refresh_tokens {
        refresh(client, token).await.expect_problem(401, "invalid_refresh_token");
    }
    let answer = client.with_token(Some(access_token)).get("/v1/sessions").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
}

/// What ends a session, as its owner's other session or an Admin asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    LogOut,
    Revoke,
    LogOutEverywhere,
    ChangePassword,
    ChangeEmail,
    Disable,
    Delete,
    DeleteDevice,
}

impl Ending {
    const EACH: [Self; 8] = [
        Self::LogOut,
        Self::Revoke,
        Self::LogOutEverywhere,
        Self::ChangePassword,
        Self::ChangeEmail,
        Self::Disable,
        Self::Delete,
        Self::DeleteDevice,
    ];

    async fn ask(self, victim: &User, other: &User, admin: &Client) -> Answer {
        match self {
            Self::LogOut => victim.client.post_empty("/v1/sessions/logout").await,
            Self::Revoke => other.client.delete(&format!("/v1/sessions/{}", victim.session_id)).await,
            Self::LogOutEverywhere => {
                other.client.post_empty("/v1/sessions/logout-all?keep_current=true").await
            }
            Self::ChangePassword => {
                let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
                other.client.post("/v1/users/me/password", body).await
            }
            Self::ChangeEmail => {
                let email = format!("new-{}", other.email());
                other.client.put("/v1/users/me", json!({ "email": email })).await
            }
            Self::Disable => admin.put(&other.path(), json!({ "enable": false })).await,
            Self::Delete => admin.delete(&other.path()).await,
            Self::DeleteDevice => other.client.delete(&format!("/v1/devices/{}", victim.device_id)).await,
        }
    }

    /// Whether it ends whatever session begins before it is done, and lets none begin afterwards.
    fn ends_all(self) -> bool {
        matches!(self, Self::ChangePassword | Self::Disable | Self::Delete)
    }
}

/// What a caller of the race got.
enum Outcome {
    Ended(Ending, Answer, Span),
    Refreshed(Vec<String>),
    SignedIn(Answer, Span),
}

async fn endings(stage: &Stage) {
    let mut chance = stage.chance();
    let admin = stage.client().admin(&stage.name("admin")).await.client;
    let victim = stage.client().register(&stage.name("ada")).await;
    let other = stage.client().sign_in(&stage.name("ada")).await;
    let ending = *chance.of_these(&Ending::EACH);
    let racers = (0..stage.callers()).map(|caller| {
        let rounds = 1 + chance.below(3);
        let signs_in = caller % 4 == 1;
        let (victim, other, admin, history) =
            (victim.clone(), other.clone(), admin.clone(), stage.history.clone());
        async move {
            if caller == 0 {
                let asked = ending.ask(&victim, &other, &admin);
                let (answer, span) = history.ask(format!("{ending:?}"), asked).await;
                return Outcome::Ended(ending, answer, span);
            }
            if signs_in {
                let asked = sign_in(&admin, &victim.username, PASSWORD);
                let (answer, span) = history.ask(format!("{caller} signs in"), asked).await;
                return Outcome::SignedIn(answer, span);
            }
            let mut given = vec![victim.refresh_token.clone()];
            for _ in 0..rounds {
                let presented = given.last().expect("a token").clone();
                let what = format!("{caller} refreshes with {}", counter(&presented));
                let (answer, _) = history.ask(what, refresh(&admin, &presented)).await;
                if answer.status != 200 {
                    assert!(matches!(answer.status, 401 | 503), "{}", answer.text());
                    break;
                }
                given.push(token(&answer));
            }
            Outcome::Refreshed(given)
        }
        .boxed()
    });
    let outcomes = stage.race(racers.collect()).await;
    judge_ending(stage, &victim, outcomes).await;
}

async fn judge_ending(stage: &Stage, victim: &User, outcomes: Vec<Outcome>) {
    let (mut refresh_tokens, mut signed_in, mut ended) = (Vec::new(), Vec::new(), None);
    for outcome in outcomes {
        match outcome {
            Outcome::Ended(ending, answer, span) => ended = Some((ending, answer, span)),
            Outcome::Refreshed(given) => refresh_tokens.extend(given),
            Outcome::SignedIn(answer, span) => signed_in.push((answer, span)),
        }
    }
    refresh_tokens.sort();
    refresh_tokens.dedup();
    let (ending, answer, done) = ended.expect("somebody ends it");
    let is_replayed = ending == Ending::LogOut && answer.status == 401;
    if answer.status != 200 && !is_replayed {
        let passing = matches!(answer.status, 409 | 503);
        assert!(passing, "{ending:?}: {}", answer.text());
        return;
    }
    if stage.lags() {
        stage.later().await;
    }
    assert_ended(&stage.client(), &victim.access_token, &refresh_tokens).await;
    for (answer, span) in signed_in.iter().filter(|(answer, _)| answer.status == 200) {
        assert!(!(ending.ends_all() && done.precedes(*span)), "somebody signed in after {ending:?}");
        let began_before = ending == Ending::LogOutEverywhere && span.precedes(done);
        if ending.ends_all() || began_before {
            let access_token = answer.json()["access_token"].as_str().expect("a token").to_owned();
            assert_ended(&stage.client(), &access_token, &[token(answer)]).await;
        }
    }
}

async fn passwords(stage: &Stage) {
    let username = stage.name("ada");
    let first = stage.client().register(&username).await;
    let mut sessions = vec![first];
    for _ in 0..2 {
        sessions.push(stage.client().sign_in(&username).await);
    }
    let racers = (0..8).map(|caller| {
        let (user, history) = (sessions[caller % sessions.len()].clone(), stage.history.clone());
        async move {
            let body = json!({ "current_password": PASSWORD, "new_password": chosen(caller) });
            let asked = user.client.post("/v1/users/me/password", body);
            let (answer, _) = history.ask(format!("{caller} changes the password"), asked).await;
            (caller, answer)
        }
        .boxed()
    });
    let outcomes = stage.race(racers.collect()).await;
    let winners: Vec<usize> =
        outcomes.iter().filter(|(_, answer)| answer.status == 200).map(|(caller, _)| *caller).collect();
    assert_eq!(winners.len(), 1, "{winners:?} changed the same password");
    for (_, answer) in outcomes.iter().filter(|(_, answer)| answer.status != 200) {
        let code = answer.code();
        let lost = ["conflict", "wrong_password", "session_ended", "invalid_token"];
        assert!(lost.contains(&code.as_str()), "{}", answer.text());
    }
    // First with the right one, which forgets the failures so far.
    sign_in(&stage.client(), &username, &chosen(winners[0])).await.expect(200);
    sign_in(&stage.client(), &username, PASSWORD).await.expect(401);
    for loser in (0..8).filter(|caller| winners != [*caller]) {
        sign_in(&stage.client(), &username, &chosen(loser)).await.expect(401);
    }
}

fn chosen(caller: usize) -> String {
    format!("the horse of caller {caller}")
}
