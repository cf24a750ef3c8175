//! What holds of a store between any two transactions, whatever was killed, refused or lost: the rules that no single
//! request can see broken.
//!
//! [`check`] walks from the list of users and from the outbox, as any backend allows; [`check_rows`] sees every row of a
//! table, as only a file can be read, and finds what nothing leads to any more.

use std::collections::{BTreeSet, HashSet};

use portico_core::devices::model::Device;
use portico_core::devices::repo as devices;
use portico_core::files::model::{File, State};
use portico_core::files::{quota, repo as files};
use portico_core::notifications::model::Notification;
use portico_core::notifications::repo as notifications;
use portico_core::outbox::model::{Entry, SHARDS, Task};
use portico_core::ports::blobs::Blobs;
use portico_core::ports::store::{Item, Key, Query, Store, StoreError};
use portico_core::ports::store_ext::{StoreExt, decode};
use portico_core::schema::{OUTBOX, USERS};
use portico_core::sessions::model::Session;
use portico_core::sessions::repo as sessions;
use portico_core::users::model::{Claim, User};
use portico_core::users::repo::{self as users, LoginName};
use portico_core::verifications::code::Purpose;
use portico_core::verifications::model::Verification;
use portico_core::verifications::repo as verifications;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Every rule that does not hold, in words; none in a sound store.
///
/// # Panics
/// When the store refuses to be read.
pub async fn check(store: &dyn Store, blobs: Option<&dyn Blobs>) -> Vec<String> {
    let mut check = Check { store, blobs, promised: Vec::new(), wrong: Vec::new() };
    check.all().await.expect("a store that can be read");
    check.wrong
}

/// Claims whose owners do not hold them: names that nobody can have any more.
///
/// # Panics
/// When the store refuses to be read.
pub async fn check_rows(store: &dyn Store, users: impl IntoIterator<Item = Item>) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in users {
        let Ok(claim) = serde_json::from_value::<Claim>(Value::Object(row)) else { continue };
        let owner = users::find(store, &claim.owner_id).await.expect("a store that can be read");
        let held = owner.is_some_and(|owner| claims(&owner.value).contains(&claim.user_id));
        if !held {
            wrong.push(format!("{} is claimed for {}, who does not have it", claim.user_id, claim.owner_id));
        }
    }
    wrong
}

/// The keys of the claims that a user holds.
#[must_use]
pub fn claims(user: &User) -> Vec<String> {
    let username = user.username.as_ref().map(|name| format!("username#{}", name.as_str()));
    let email = user.email.as_ref().map(|email| format!("email#{}", email.as_str()));
    let google = user.google_sub.as_ref().map(|sub| format!("google#{sub}"));
    [username, email, google].into_iter().flatten().collect()
}

struct Check<'a> {
    store: &'a dyn Store,
    blobs: Option<&'a dyn Blobs>,
    promised: Vec<Task>,
    wrong: Vec<String>,
}

