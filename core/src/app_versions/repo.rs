//! App versions in the store. The table is small and read whole.
//!
//! Beside them are claims (`version#<platform>#<version>`), so that no version exists twice for a platform.

use crate::app_versions::model::{AppVersion, Claim};
use crate::app_versions::version::precedence_text;
use crate::error::Error;
use crate::ports::store::{Condition, Key, Query, Store, StoreError, Versioned};
use crate::ports::store_ext::{StoreExt, Stored, Transaction, decode};
use crate::schema::APP_VERSIONS;
use crate::text::fold;

/// What stood in the way of a transaction that writes an app version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// There is such a version for this platform.
    VersionExists,
    /// The record changed since it was read.
    Changed,
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::VersionExists => {
                Self::conflict("version_exists", "this version exists already for this platform")
            }
            Obstacle::Changed => Self::conflict(
                "conflict",
                "somebody else changed this at the same moment: read it again and retry",
            ),
        }
    }
}

/// The key of an app version.
#[must_use]
pub fn key(version_id: &str) -> Key {
    Key::new(&APP_VERSIONS, version_id)
}

fn claim_key(version: &AppVersion) -> Key {
    let platform = fold(version.platform.as_deref().unwrap_or_default());
    key(&format!("version#{platform}#{}", precedence_text(&version.version)))
}

/// Reads an app version that must exist.
///
/// # Errors
/// 404, 503.
pub async fn get(store: &dyn Store, version_id: &str) -> Result<Stored<AppVersion>, Error> {
    store.find(&key(version_id)).await?.ok_or_else(Error::not_found)
}

/// Reads all app versions, newest first.
///
/// # Errors
/// The store's.
pub async fn list(store: &dyn Store) -> Result<Vec<AppVersion>, StoreError> {
    let items = store.query_all(Query::whole(&APP_VERSIONS)).await?;
    let mut versions: Vec<AppVersion> = items.into_iter().filter_map(read).collect();
    versions.sort_by(AppVersion::newest_first);
    Ok(versions)
}

/// An app version of the table; claims are none. What an older system left unreadable is passed over, lest it
/// stop every app's version check.
fn read(item: Versioned) -> Option<AppVersion> {
    let key = Key::of(&APP_VERSIONS, &item.item)?;
    if key.hash.contains('#') {
        return None;
    }
    decode(item)
        .inspect_err(|_| {
            tracing::warn!(version_id = key.hash, "an app version cannot be read; it is ignored")
        })
        .ok()
        .map(|stored| stored.value)
}

/// Stores a new app version.
///
/// # Errors
/// 409 `version_exists`, 503.
pub async fn create(store: &dyn Store, version: &AppVersion) -> Result<(), Error> {
    refuse_twin(store, version).await?;
    let mut tx = Transaction::new();
    let key = key(&version.version_id);
    tx.put(key.clone(), version, Condition::Absent, Obstacle::Changed)?.witness(key);
    put_claim(&mut tx, version)?;
    Ok(tx.commit(store).await??)
}

/// Stores a changed app version.
///
/// # Errors
/// 409 `version_exists` or `conflict`, 503.
pub async fn update(store: &dyn Store, old: &Stored<AppVersion>, new: &AppVersion) -> Result<(), Error> {
    let mut tx = Transaction::new();
    tx.put(key(&new.version_id), new, old.unchanged(), Obstacle::Changed)?;
    if claim_key(&old.value) != claim_key(new) {
        refuse_twin(store, new).await?;
        put_claim(&mut tx, new)?;
        release_claim(store, &mut tx, &old.value).await?;
    }
    Ok(tx.commit(store).await??)
}

/// Removes an app version for good.
///
/// # Errors
/// 409 `conflict`, 503.
pub async fn remove(store: &dyn Store, old: &Stored<AppVersion>) -> Result<(), Error> {
    let mut tx = Transaction::new();
    tx.delete(key(&old.value.version_id), old.unchanged(), Obstacle::Changed);
    release_claim(store, &mut tx, &old.value).await?;
    Ok(tx.commit(store).await??)
}

