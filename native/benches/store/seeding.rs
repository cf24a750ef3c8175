//! Accounts that were never registered: what a registration leaves in the store, of as many users as wanted, in minutes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portico::clock::SystemClock;
use portico::entropy::SystemEntropy;
use portico::store::sqlite::SqliteStore;
use portico_core::auth::password::{HashOutcome, HashParams, HashWork, Password};
use portico_core::devices::model::{Device, DeviceUuid};
use portico_core::ports::clock::Clock;
use portico_core::ports::store::{Condition, StoreError};
use portico_core::ports::store_ext::Transaction;
use portico_core::secret::Secret;
use portico_core::sessions::model::Session;
use portico_core::text::{Email, Name, Username};
use portico_core::time::Timestamp;
use portico_core::users::model::{Role, User};
use portico_core::users::repo::{self as users, Obstacle};
use portico_core::{devices, sessions};
use ulid::Ulid;

/// The password of everybody.
const PASSWORD: &str = "correct horse battery staple";

/// Users in one transaction: each has five items, and a transaction at most a hundred.
const BATCH: u64 = 20;

/// Transactions at once, which are flushed together.
const CALLERS: usize = 32;

/// When the first of them came, in milliseconds since 1970; the others followed a second apart.
const FIRST_MS: u64 = 1_700_000_000_000;

const YEAR_SECONDS: i64 = 365 * 24 * 60 * 60;

/// The file that says that all are there.
const COMPLETE: &str = "seeded";

/// Opens the store of a data directory, after writing users 0 to `count` to it if they are not there.
///
/// # Errors
/// When it cannot be opened or written to, or was left half written.
pub(crate) async fn open(
    dir: &Path,
    count: u64,
) -> Result<SqliteStore, Box<dyn std::error::Error + Send + Sync>> {
    let complete = dir.join(COMPLETE);
    if dir.exists() && !complete.exists() {
        return Err(format!("{} was not seeded to its end: remove it", dir.display()).into());
    }
    let store = Arc::new(SqliteStore::open(dir, Arc::new(SystemClock), Arc::new(SystemEntropy))?);
    if !complete.exists() {
        write(&store, count).await?;
        std::fs::write(complete, count.to_string())?;
    }
    Arc::into_inner(store).ok_or_else(|| "a writer has not ended".into())
}

/// The id of a user, spread as ids are: their first half is a time, their second is chance.
pub(crate) fn user_id(index: u64) -> String {
    id(index, 1)
}

/// The id of a user's session.
pub(crate) fn session_id(index: u64) -> String {
    id(index, 2)
}

fn id(index: u64, kind: u64) -> String {
    // Any mixing will do that no two indexes share (an odd factor), here SplitMix64's.
    let chance = (index * 4 + kind).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Ulid::from_parts(FIRST_MS + index * 1000, u128::from(chance)).to_string()
}

async fn write(store: &Arc<SqliteStore>, count: u64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (hash, next) = (Arc::new(hash()?), Arc::new(AtomicU64::new(0)));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (store, hash, next) = (Arc::clone(store), Arc::clone(&hash), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return Ok(());
                }
                let batch = transaction(first..(first + BATCH).min(count), &hash)?;
                if let Err(obstacle) = batch.commit(&*store).await? {
                    return Err(format!("user {first} or one that follows: {obstacle:?}").into());
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended?.map_err(|error: Box<dyn std::error::Error + Send + Sync>| error)?;
    }
    Ok(())
}

fn hash() -> Result<String, String> {
    let password = Password::new(Secret::new(PASSWORD));
    match (HashWork::Hash { password, salt: [1; 16], params: HashParams::default() }).run() {
        HashOutcome::Hashed(hash) => Ok(hash),
        _ => Err("no password can be hashed".to_owned()),
    }
}

fn transaction(indexes: std::ops::Range<u64>, hash: &str) -> Result<Transaction<Obstacle>, StoreError> {
    let mut tx = Transaction::new();
    for index in indexes {
        add(&mut tx, index, hash)?;
    }
    Ok(tx)
}

fn add(tx: &mut Transaction<Obstacle>, index: u64, hash: &str) -> Result<(), StoreError> {
    let at = Timestamp::from_millis((FIRST_MS + index * 1000).cast_signed());
    let (username, email) = (format!("user-{index}"), format!("user-{index}@example.com"));
    let user = User {
        username: Username::parse(&username).ok(),
        email: Email::parse(&email).ok(),
        first_name: Name::lenient("Ada", "-"),
        last_name: Name::lenient("Lovelace", "-"),
        password_hash: Some(hash.to_owned()),
        ..User::new(user_id(index), Role::User, at)
    };
    users::put_new(tx, &user)?;
    let device = Device::new(&user.user_id, &DeviceUuid::made_here(format!("device-{index}")), at);
    tx.put(devices::repo::key(&device.device_id), &device, Condition::Absent, Obstacle::DeviceExists)?;
    let session = session(index, &user, &device, at);
    tx.put(sessions::repo::key(&session.session_id), &session, Condition::Absent, Obstacle::Changed)?;
    Ok(())
}

fn session(index: u64, user: &User, device: &Device, at: Timestamp) -> Session {
    // Not yet over, or it would be hidden and purged.
    let expires = SystemClock.now().plus_seconds(YEAR_SECONDS);
    Session {
        session_id: session_id(index),
        user_id: user.user_id.clone(),
        device_id: device.device_id.clone(),
        enable: true,
        refresh_random: format!("{index:064x}"),
        refresh_counter: 1,
        rotated_at: None,
        refresh_expires_at: expires,
        refresh_token: None,
        ip: Some("127.0.0.1".to_owned()),
        user_agent: Some("an app on a phone".to_owned()),
        last_used_at: Some(at),
        created_at: at,
        updated_at: at,
        purge_at: Some(expires.as_seconds()),
    }
}
