//! App versions in the store, and the claims (`version#<platform>#<version>`) that keep a version from existing twice for
//! a platform. The table is small and read whole.

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

/// An app version of the table; claims are none. What an older system left unreadable must not stop every app's
/// version check, so that it is passed over.
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
    tx.put(key(&version.version_id), version, Condition::Absent, Obstacle::Changed)?;
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
    if let Some(claim) = store.find::<Claim>(&key).await? {
        if claim.value.owner_id == version.version_id {
            tx.delete(key, claim.unchanged(), Obstacle::Changed);
        }
    }
    Ok(())
}

/// Refuses a version that a row of the older system, which holds no claim, has for the platform.
async fn refuse_twin(store: &dyn Store, version: &AppVersion) -> Result<(), Error> {
    let is_twin =
        |other: &AppVersion| other.version_id != version.version_id && claim_key(other) == claim_key(version);
    if list(store).await?.iter().any(is_twin) { Err(Obstacle::VersionExists.into()) } else { Ok(()) }
}
