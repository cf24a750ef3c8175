//! The rules of accounts, over a store: names are unique by claims, changes are conditional.

use futures::future::try_join_all;

use crate::error::Error;
use crate::ports::store::{Condition, Key, Query, RangeBound, Store, StoreError};
use crate::ports::store_ext::{StoreExt, Stored, Transaction, decode, decode_page};
use crate::schema::USERS;
use crate::text::{Email, Username, fold};
use crate::users::model::{Claim, LIST_SHARDS, User};

/// What stood in the way of a transaction that writes an account, or signs it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The username belongs to somebody else.
    UsernameTaken,
    /// The e-mail address belongs to somebody else.
    EmailTaken,
    /// The Google account belongs to somebody else.
    GoogleTaken,
    /// The record changed since it was read.
    Changed,
    /// The device is not known yet.
    DeviceMissing,
    /// The device is known already.
    DeviceExists,
    /// There are failed sign-ins on record.
    FailuresOnRecord,
    /// The verification code was used or replaced in between.
    CodeSpent,
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::UsernameTaken => {
                Self::conflict("username_taken", "this username is taken: choose another")
            }
            Obstacle::EmailTaken => Self::conflict(
                "email_taken",
                "this e-mail address has an account: sign in, or recover the password",
            ),
            _ => Self::conflict(
                "conflict",
                "somebody else changed this at the same moment: read it again and retry",
            ),
        }
    }
}

/// The key of a user's record.
#[must_use]
pub fn key(user_id: &str) -> Key {
    Key::new(&USERS, user_id)
}

fn username_claim(username: &Username) -> Key {
    Key::new(&USERS, format!("username#{}", fold(username.as_str())))
}

fn email_claim(email: &Email) -> Key {
    Key::new(&USERS, format!("email#{}", email.as_str().trim().to_ascii_lowercase()))
}

fn google_claim(sub: &str) -> Key {
    Key::new(&USERS, format!("google#{sub}"))
}

/// Reads a user by id, deleted ones too.
///
/// # Errors
/// The store's.
pub async fn find(store: &dyn Store, user_id: &str) -> Result<Option<Stored<User>>, StoreError> {
    store.find(&key(user_id)).await
}

/// A username or an e-mail address, as somebody typed it to sign in.
#[derive(Debug)]
pub struct LoginName {
    index: &'static str,
    folded: String,
    claim: Key,
}

impl LoginName {
    /// Reads a name; `None` for what no account can have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            Email::parse(text).ok().as_ref().map(Self::of_email)
        } else {
            let username = Username::parse(text).ok()?;
            let claim = username_claim(&username);
            Some(Self { index: "username-index", folded: username.to_string(), claim })
        }
    }

    fn of_email(email: &Email) -> Self {
        Self { index: "email-index", folded: email.to_string(), claim: email_claim(email) }
    }

    /// Reads the account by the index: one call, which may trail.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_by_index(&self, store: &dyn Store) -> Result<Option<Stored<User>>, StoreError> {
        let query = Query::index(&USERS, self.index, self.folded.as_str()).limit(1);
        store.query(&query).await?.items.into_iter().next().map(decode).transpose()
    }

    /// Reads who holds the name: one call, never stale. An account of the older system may hold none.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_owner(&self, store: &dyn Store) -> Result<Option<String>, StoreError> {
        Ok(store.find::<Claim>(&self.claim).await?.map(|claim| claim.value.owner_id))
    }

    /// Reads the account of the name's owner: two calls, never stale.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_by_claim(&self, store: &dyn Store) -> Result<Option<Stored<User>>, StoreError> {
        find_by_claim(store, &self.claim).await
    }

    /// Reads the account: by the index, and if that does not know it, by the claim.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, store: &dyn Store) -> Result<Option<Stored<User>>, StoreError> {
        match self.find_by_index(store).await? {
            Some(user) => Ok(Some(user)),
            None => self.find_by_claim(store).await,
        }
    }
}

/// Reads the account of an e-mail address.
///
/// # Errors
/// The store's.
pub async fn find_by_email(store: &dyn Store, email: &Email) -> Result<Option<Stored<User>>, StoreError> {
    LoginName::of_email(email).find(store).await
}

