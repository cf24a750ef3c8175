//! Making notifications: for one user, for several, for all.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::App;
use crate::error::Error;
use crate::notifications::model::{Content, Notification};
use crate::notifications::repo;
use crate::ports::store::{Condition, MAX_WRITES, Write};
use crate::ports::store_ext::{StoreExt, put};
use crate::users::repo as users;
use crate::validate::{Invalid, InvalidCode, Validator};

/// The most users that a request may name.
pub const MAX_NAMED: usize = MAX_WRITES;

/// Whom a notification is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// One user.
    One(String),
    /// Up to [`MAX_NAMED`] users; whoever is named twice is notified once.
    Many(Vec<String>),
    /// Everybody who has an account.
    All,
}

/// Notifies users; returns how many notifications there are now.
///
/// # Errors
/// 422 for users who do not exist, and then nobody was notified; 503. Named users are notified all or none;
/// everybody is notified a hundred at a time, so that a failure may come when some have been.
pub async fn create(app: &Arc<App>, recipients: &Recipients, content: &Content) -> Result<usize, Error> {
    match recipients {
        Recipients::One(user_id) => {
            refuse_unknown(app, &[(String::from("/user_id"), user_id)]).await?;
            notify(app, &[user_id], content).await
        }
        Recipients::Many(user_ids) => {
            let at = |(index, user_id)| (format!("/user_ids/{index}"), user_id);
            let named: Vec<(String, &String)> = user_ids.iter().enumerate().map(at).collect();
            refuse_unknown(app, &named).await?;
            let distinct: BTreeSet<&str> = user_ids.iter().map(String::as_str).collect();
            notify(app, &Vec::from_iter(distinct), content).await
        }
        Recipients::All => notify_all(app, content).await,
    }
}

/// Refuses users who have no account, or none any more.
async fn refuse_unknown(app: &Arc<App>, named: &[(String, &String)]) -> Result<(), Error> {
    let store = &*app.ports.store;
    let found = futures::future::try_join_all(named.iter().map(|(_, id)| users::find(store, id))).await?;
    let mut check = Validator::new();
    for ((pointer, _), user) in named.iter().zip(found) {
        if user.is_none_or(|user| user.value.deleted_at.is_some()) {
            check.refuse(pointer.clone(), Invalid::new(InvalidCode::NotAllowed, "there is no such user"));
        }
    }
    check.finish()
}

async fn notify_all(app: &Arc<App>, content: &Content) -> Result<usize, Error> {
    let (mut below, mut notified) = (None::<String>, 0);
    loop {
        let page = users::list(&*app.ports.store, below.as_deref(), MAX_WRITES).await?;
        let user_ids: Vec<&str> = page.users.iter().map(|user| user.user_id.as_str()).collect();
        notified += notify(app, &user_ids, content).await?;
        below = page.next;
        if below.is_none() {
            return Ok(notified);
        }
    }
}

/// Notifies at most [`MAX_WRITES`] users, all or none.
async fn notify(app: &Arc<App>, user_ids: &[&str], content: &Content) -> Result<usize, Error> {
    let now = app.now();
    let mut writes: Vec<Write> = Vec::with_capacity(user_ids.len());
    for user_id in user_ids {
        let notification = Notification::new(app.new_id()?, user_id, content, now);
        writes.push(put(repo::key(&notification.notification_id), &notification, Condition::Absent)?);
    }
    if let Some(first) = writes.first() {
        app.ports.store.transact_witnessed(&writes, first.key()).await?;
    }
    Ok(writes.len())
}
