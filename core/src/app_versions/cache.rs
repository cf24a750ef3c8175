//! The app's versions, remembered for a few seconds: every installed app asks for them, and all of them would read the
//! same few items of one small table.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::model::AppVersion;
use super::repo;
use crate::App;
use crate::ports::store::StoreError;
use crate::time::Timestamp;

/// How long another process may go without noticing a change; this one notices its own at once.
const SECONDS: i64 = 5;

/// The versions as read lately.
#[derive(Debug, Default)]
pub struct VersionCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many changes there were: what was read before the last one is not remembered.
    changes: u64,
    read: Option<(Timestamp, Arc<[AppVersion]>)>,
}

impl VersionCache {
    /// Forgets all versions, because one of them may have changed.
    pub fn forget(&self) {
        let mut state = self.state();
        state.changes += 1;
        state.read = None;
    }

    /// What was read less than [`SECONDS`] ago; else the number of changes until now.
    fn get(&self, now: Timestamp) -> Result<Arc<[AppVersion]>, u64> {
        let state = self.state();
        let is_fresh = |read_at: Timestamp| (0..SECONDS).contains(&now.seconds_since(read_at));
        let fresh = state.read.as_ref().filter(|(read_at, _)| is_fresh(*read_at));
        fresh.map(|(_, versions)| Arc::clone(versions)).ok_or(state.changes)
    }

    /// Remembers what was read when there had been so many changes.
    fn put(&self, changes: u64, read_at: Timestamp, versions: &Arc<[AppVersion]>) {
        let mut state = self.state();
        if state.changes == changes {
            state.read = Some((read_at, Arc::clone(versions)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All app versions, newest first, as they are or were a few seconds ago.
///
/// # Errors
/// The store's.
pub async fn list(app: &App) -> Result<Arc<[AppVersion]>, StoreError> {
    let now = app.now();
    let changes = match app.version_cache.get(now) {
        Ok(versions) => return Ok(versions),
        Err(changes) => changes,
    };
    let versions = repo::list(&*app.ports.store).await?.into();
    app.version_cache.put(changes, now, &versions);
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_remembered_for_some_seconds_unless_one_changes() {
        let cache = VersionCache::default();
        let (start, none) = (Timestamp::from_millis(1_000_000), Arc::from([]));
        let changes = cache.get(start).unwrap_err();
        cache.put(changes, start, &none);
        assert!(cache.get(start).is_ok());
        assert!(cache.get(start.plus_seconds(SECONDS - 1)).is_ok());
        assert!(cache.get(start.plus_seconds(SECONDS)).is_err());
        assert!(cache.get(start.plus_seconds(-1)).is_err(), "the clock was set back");
        cache.forget();
        let before = changes;
        let changes = cache.get(start).unwrap_err();
        cache.put(before, start, &none);
        assert!(cache.get(start).is_err(), "what was read before a change is not what is stored");
        cache.put(changes, start, &none);
        assert!(cache.get(start).is_ok());
    }
}