/// Reads the account of an e-mail address with as many calls as it takes to find that there is none.
///
/// # Errors
/// The store's.
pub async fn find_by_email_evenly(
    store: &dyn Store,
    email: &Email,
) -> Result<Option<Stored<User>>, StoreError> {
    let name = LoginName::of_email(email);
    match name.find_by_index(store).await? {
        Some(user) => name.find_owner(store).await.map(|_| Some(user)),
        None => name.find_by_claim(store).await,
    }
}

/// Reads the account of a Google user.
///
/// # Errors
/// The store's.
pub async fn find_by_google(store: &dyn Store, sub: &str) -> Result<Option<Stored<User>>, StoreError> {
    find_by_claim(store, &google_claim(sub)).await
}

async fn find_by_claim(store: &dyn Store, claim: &Key) -> Result<Option<Stored<User>>, StoreError> {
    match store.find::<Claim>(claim).await? {
        Some(claim) => find(store, &claim.value.owner_id).await,
        None => Ok(None),
    }
}

/// Adds the writes of a new account: its record and its claims.
///
/// # Errors
/// The store's.
pub fn put_new(tx: &mut Transaction<Obstacle>, user: &User) -> Result<(), StoreError> {
    tx.put(key(&user.user_id), user, Condition::Absent, Obstacle::Changed)?;
    for (claim, obstacle) in claims(user) {
        put_claim(tx, claim, &user.user_id, obstacle)?;
    }
    Ok(())
}

/// Adds the writes that change an account: its record, and the claims of names that it gained. For names that it
/// may lose there is [`put_renamed`].
///
/// # Errors
/// The store's.
pub fn put_changed(tx: &mut Transaction<Obstacle>, old: &Stored<User>, new: &User) -> Result<(), StoreError> {
    tx.put(key(&new.user_id), new, old.unchanged(), Obstacle::Changed)?;
    for (claim, obstacle) in claims_beyond(new, &old.value) {
        put_claim(tx, claim, &new.user_id, obstacle)?;
    }
    // Always the account's own: rows of the older system name no Google account.
    if let Some(lost) = old.value.google_sub.as_ref().filter(|sub| new.google_sub.as_ref() != Some(sub)) {
        tx.delete(google_claim(lost), Condition::Always, Obstacle::Changed);
    }
    Ok(())
}

/// Adds the writes that change an account and its names: as [`put_changed`], and gives free what it lost.
///
/// # Behavior
/// Only the account's own claims are given free: one of the older system may have held none, and its old name may
/// be somebody else's by now.
///
/// # Errors
/// The store's.
pub async fn put_renamed(
    store: &dyn Store,
    tx: &mut Transaction<Obstacle>,
    old: &Stored<User>,
    new: &User,
) -> Result<(), StoreError> {
    put_changed(tx, old, new)?;
    let mut lost = claims_beyond(&old.value, new);
    lost.retain(|(_, obstacle)| !matches!(obstacle, Obstacle::GoogleTaken));
    let found = try_join_all(lost.iter().map(|(claim, _)| store.find::<Claim>(claim))).await?;
    for ((claim, _), found) in lost.into_iter().zip(found) {
        if let Some(own) = found.filter(|found| found.value.owner_id == old.value.user_id) {
            tx.delete(claim, own.unchanged(), Obstacle::Changed);
        }
    }
    Ok(())
}

/// The claims of an account that another state of it does not have.
fn claims_beyond(user: &User, other: &User) -> Vec<(Key, Obstacle)> {
    let others = claims(other);
    let beyond = |(claim, _): &(Key, Obstacle)| others.iter().all(|(held, _)| held != claim);
    claims(user).into_iter().filter(beyond).collect()
}

/// The claims that an account holds, each with what it means if somebody else does. Names of the older system stand
/// in its rows as they were typed; what is claimed is the folded form.
pub(crate) fn claims(user: &User) -> Vec<(Key, Obstacle)> {
    let username = user.username.as_ref().map(|name| (username_claim(name), Obstacle::UsernameTaken));
    let email = user.email.as_ref().map(|email| (email_claim(email), Obstacle::EmailTaken));
    let google = user.google_sub.as_ref().map(|sub| (google_claim(sub), Obstacle::GoogleTaken));
    [username, email, google].into_iter().flatten().collect()
}

fn put_claim(
    tx: &mut Transaction<Obstacle>,
    key: Key,
    owner_id: &str,
    obstacle: Obstacle,
) -> Result<(), StoreError> {
    let claim = Claim { user_id: key.hash.clone(), owner_id: owner_id.to_owned() };
    tx.put(key, &claim, Condition::Absent, obstacle)?;
    Ok(())
}

