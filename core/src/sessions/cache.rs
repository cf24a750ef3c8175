//! Sessions remembered for a few seconds, where the store is far away (`SESSION_CACHE_SECONDS`).

use crate::sessions::model::Session;
use crate::time::Timestamp;

/// At most so many sessions are remembered.
const CAPACITY: usize = 20_000;

/// Sessions read lately. With a lifetime of zero it remembers nothing.
#[derive(Debug)]
pub struct SessionCache {
    seconds: i64,
    sessions: Option<quick_cache::sync::Cache<String, (Timestamp, Session)>>,
}

impl SessionCache {
    /// A cache that remembers a session for so many seconds.
    #[must_use]
    pub fn new(seconds: i64) -> Self {
        let sessions = (seconds > 0).then(|| quick_cache::sync::Cache::new(CAPACITY));
        Self { seconds, sessions }
    }

    /// A session read less than the cache's lifetime ago.
    #[must_use]
    pub fn get(&self, session_id: &str, now: Timestamp) -> Option<Session> {
        let (read_at, session) = self.sessions.as_ref()?.get(session_id)?;
        (0..self.seconds).contains(&now.seconds_since(read_at)).then_some(session)
    }

    /// Remembers a session just read.
    pub fn put(&self, session: &Session, now: Timestamp) {
        if let Some(sessions) = &self.sessions {
            sessions.insert(session.session_id.clone(), (now, session.clone()));
        }
    }

    /// Forgets a session, because it changed.
    pub fn forget(&self, session_id: &str) {
        if let Some(sessions) = &self.sessions {
            sessions.remove(session_id);
        }
    }
}
