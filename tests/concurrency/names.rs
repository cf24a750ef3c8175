//! Usernames and addresses belong to one account at a time, whoever else wants them at the same moment.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use portico_core::ports::store::Key;
use portico_core::schema::USERS;
use portico_tests::client::{Answer, Client, registration};
use serde_json::{Value, json};

use crate::history::Span;
use crate::stage::{Scenario, Stage};
use portico_tests::chance::Chance;

pub(crate) const REGISTRATIONS: Scenario = Scenario {
    name: "of registrations of one name, one succeeds",
    seeds: 250,
    variables: &[],
    play: |stage| registrations(stage).boxed(),
};

pub(crate) const CHANGES: Scenario = Scenario {
    name: "names that come free are taken once",
    seeds: 300,
    variables: &[],
    play: |stage| changes(stage).boxed(),
};

/// A registration, what came of it and when.
struct Attempt {
    username: String,
    email: String,
    answer: Answer,
    span: Span,
}

async fn registrations(stage: &Stage) {
    let (mut chance, callers) = (stage.chance(), stage.callers());
    let names = 1 + callers / 4;
    // Both overlap, or one of them.
    let (usernames, emails) = *chance.of_these(&[(names, callers), (callers, names), (names, names)]);
    let wanted: Vec<_> = (0..callers)
        .map(|caller| {
            let of = |chance: &mut Chance, bound| if bound == callers { caller } else { chance.below(bound) };
            let username = stage.name(&format!("user{}x", of(&mut chance, usernames)));
            let email = stage.name(&format!("mail{}x", of(&mut chance, emails)));
            (typed(&mut chance, &username), typed(&mut chance, &format!("{email}@example.com")))
        })
        .collect();
    let racers = wanted.into_iter().enumerate().map(|(caller, (username, email))| {
        let (client, history) = (stage.client(), stage.history.clone());
        async move {
            let request = register(&client, &username, &email);
            let (answer, span) =
                history.ask(format!("{caller} registers {username}, {email}"), request).await;
            let (username, email) = (username.to_lowercase(), email.to_lowercase());
            Attempt { username, email, answer, span }
        }
        .boxed()
    });
    let attempts = stage.race(racers.collect()).await;
    judge(&attempts, "username_taken", |attempt| &attempt.username);
    judge(&attempts, "email_taken", |attempt| &attempt.email);
    let made = attempts.iter().filter_map(|attempt| id_of(&attempt.answer)).collect();
    let names = attempts.iter().flat_map(|attempt| claims(&attempt.username, &attempt.email)).collect();
    assert_claims_agree(stage, made, names).await;
}

/// A name as somebody types it.
fn typed(chance: &mut Chance, name: &str) -> String {
    let cased = |letter: char| if chance.one_in(3) { letter.to_ascii_uppercase() } else { letter };
    name.chars().map(cased).collect()
}

async fn register(client: &Client, username: &str, email: &str) -> Answer {
    let mut body = registration(username);
    body["email"] = email.into();
    client.post("/v1/users", body).await
}

/// Nobody has a name that another has, and who was told that it is taken came too late for it.
fn judge(attempts: &[Attempt], code: &str, name: impl Fn(&Attempt) -> &String) {
    let mut owners = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.answer.status == 201) {
        let other = owners.insert(name(attempt), attempt.span);
        assert_eq!(other, None, "{} was registered twice", name(attempt));
    }
    for attempt in attempts.iter().filter(|attempt| attempt.answer.status != 201) {
        assert_eq!(attempt.answer.status, 409, "{}", attempt.answer.text());
        if attempt.answer.code() == code {
            let owner = owners.get(name(attempt)).unwrap_or_else(|| panic!("nobody has {}", name(attempt)));
            assert!(!attempt.span.precedes(*owner), "{} was not taken yet", name(attempt));
        } else {
            let codes = ["username_taken", "email_taken"];
            assert!(codes.contains(&attempt.answer.code().as_str()), "{}", attempt.answer.text());
        }
    }
}

fn id_of(answer: &Answer) -> Option<String> {
    answer.json()["user"]["id"].as_str().map(str::to_owned)
}

fn claims(username: &str, email: &str) -> [String; 2] {
    [format!("username#{username}"), format!("email#{email}")]
}

/// Every name belongs to whoever's record has it, and no other name to anybody.
async fn assert_claims_agree(stage: &Stage, user_ids: Vec<String>, names: Vec<String>) {
    let mut by_records = BTreeMap::new();
    for user_id in user_ids {
        let user = stage.row(Key::new(&USERS, &user_id)).await;
        let has = |member: &str| user[member].as_str().map(str::to_lowercase);
        let held = [
            has("username").map(|name| format!("username#{name}")),
            has("email").map(|name| format!("email#{name}")),
        ];
        for name in held.into_iter().flatten() {
            let other = by_records.insert(name.clone(), user_id.clone());
            assert_eq!(other, None, "two accounts have {name}");
        }
    }
    let mut by_claims = BTreeMap::new();
    for name in names {
        if let Value::String(owner) = &stage.row(Key::new(&USERS, &name)).await["owner_id"] {
            by_claims.insert(name, owner.clone());
        }
    }
    assert_eq!(by_claims, by_records);
}

