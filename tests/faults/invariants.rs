//! What must hold of everything stored, whatever failed: each law is one function.
//!
//! Looked at is every item that the point wrote, and every blob; `at_rest` asks for more, once nothing is promised any
//! more.

use std::collections::{BTreeMap, BTreeSet};

use portico_core::ports::blobs::{BlobKey, Blobs};
use portico_core::ports::clock::Clock;
use portico_core::ports::store::{Item, Key};
use portico_core::schema::{
    COUNTERS, DEVICES, FILES, NOTIFICATIONS, OUTBOX, SESSIONS, Table, USER_VERIFICATIONS, USERS,
};
use portico_core::text::fold;
use serde_json::Value;

use crate::world::World;

/// The most guesses at a code.
const MAX_ATTEMPTS: u64 = 5;

/// The longest that a request holds its idempotency key, in seconds.
const LONGEST_LEASE: i64 = 15 * 60;

/// Everything that a point wrote, as it is now.
pub(crate) struct Scan {
    items: BTreeMap<(&'static str, String, Option<String>), Item>,
    /// Every blob's length, by key.
    blobs: BTreeMap<String, u64>,
    now_seconds: i64,
}

impl Scan {
    pub(crate) async fn of(world: &World) -> Self {
        let mut items = BTreeMap::new();
        for key in world.plan.written() {
            if let Some(found) = world.store.get(&key).await.expect("a store that is well again") {
                items.insert((key.table.name, key.hash, key.range), found.item);
            }
        }
        let mut blobs = BTreeMap::new();
        for key in world.lab.blobs.keys() {
            let info = world.lab.blobs.head(&key).await.expect("blobs in memory").expect("a blob");
            blobs.insert(key.to_string(), info.length);
        }
        Self { items, blobs, now_seconds: world.lab.clock.now().as_seconds() }
    }

    pub(crate) fn of_table(&self, table: &'static Table) -> impl Iterator<Item = (&str, &Item)> {
        let mine = self.items.iter().filter(|((name, ..), _)| *name == table.name);
        mine.map(|((_, hash, _), item)| (hash.as_str(), item))
    }

    pub(crate) fn find(&self, key: &Key) -> Option<&Item> {
        self.items.get(&(key.table.name, key.hash.clone(), key.range.clone()))
    }

    /// Accounts, without claims.
    fn users(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.of_table(&USERS).filter(|(id, _)| !id.contains('#'))
    }

    fn has_user(&self, item: &Item) -> bool {
        self.find(&Key::new(&USERS, text(item, "user_id"))).is_some()
    }

    /// The blobs of those who wrote something in this point; others are other points'.
    fn own_blobs(&self) -> impl Iterator<Item = (&str, u64)> {
        let owners: BTreeSet<&str> =
            self.of_table(&FILES).map(|(_, file)| text(file, "uploaded_by_user_id")).collect();
        self.blobs.iter().map(|(key, length)| (key.as_str(), *length)).filter(move |(key, _)| {
            key.split('/').nth(1).is_some_and(|owner| owners.contains(owner) || self.is_known(owner))
        })
    }

