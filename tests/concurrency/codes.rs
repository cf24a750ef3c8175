//! Codes: however many guess at once, and however often a new code is sent meanwhile, five guesses are compared; and a right
//! one is accepted once.

use futures::FutureExt;
use portico_core::ports::store::Key;
use portico_core::schema::USER_VERIFICATIONS;
use portico_tests::client::{Answer, Client, User};
use portico_tests::hosts::Host;
use serde_json::{Value, json};

use crate::stage::{Scenario, Stage};

pub(crate) const GUESSES: Scenario = Scenario {
    name: "at most five guesses are compared",
    seeds: 300,
    variables: &[],
    play: |stage| guesses(stage).boxed(),
};

pub(crate) const RIGHT: Scenario = Scenario {
    name: "a right code is accepted once",
    seeds: 200,
    variables: &[],
    play: |stage| right(stage).boxed(),
};

/// How many guesses a code survives.
const MOST: u64 = 5;

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Email,
    Phone,
    Recovery,
}

impl Purpose {
    const EACH: [Self; 3] = [Self::Email, Self::Phone, Self::Recovery];

    fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Recovery => "recovery",
        }
    }

    /// Asks for a code.
    async fn request(self, user: &User) -> Answer {
        match self {
            Self::Email => user.client.post_empty("/v1/confirm-email/request").await,
            Self::Phone => user.client.post_empty("/v1/confirm-phone/request").await,
            Self::Recovery => {
                let body = json!({ "email": user.email() });
                user.client.post("/v1/password-recovery/request", body).await
            }
        }
    }

    /// Enters a code; each caller recovers with a password of its own.
    async fn enter(self, user: &User, code: &str, caller: usize) -> Answer {
        match self {
            Self::Email => {
                user.client.post("/v1/confirm-email/validate-code", json!({ "token": code })).await
            }
            Self::Phone => user.client.post("/v1/confirm-phone/validate-code", json!({ "otp": code })).await,
            Self::Recovery => {
                let body = json!({ "email": user.email(), "otp": code, "new_password": chosen(caller) });
                user.client.post("/v1/password-recovery/validate-code", body).await
            }
        }
    }

    /// A code of the right form, most likely wrong.
    fn wrong(self, caller: usize) -> String {
        let length = if self == Self::Email { 32 } else { 6 };
        format!("{caller:02}").replace('0', "X").replace('1', "Y").repeat(length / 2)
    }
}

fn chosen(caller: usize) -> String {
    format!("the horse of caller {caller}")
}

/// A user to whom a code was sent, and the code.
async fn sent(stage: &Stage, purpose: Purpose) -> (User, String) {
    let user = stage.client().register(&stage.name("ada")).await;
    let phone = format!("+4915112{:06}", stage.number % 1_000_000);
    if purpose == Purpose::Phone {
        user.client.put("/v1/users/me", json!({ "phone": phone })).await.expect(200);
    }
    if purpose != Purpose::Email {
        // That one is sent at registration.
        purpose.request(&user).await.expect(200);
    }
    let to = if purpose == Purpose::Phone { phone } else { user.email() };
    let messages = stage.lab.messages().await;
    let newest = messages.into_iter().rfind(|message| message.to == to).expect("a message");
    (user, newest.code())
}

async fn verification(stage: &Stage, user: &User, purpose: Purpose) -> Value {
    stage.row(Key::with_range(&USER_VERIFICATIONS, &user.id, purpose.name())).await
}