impl Check<'_> {
    async fn all(&mut self) -> Result<(), StoreError> {
        self.outbox().await?;
        let mut seen = BTreeSet::new();
        let mut below = None;
        loop {
            let page = users::list(self.store, below.as_deref(), 100).await?;
            for user in page.users {
                seen.insert(user.user_id.clone());
                self.listed_user(&user).await?;
            }
            match page.next {
                Some(next) => below = Some(next),
                None => break,
            }
        }
        // Nothing lists a deleted account but the promise to purge it.
        let mut purged = HashSet::new();
        for task in self.promised.clone() {
            if let Task::PurgeUser { user_id, .. } = task
                && !seen.contains(&user_id)
                && purged.insert(user_id.clone())
                && let Some(user) = users::find(self.store, &user_id).await?
            {
                self.deleted_user(&user.value).await?;
            }
        }
        Ok(())
    }

    /// Every promise is listed in the shard that its id says, and can be understood.
    async fn outbox(&mut self) -> Result<(), StoreError> {
        for shard in 0..SHARDS {
            let query = Query::index(&OUTBOX, "shard-due_at-index", shard.to_string());
            for entry in self.read::<Entry>(query).await? {
                self.rule(entry.shard == shard.to_string(), || {
                    format!("{} is in another shard", entry.message_id)
                });
                self.promised.push(entry.task);
            }
        }
        Ok(())
    }

    async fn listed_user(&mut self, user: &User) -> Result<(), StoreError> {
        let id = &user.user_id;
        self.rule(user.deleted_at.is_none(), || format!("{id} is deleted and listed"));
        for claim in claims(user) {
            let found = self.store.find::<Claim>(&Key::new(&USERS, claim.as_str())).await?;
            let owner = found.map(|found| found.value.owner_id);
            self.rule(owner.as_ref() == Some(id), || format!("{claim} of {id} is claimed for {owner:?}"));
        }
        for name in [user.username(), user.email()].into_iter().filter_map(LoginName::parse) {
            let found = name.find_by_index(self.store).await?.map(|user| user.value.user_id);
            self.rule(found.as_ref() == Some(id), || format!("{name:?} leads to {found:?}, not to {id}"));
        }
        self.belongings(user).await
    }

    async fn deleted_user(&mut self, user: &User) -> Result<(), StoreError> {
        let id = &user.user_id;
        self.rule(user.deleted_at.is_some(), || format!("{id} is neither listed nor deleted"));
        self.rule(claims(user).is_empty(), || format!("{id} is deleted and has names"));
        self.belongings(user).await
    }

    async fn belongings(&mut self, user: &User) -> Result<(), StoreError> {
        self.sessions(user).await?;
        self.files(user).await?;
        self.notifications(user).await?;
        for purpose in [Purpose::Email, Purpose::Phone, Purpose::Recovery] {
            let key = verifications::key(&user.user_id, purpose);
            if let Some(found) = self.store.find::<Verification>(&key).await? {
                let hash = found.value.code_hash;
                self.rule(!hash.is_empty(), || format!("{} has a code without its hash", user.user_id));
            }
        }
        Ok(())
    }

    /// A session that goes on can be refreshed in exactly one way; it is bound to a device of the same user; and its
    /// user may have sessions. What is not so yet is promised.
    async fn sessions(&mut self, user: &User) -> Result<(), StoreError> {
        let mut devices = HashSet::new();
        for device in self.read::<Device>(devices::of_user(&user.user_id)).await? {
            let owned = device.user_id == user.user_id;
            self.rule(owned, || format!("device {} is listed for {}", device.device_id, user.user_id));
            devices.insert(device.device_id);
        }
        for session in self.read::<Session>(sessions::of_user(&user.user_id)).await? {
            let id = session.session_id.clone();
            let random = session.refresh_random.len();
            let ways = usize::from(random == 64) + usize::from(session.refresh_token.is_some());
            let expected = usize::from(session.enable);
            self.rule(ways == expected && (random == 64 || random == 0), || {
                format!("session {id} can be refreshed in {ways} ways, and its `enable` is {expected}")
            });
            if session.enable {
                let bound = devices.contains(&session.device_id);
                self.rule(bound || self.ends_on_device(&session), || format!("session {id} is on no device"));
                let allowed = user.is_enabled() || self.ends(&session);
                self.rule(allowed, || format!("session {id} goes on without its user"));
            }
        }
        Ok(())
    }

    fn ends(&self, session: &Session) -> bool {
        let ends =
            |task: &Task| matches!(task, Task::EndSessions { user_id, .. } if *user_id == session.user_id);
        self.promised.iter().any(ends)
    }

    fn ends_on_device(&self, session: &Session) -> bool {
        let ends = |task: &Task| matches!(task, Task::EndSessionsOnDevice { device_id, .. } if *device_id == session.device_id);
        self.promised.iter().any(ends)
    }

    /// A ready file has its bytes; any other is promised to be seen to; and all of them are counted.
    async fn files(&mut self, user: &User) -> Result<(), StoreError> {
        let (mut count, mut bytes) = (0, 0);
        for file in self.read::<File>(files::of_user(&user.user_id)).await? {
            count += 1;
            bytes += file.size;
            let id = &file.file_id;
            if file.state == State::Ready {
                self.bytes_of(&file).await;
            } else {
                let swept = |task: &Task| matches!(task, Task::SweepFile { file_id, .. } if file_id == id);
                let promised = self.promised.iter().any(swept);
                self.rule(promised, || format!("file {id} is {:?} for ever", file.state));
            }
        }
        let counted = self.store.get(&quota::key(&user.user_id)).await?;
        let number = |name: &str| {
            counted.as_ref().and_then(|counted| counted.item.get(name)?.as_u64()).unwrap_or_default()
        };
        let counted = (number("files"), number("bytes"));
        self.rule(counted == (count, bytes), || {
            format!("{} has {count} files of {bytes} bytes, and {counted:?} are counted", user.user_id)
        });
        Ok(())
    }

    async fn bytes_of(&mut self, file: &File) {
        let (Some(blobs), Some(key)) = (self.blobs, file.blob_key()) else { return };
        let found = blobs.head(&key).await;
        let sound = matches!(&found, Ok(Some(info)) if file.is_made_of(info));
        self.rule(sound, || format!("file {} is ready, and its bytes are {found:?}", file.file_id));
    }

    /// The list of unread notifications has those that are unread, and no other.
    async fn notifications(&mut self, user: &User) -> Result<(), StoreError> {
        let all = self.read::<Notification>(notifications::all_of(&user.user_id)).await?;
        let unread = self.read::<Notification>(notifications::unread_of(&user.user_id)).await?;
        let ids = |some: &[Notification], all: bool| -> BTreeSet<String> {
            let some = some.iter().filter(|one| all || !one.readed);
            some.map(|one| one.notification_id.clone()).collect()
        };
        self.rule(ids(&all, false) == ids(&unread, true), || {
            format!("{} has {} notifications, and a wrong list of unread ones", user.user_id, all.len())
        });
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        let items = self.store.query_all(query).await?;
        items.into_iter().map(|item| decode(item).map(|stored| stored.value)).collect()
    }

    fn rule(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }
}