/// What an Admin or a stranger does to names.
#[derive(Clone, Debug)]
enum Change {
    Register(String, String),
    Rename(usize, String),
    Move(usize, String),
    Delete(usize),
    Restore(usize),
}

impl Change {
    fn draw(chance: &mut Chance, usernames: &[String], emails: &[String], users: usize) -> Self {
        let user = chance.below(users);
        match chance.below(8) {
            0..3 => Self::Register(chance.of_these(usernames).clone(), chance.of_these(emails).clone()),
            3 => Self::Rename(user, chance.of_these(usernames).clone()),
            4 => Self::Move(user, chance.of_these(emails).clone()),
            5 | 6 => Self::Delete(user),
            _ => Self::Restore(user),
        }
    }

    async fn ask(&self, admin: &Client, users: &[String]) -> Answer {
        let path = |user: &usize| format!("/v1/users/{}", users[*user]);
        match self {
            Self::Register(username, email) => register(&admin.with_token(None), username, email).await,
            Self::Rename(user, username) => admin.put(&path(user), json!({ "username": username })).await,
            Self::Move(user, email) => admin.put(&path(user), json!({ "email": email })).await,
            Self::Delete(user) => admin.delete(&path(user)).await,
            Self::Restore(user) => admin.post_empty(&format!("{}/restore", path(user))).await,
        }
    }

    /// The names that it gives to somebody, if it succeeds.
    fn takes(&self) -> Vec<&String> {
        match self {
            Self::Register(username, email) => vec![username, email],
            Self::Rename(_, name) | Self::Move(_, name) => vec![name],
            Self::Delete(_) | Self::Restore(_) => Vec::new(),
        }
    }

    /// What it may be answered.
    fn allows(&self, answer: &Answer) -> bool {
        let code = answer.code();
        let is_taken = matches!(code.as_str(), "username_taken" | "email_taken");
        match (self, answer.status) {
            (Self::Register(..), 201) => true,
            (Self::Register(..), 409) => is_taken,
            (_, 200) => true,
            (_, 409) => is_taken || code == "conflict",
            // Deleted.
            (Self::Rename(..) | Self::Move(..) | Self::Delete(_), 404) => true,
            _ => false,
        }
    }
}

async fn changes(stage: &Stage) {
    let mut chance = stage.chance();
    let pool = |kind: &str| (0..5).map(|n| stage.name(&format!("{kind}{n}x"))).collect::<Vec<_>>();
    let usernames = pool("user");
    let emails: Vec<_> = pool("mail").iter().map(|name| format!("{name}@example.com")).collect();
    let admin = stage.client().admin(&stage.name("admin")).await.client;
    let mut users = Vec::new();
    for (username, email) in usernames.iter().zip(&emails).take(3) {
        users.push(id_of(&register(&stage.client(), username, email).await.expect(201)).expect("an id"));
    }
    let racers = (0..stage.callers()).map(|caller| {
        let rounds = 1 + chance.below(2);
        let draw = |_| Change::draw(&mut chance, &usernames, &emails, users.len());
        let changes: Vec<_> = (0..rounds).map(draw).collect();
        let (admin, users, history) = (admin.clone(), users.clone(), stage.history.clone());
        async move {
            let mut outcomes = Vec::new();
            for change in changes {
                let request = change.ask(&admin, &users);
                let (answer, span) = history.ask(format!("{caller}: {change:?}"), request).await;
                assert!(change.allows(&answer), "{change:?}: {}", answer.text());
                outcomes.push((change, answer, span));
            }
            outcomes
        }
        .boxed()
    });
    let racers: Vec<BoxFuture<'static, _>> = racers.collect();
    let outcomes: Vec<_> = stage.race(racers).await.into_iter().flatten().collect();
    assert_new_owners_keep_their_names(&outcomes);
    let made = outcomes.iter().filter_map(|(_, answer, _)| id_of(answer));
    let everybody = users.iter().cloned().chain(made).collect();
    let names = usernames.iter().zip(&emails).flat_map(|(name, email)| claims(name, email)).collect();
    assert_claims_agree(stage, everybody, names).await;
}

/// Nobody touches an account that was made during the race: once somebody has a name so, nobody else gets it.
fn assert_new_owners_keep_their_names(outcomes: &[(Change, Answer, Span)]) {
    let succeeded = |outcome: &&(Change, Answer, Span)| outcome.1.status < 300;
    for (owner, _, since) in outcomes.iter().filter(succeeded) {
        let Change::Register(username, email) = owner else { continue };
        for (change, _, span) in outcomes.iter().filter(succeeded).filter(|(_, _, span)| span != since) {
            let takes_it = change.takes().into_iter().any(|name| name == username || name == email);
            assert!(!(takes_it && since.precedes(*span)), "{change:?} took a name of {owner:?}");
        }
    }
}