fn put_claim(tx: &mut Transaction<Obstacle>, version: &AppVersion) -> Result<(), StoreError> {
    let key = claim_key(version);
    let claim = Claim { version_id: key.hash.clone(), owner_id: version.version_id.clone() };
    tx.put(key, &claim, Condition::Absent, Obstacle::VersionExists)?;
    Ok(())
}

/// Gives a version free, if it is this app version that holds it: rows of the older system hold no claims.
async fn release_claim(
    store: &dyn Store,
    tx: &mut Transaction<Obstacle>,
    version: &AppVersion,
) -> Result<(), StoreError> {
    let key = claim_key(version);
    let claim = store.find::<Claim>(&key).await?;
    if let Some(own) = claim.filter(|claim| claim.value.owner_id == version.version_id) {
        tx.delete(key, own.unchanged(), Obstacle::Changed);
    }
    Ok(())
}

/// Refuses a version that a row of the older system, which holds no claim, has for the platform.
async fn refuse_twin(store: &dyn Store, version: &AppVersion) -> Result<(), Error> {
    let is_twin =
        |other: &AppVersion| other.version_id != version.version_id && claim_key(other) == claim_key(version);
    if list(store).await?.iter().any(is_twin) { Err(Obstacle::VersionExists.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use serde_json::json;

    use super::*;
    use crate::memory::clock::ManualClock;
    use crate::memory::entropy::SeededEntropy;
    use crate::memory::store::{Lag, MemoryStore};

    /// A store whose queries never see a change, so that only claims tell what exists.
    fn trailing_store() -> MemoryStore {
        let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(7)));
        MemoryStore::with_lagging_indexes(clock, entropy, Lag::UntilCaughtUp)
    }

    fn release(id: &str, version: &str, platform: Option<&str>) -> AppVersion {
        let row = json!({ "version_id": id, "version": version, "platform": platform });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_version_exists_once_for_a_platform() {
        let store = trailing_store();
        let create = |id, version, platform| block_on(create(&store, &release(id, version, platform)));
        create("1", "1.1.0", Some("ios")).unwrap();
        assert_eq!(create("2", "1.1.0+5", Some("iOS")).unwrap_err().code, "version_exists");
        create("3", "1.1.0", None).unwrap();
        create("4", "1.1.0-rc.1", Some("ios")).unwrap();
    }

    #[test]
    fn changing_and_removing_gives_a_version_free() {
        let store = trailing_store();
        block_on(async {
            create(&store, &release("1", "1.1.0", None)).await.unwrap();
            let old = get(&store, "1").await.unwrap();
            update(&store, &old, &release("1", "1.2.0", None)).await.unwrap();
            create(&store, &release("2", "1.1.0", None)).await.unwrap();
            assert_eq!(update(&store, &old, &old.value).await.unwrap_err().code, "conflict");
            let changed = get(&store, "1").await.unwrap();
            let twin = update(&store, &changed, &release("1", "1.1.0", None)).await;
            assert_eq!(twin.unwrap_err().code, "version_exists");
            remove(&store, &changed).await.unwrap();
            create(&store, &release("3", "1.2.0", None)).await.unwrap();
        });
    }

    #[test]
    fn claims_are_not_listed_and_older_rows_count() {
        let store = trailing_store();
        block_on(async {
            create(&store, &release("1", "1.10.0", None)).await.unwrap();
            store.write(put_row(json!({ "version_id": "2", "version": 1.9 }))).await.unwrap();
            store.write(put_row(json!({ "version_id": "3", "version": "unreadable" }))).await.unwrap();
            store.catch_up();
            let ids = list(&store).await.unwrap().into_iter().map(|version| version.version_id);
            assert_eq!(ids.collect::<Vec<_>>(), ["1", "2"]);
            let twin = create(&store, &release("4", "1.9", None)).await;
            assert_eq!(twin.unwrap_err().code, "version_exists");
        });
    }

    fn put_row(row: serde_json::Value) -> crate::ports::store::Write {
        let id = row["version_id"].as_str().unwrap().to_owned();
        crate::ports::store_ext::put(key(&id), &row, Condition::Absent).unwrap()
    }
}
