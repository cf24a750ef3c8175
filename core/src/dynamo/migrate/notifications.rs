//! Lists unread notifications where they are looked for.

use super::{Migration, rows::Decision};
use crate::{
    dynamo::{
        attribute::{AttributeValue, Attributes},
        item,
    },
    notifications::model::Notification,
    ports::store_ext::decode,
    schema::NOTIFICATIONS,
};

/// The attribute by which unread notifications are listed.
const UNREAD_OF: &str = "unread_of";

/// What a notification needs: to be in the list of unread ones if it is unread, and only then.
pub(super) fn decide(migration: &Migration<'_>, row: &Attributes) -> Decision {
    let read = item::decode(&NOTIFICATIONS, row.clone()).and_then(decode::<Notification>);
    let Ok(notification) = read.map(|stored| stored.value) else {
        let why = "it cannot be read as a notification; mend or delete it";
        return Decision::Leave(vec![migration.unfinished(&NOTIFICATIONS, row, why)]);
    };
    let wanted = Some(&notification.user_id).filter(|owner| !notification.readed && !owner.is_empty());
    if notification.unread_of.as_ref() == wanted {
        return Decision::Leave(Vec::new());
    }
    let mut written = row.clone();
    written.remove(UNREAD_OF);
    written.extend(wanted.map(|owner| (UNREAD_OF.to_owned(), AttributeValue::string(owner))));
    Decision::Write { row: written, new: Vec::new(), findings: Vec::new() }
}