/// A page of accounts, and the id to go on below.
#[derive(Debug)]
pub struct UserPage {
    /// The accounts, newest first.
    pub users: Vec<User>,
    /// The id below which the next page begins, if there may be one.
    pub next: Option<String>,
}

/// Lists accounts, newest first, from below an id, by merging the list's partitions.
///
/// # Errors
/// The store's.
pub async fn list(store: &dyn Store, below: Option<&str>, limit: usize) -> Result<UserPage, StoreError> {
    let range = below.map_or(RangeBound::All, |id| RangeBound::Below(id.to_owned()));
    let queries: Vec<Query> = (0..LIST_SHARDS)
        .map(|shard| {
            Query::index(&USERS, "list_shard-user_id-index", shard.to_string())
                .descending()
                .range(range.clone())
                .limit(limit)
        })
        .collect();
    let pages = try_join_all(queries.iter().map(|query| store.query(query))).await?;
    // Below the point where a partition's page broke off, the merged order is not known yet.
    let floor = pages.iter().filter_map(|page| page.next.as_ref()?.get("user_id")?.as_str()).max();
    let mut next = floor.map(str::to_owned);
    let mut users: Vec<User> = Vec::new();
    for page in pages {
        users.extend(decode_page::<User>(page)?.into_iter().map(|stored| stored.value));
    }
    users.retain(|user| next.as_ref().is_none_or(|floor| user.user_id >= *floor));
    users.sort_by(|one, other| other.user_id.cmp(&one.user_id));
    if users.len() > limit {
        users.truncate(limit);
        next = users.last().map(|user| user.user_id.clone());
    }
    Ok(UserPage { users, next })
}

/// Whether no account was ever made.
///
/// # Errors
/// The store's.
pub async fn is_empty(store: &dyn Store) -> Result<bool, Error> {
    let page = list(store, None, 1).await?;
    Ok(page.users.is_empty() && page.next.is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use serde_json::{Value, json};

    use super::*;
    use crate::memory::clock::ManualClock;
    use crate::memory::entropy::SeededEntropy;
    use crate::memory::store::MemoryStore;
    use crate::ports::store_ext::put;

    fn account(id: &str, username: &str) -> User {
        serde_json::from_value(json!({ "user_id": id, "username": username })).unwrap()
    }

    async fn write(store: &MemoryStore, row: Value) {
        let key = key(row["user_id"].as_str().unwrap());
        store.write(put(key, &row, Condition::Always).unwrap()).await.unwrap();
    }

    async fn rename(store: &MemoryStore, user_id: &str, username: &str) {
        let old = find(store, user_id).await.unwrap().unwrap();
        let new = User { username: account("", username).username, ..old.value.clone() };
        let mut tx = Transaction::new();
        put_renamed(store, &mut tx, &old, &new).await.unwrap();
        tx.commit(store).await.unwrap().unwrap();
    }

    async fn owner(store: &MemoryStore, username: &str) -> Option<String> {
        LoginName::parse(username).unwrap().find_owner(store).await.unwrap()
    }

    #[test]
    fn only_its_own_claims_are_given_free_by_an_account_of_the_older_system() {
        let store = MemoryStore::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(7)));
        block_on(async {
            write(&store, json!({ "user_id": "old", "username": "Grace" })).await;
            let mut tx = Transaction::new();
            put_new(&mut tx, &account("new", "grace")).unwrap();
            tx.commit(&store).await.unwrap().unwrap();
            rename(&store, "old", "hopper").await;
            assert_eq!(owner(&store, "grace").await.as_deref(), Some("new"));
            assert_eq!(owner(&store, "hopper").await.as_deref(), Some("old"));
            rename(&store, "old", "murray").await;
            assert_eq!(owner(&store, "hopper").await, None);
        });
    }

    #[test]
    fn the_same_name_in_another_case_stays_claimed() {
        let store = MemoryStore::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(7)));
        block_on(async {
            write(&store, json!({ "user_id": "old", "username": "Grace" })).await;
            write(&store, json!({ "user_id": "username#grace", "owner_id": "old" })).await;
            rename(&store, "old", "grace").await;
            assert_eq!(owner(&store, "GRACE").await.as_deref(), Some("old"));
            rename(&store, "old", "hopper").await;
            assert_eq!(owner(&store, "grace").await, None);
        });
    }
}