async fn guesses(stage: &Stage) {
    let mut chance = stage.chance();
    let purpose = *chance.of_these(&Purpose::EACH);
    let (user, _) = sent(stage, purpose).await;
    // Few enough that the time in which guesses are counted together does not pass.
    let mut new_codes = 6;
    let racers = (0..stage.callers()).map(|caller| {
        // A new code voids the old one, but brings no new guesses.
        let asks_again = new_codes > 0 && chance.one_in(6);
        new_codes -= usize::from(asks_again);
        let (user, history, clock) = (user.clone(), stage.history.clone(), stage.lab.clock.clone());
        async move {
            if asks_again {
                clock.advance(61);
                let (answer, _) =
                    history.ask(format!("{caller} asks for a code"), purpose.request(&user)).await;
                assert!(matches!(answer.status, 200 | 429 | 503), "{}", answer.text());
                return None;
            }
            let code = purpose.wrong(caller);
            let guess = purpose.enter(&user, &code, caller);
            Some(history.ask(format!("{caller} guesses"), guess).await.0)
        }
        .boxed()
    });
    let answers: Vec<_> = stage.race(racers.collect()).await.into_iter().flatten().collect();
    let compared = answers.iter().filter(|answer| answer.code() == "invalid_code").count() as u64;
    let counted = verification(stage, &user, purpose).await["attempts"].as_u64().expect("a count");
    assert!(counted <= MOST, "{counted} guesses are on record");
    if purpose == Purpose::Recovery {
        // The answer does not tell whether it was compared.
        assert_eq!(compared, answers.len() as u64);
    } else {
        assert!(compared <= MOST, "{compared} guesses were compared");
        assert_eq!(compared, counted, "not every guess was counted");
        let exhausted = answers.iter().filter(|answer| answer.code() == "too_many_attempts").count() as u64;
        assert_eq!(compared + exhausted, answers.len() as u64);
    }
    assert!(answers.len() < 10 || counted == MOST, "{counted} of {} were counted", answers.len());
    assert_spent(stage, &user, purpose, counted).await;
}

/// After five guesses the right code, even a new one, is as good as a wrong one.
async fn assert_spent(stage: &Stage, user: &User, purpose: Purpose, counted: u64) {
    if counted < MOST {
        return;
    }
    let newest = stage.lab.messages().await.pop().expect("a message").code();
    let answer = purpose.enter(user, &newest, 0).await;
    assert!(matches!(answer.status, 401 | 429), "{}", answer.text());
}

async fn right(stage: &Stage) {
    let mut chance = stage.chance();
    let purpose = *chance.of_these(&Purpose::EACH);
    let (user, code) = sent(stage, purpose).await;
    let wrong = if chance.one_in(2) { 0 } else { 1 + chance.below(4) };
    let racers = (0..stage.callers()).map(|caller| {
        let entered = if caller < wrong { purpose.wrong(caller) } else { code.clone() };
        let (user, history) = (user.clone(), stage.history.clone());
        async move {
            let what =
                format!("{caller} enters {}", if caller < wrong { "a wrong code" } else { "the code" });
            history.ask(what, purpose.enter(&user, &entered, caller)).await.0
        }
        .boxed()
    });
    let answers = stage.race(racers.collect()).await;
    let accepted: Vec<usize> = (0..answers.len()).filter(|caller| answers[*caller].status == 200).collect();
    assert!(accepted.iter().all(|caller| *caller >= wrong), "a wrong code was accepted");
    assert!(accepted.len() <= 1, "accepted {} times", accepted.len());
    assert!(wrong > 0 || accepted.len() == 1, "the right code was refused");
    let refusals = ["invalid_code", "too_many_attempts", "already_confirmed"];
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert!(refusals.contains(&answer.code().as_str()), "{}", answer.text());
    }
    if purpose == Purpose::Recovery {
        assert_only_password(&user.client, &user.username, &accepted).await;
    }
}

/// Nobody's new password holds but the winner's.
async fn assert_only_password(client: &Client, username: &str, accepted: &[usize]) {
    for caller in 4..8 {
        let body = json!({ "username": username, "password": chosen(caller) });
        let answer = client.post("/v1/sessions/login", body).await;
        assert_eq!(answer.status, if accepted == [caller] { 200 } else { 401 }, "{}", answer.text());
    }
}
