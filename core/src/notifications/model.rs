//! A notification as stored, and as shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attributes;
use crate::time::Timestamp;

/// How long a notification is kept, in seconds.
const KEPT_SECONDS: i64 = 90 * 24 * 60 * 60;

/// A notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The id, a ULID.
    pub notification_id: String,
    /// Whose it is.
    pub user_id: String,
    /// The device it is meant for; empty for any.
    #[serde(default)]
    pub device_id: String,
    /// What the app shows it as; empty for nothing in particular.
    #[serde(default)]
    pub template_id: String,
    /// The text.
    #[serde(default)]
    pub message: String,
    /// Whether it was read; stored as 1 or 0.
    #[serde(default, with = "attributes::flag")]
    pub readed: bool,
    /// When it was made.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// Whose list of unread notifications it is in; in none once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_of: Option<String>,
    /// When it is dropped, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<i64>,
    /// Attributes of the older system, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a notification says, to whomever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The device it is meant for; empty for any.
    pub device_id: String,
    /// What the app shows it as; empty for nothing in particular.
    pub template_id: String,
    /// The text.
    pub message: String,
}

impl Notification {
    /// A notification that a user has not read yet.
    #[must_use]
    pub fn new(notification_id: String, user_id: &str, content: &Content, now: Timestamp) -> Self {
        let Content { device_id, template_id, message } = content.clone();
        Self {
            notification_id,
            user_id: user_id.to_owned(),
            device_id,
            template_id,
            message,
            readed: false,
            created_at: now,
            updated_at: now,
            unread_of: Some(user_id.to_owned()),
            purge_at: Some(now.plus_seconds(KEPT_SECONDS).as_seconds()),
            rest: Map::new(),
        }
    }

    /// The notification once it was read.
    #[must_use]
    pub fn read(&self, now: Timestamp) -> Self {
        Self { readed: true, unread_of: None, updated_at: now, ..self.clone() }
    }

    /// The notification as its owner sees it.
    #[must_use]
    pub fn view(&self) -> NotificationView<'_> {
        NotificationView {
            id: &self.notification_id,
            user_id: &self.user_id,
            device_id: &self.device_id,
            template_id: &self.template_id,
            message: &self.message,
            readed: u8::from(self.readed),
            created: self.created_at,
            updated: self.updated_at,
        }
    }
}

/// *Notification* in the API.
#[derive(Debug, Serialize)]
pub struct NotificationView<'a> {
    id: &'a str,
    user_id: &'a str,
    device_id: &'a str,
    template_id: &'a str,
    message: &'a str,
    readed: u8,
    created: Timestamp,
    updated: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unread_notification_is_in_the_list_of_unread_ones() {
        let content = Content { device_id: String::new(), template_id: String::new(), message: "hi".into() };
        let unread = Notification::new("01N".into(), "01ADA", &content, Timestamp::from_millis(0));
        let stored = serde_json::to_value(&unread).unwrap();
        assert_eq!((&stored["unread_of"], &stored["readed"]), (&Value::from("01ADA"), &Value::from(0)));
        let read = serde_json::to_value(unread.read(Timestamp::from_millis(1))).unwrap();
        assert_eq!((read.get("unread_of"), &read["readed"]), (None, &Value::from(1)));
        assert_eq!(stored["purge_at"], read["purge_at"]);
    }
}