    fn is_known(&self, owner: &str) -> bool {
        self.find(&Key::new(&USERS, owner)).is_some()
    }
}

/// What a law finds wrong.
type Broken = Vec<String>;

type Law = (&'static str, fn(&Scan) -> Broken);

/// What holds at every moment.
const ALWAYS: [Law; 8] = [
    ("an account holds its claims", users_hold_their_claims),
    ("a claim has its account", claims_have_their_user),
    ("a session has its account and device", sessions_have_their_user_and_device),
    ("a session has one live refresh token or none", sessions_have_one_live_token_or_none),
    ("what belongs to an account has it", belongings_have_their_user),
    ("a file that can be downloaded has its bytes", ready_files_have_their_bytes),
    ("what is not settled is promised to be", unsettled_files_are_promised_to_be_swept),
    ("a code is guessed at most five times", codes_are_guessed_at_most_five_times),
];

/// What holds once every promise is kept.
const AT_REST: [Law; 4] = [
    ("nothing is promised any more", nothing_is_promised),
    ("no request is under way", no_request_is_under_way),
    ("a file is there whole or not at all", files_and_bytes_are_the_same),
    ("a quota counts the files that are there", quotas_count_what_is_there),
];

/// Asserts what holds at every moment; once nothing is promised any more, the rest as well.
///
/// # Panics
/// When a law is broken.
pub(crate) async fn check(world: &World, at_rest: bool) {
    let scan = Scan::of(world).await;
    let laws = ALWAYS.iter().chain(AT_REST.iter().filter(|_| at_rest));
    let broken: Vec<String> = laws
        .flat_map(|(name, law)| law(&scan).into_iter().map(move |what| format!("{name}: {what}")))
        .collect();
    assert!(broken.is_empty(), "broken laws:\n{}", broken.join("\n"));
}

/// The names in force of each account are claimed, and by it.
fn users_hold_their_claims(scan: &Scan) -> Broken {
    let claims = |item: &Item| {
        let named = |kind: &str, value: Option<String>| value.map(|value| format!("{kind}#{value}"));
        let folded = |name: &str| item.get(name).and_then(Value::as_str).map(fold);
        let sub = item.get("google_sub").and_then(Value::as_str).map(str::to_owned);
        [named("username", folded("username")), named("email", folded("email")), named("google", sub)]
    };
    let wanted =
        scan.users().flat_map(|(id, user)| claims(user).into_iter().flatten().map(move |claim| (id, claim)));
    wanted
        .filter(|(id, claim)| {
            let held = scan.find(&Key::new(&USERS, claim.as_str()));
            held.is_none_or(|held| text(held, "owner_id") != *id)
        })
        .map(|(id, claim)| format!("{id} does not hold {claim}"))
        .collect()
}

/// Each claim's owner exists, is not deleted, and has the name.
fn claims_have_their_user(scan: &Scan) -> Broken {
    scan.of_table(&USERS)
        .filter_map(|(key, claim)| Some((key, key.split_once('#')?, text(claim, "owner_id"))))
        .filter(|(_, (kind, name), owner)| {
            let attribute = if *kind == "google" { "google_sub" } else { kind };
            let user = scan.find(&Key::new(&USERS, *owner));
            user.is_none_or(|user| fold(text(user, attribute)) != fold(name))
        })
        .map(|(key, _, owner)| format!("{key} belongs to {owner}, who does not have it"))
        .collect()
}

/// A live session's account is there, enabled and not deleted; a session never exists without its device's record.
fn sessions_have_their_user_and_device(scan: &Scan) -> Broken {
    scan.of_table(&SESSIONS)
        .filter(|(_, session)| {
            let id = text(session, "device_id");
            let deleted = format!("{id}#deleted");
            let device = [id, &deleted].into_iter().any(|id| scan.find(&Key::new(&DEVICES, id)).is_some());
            !device || !scan.has_user(session)
        })
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// A live session has random bytes of its own and one counter, and so one present token; an ended one has none.
fn sessions_have_one_live_token_or_none(scan: &Scan) -> Broken {
    scan.of_table(&SESSIONS)
        .filter(|(_, session)| {
            let live = session["enable"] == true;
            let random = text(session, "refresh_random");
            let counted = session["refresh_counter"].as_u64().is_some_and(|counter| counter > 0);
            let sound = if live { random.len() == 64 && counted } else { random.is_empty() };
            !sound || session.contains_key("refresh_token")
        })
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// Devices, notifications and files belong to an account that exists.
fn belongings_have_their_user(scan: &Scan) -> Broken {
    let devices = scan.of_table(&DEVICES).filter(|(id, _)| !id.contains('#'));
    let of_user = devices.chain(scan.of_table(&NOTIFICATIONS)).filter(|(_, item)| !scan.has_user(item));
    let files = scan.of_table(&FILES).filter(|(_, file)| !scan.is_known(text(file, "uploaded_by_user_id")));
    of_user.chain(files).map(|(id, _)| id.to_owned()).collect()
}

/// A ready file's bytes are there, as long as it says.
fn ready_files_have_their_bytes(scan: &Scan) -> Broken {
    scan.of_table(&FILES)
        .filter(|(_, file)| file["state"] == "ready")
        .filter(|(_, file)| scan.blobs.get(text(file, "object")).copied() != file["size"].as_u64())
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// For each file that is pending or being deleted, and for all bytes without a record, the outbox holds a sweep.
fn unsettled_files_are_promised_to_be_swept(scan: &Scan) -> Broken {
    let tasks = || scan.of_table(&OUTBOX).map(|(_, entry)| &entry["task"]);
    let swept: BTreeSet<&str> = tasks().filter_map(|task| task["object"].as_str()).collect();
    let unsettled = scan.of_table(&FILES).filter(|(_, file)| file["state"] != "ready");
    let unsettled = unsettled.map(|(_, file)| text(file, "object"));
    let recorded: BTreeSet<&str> = scan.of_table(&FILES).map(|(_, file)| text(file, "object")).collect();
    let unrecorded = scan.own_blobs().map(|(key, _)| key).filter(|key| !recorded.contains(key));
    unsettled.chain(unrecorded).filter(|object| !swept.contains(object)).map(str::to_owned).collect()
}

fn codes_are_guessed_at_most_five_times(scan: &Scan) -> Broken {
    let codes = scan.of_table(&USER_VERIFICATIONS);
    let over = codes.filter(|(_, code)| code["attempts"].as_u64().is_none_or(|count| count > MAX_ATTEMPTS));
    over.map(|(user, code)| format!("{user}'s, {} times", code["attempts"])).collect()
}

fn nothing_is_promised(scan: &Scan) -> Broken {
    scan.of_table(&OUTBOX).map(|(id, entry)| format!("{id}: {}", entry["task"])).collect()
}

/// A key is held for as long as its lease at most, and then no more.
fn no_request_is_under_way(scan: &Scan) -> Broken {
    let records = scan.of_table(&COUNTERS).filter(|(id, _)| id.starts_with("idempotency#"));
    let open = records.filter(|(_, record)| !record.contains_key("answer"));
    open.map(|(id, record)| {
        let left = record["expires_at"].as_i64().unwrap_or(i64::MAX) - scan.now_seconds;
        format!("{id} is held for {left} s, and {LONGEST_LEASE} s have passed")
    })
    .collect()
}

/// Every record of a file has its bytes and is ready, and all bytes have a record.
fn files_and_bytes_are_the_same(scan: &Scan) -> Broken {
    let unsettled = scan.of_table(&FILES).filter(|(_, file)| file["state"] != "ready");
    let unsettled = unsettled.map(|(id, file)| format!("{id} is {}", file["state"]));
    let recorded: BTreeSet<&str> = scan.of_table(&FILES).map(|(_, file)| text(file, "object")).collect();
    let lost = scan.own_blobs().filter(|(key, _)| !recorded.contains(key));
    unsettled.chain(lost.map(|(key, _)| format!("{key} has no record"))).collect()
}

fn quotas_count_what_is_there(scan: &Scan) -> Broken {
    let counts =
        scan.of_table(&COUNTERS).filter_map(|(id, count)| Some((id.strip_prefix("files-of#")?, count)));
    counts
        .filter_map(|(owner, count)| {
            let own = scan.of_table(&FILES).filter(|(_, file)| text(file, "uploaded_by_user_id") == owner);
            let sizes: Vec<u64> = own.filter_map(|(_, file)| file["size"].as_u64()).collect();
            let there = (sizes.len() as u64, sizes.iter().sum::<u64>());
            let counted = (count["files"].as_u64()?, count["bytes"].as_u64()?);
            (there != counted)
                .then(|| format!("{owner} has {there:?} (files, bytes), counted are {counted:?}"))
        })
        .collect()
}

/// Whether a blob is there, by its key's text.
pub(crate) async fn has_blob(world: &World, object: &str) -> bool {
    let key = BlobKey::parse(object).expect("a key");
    world.lab.blobs.head(&key).await.expect("blobs in memory").is_some()
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}
