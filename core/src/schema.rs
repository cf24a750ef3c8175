//! The tables and indexes, the same on every backend.
//!
//! Stores create what is described here and nothing else. Every key and index attribute is a string; an
//! item that lacks an index attribute, or holds another type in it, is simply not in that index (a sparse
//! index). The names are part of the contract with existing DynamoDB deployments.

/// A table: where items of one kind live.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// The default name; a deployment may rename it (`DYNAMO_TABLE_*`).
    pub name: &'static str,
    /// The attribute that holds the first part of the key.
    pub hash: &'static str,
    /// The attribute that holds the second part of the key, if the table has one.
    pub range: Option<&'static str>,
    /// The secondary indexes.
    pub indexes: &'static [Index],
    /// The attribute with the second (Unix time, a number) from which an item no longer exists.
    pub expires: Option<&'static str>,
    /// Whether the table is small by nature and may be read whole.
    pub small: bool,
}

/// A secondary index of a [`Table`]; it carries whole items.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// The index's name, unique within its table.
    pub name: &'static str,
    /// The attribute that an index query fixes.
    pub hash: &'static str,
    /// The attribute that orders the items of one query, if any; without it their order is unspecified.
    pub range: Option<&'static str>,
}

impl Table {
    /// Finds an index by its name.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<&'static Index> {
        self.indexes.iter().find(|index| index.name == name)
    }
}

/// Users by id, and the claims (`username#…`, `email#…`, `google#…`) that make names unique.
pub static USERS: Table = Table {
    name: "users",
    hash: "user_id",
    range: None,
    indexes: &[
        Index { name: "username-index", hash: "username", range: None },
        Index { name: "email-index", hash: "email", range: None },
        Index { name: "list_shard-user_id-index", hash: "list_shard", range: Some("user_id") },
    ],
    expires: None,
    small: false,
};

/// Sessions; an ended one is kept until `purge_at`.
pub static SESSIONS: Table = Table {
    name: "sessions",
    hash: "session_id",
    range: None,
    indexes: &[
        Index { name: "user_id-index", hash: "user_id", range: None },
        Index { name: "refresh_token-index", hash: "refresh_token", range: None },
    ],
    expires: Some("purge_at"),
    small: false,
};

/// The statuses an app offers its users to choose from.
pub static STATUSES: Table =
    Table { name: "statuses", hash: "status_id", range: None, indexes: &[], expires: None, small: true };

/// Devices, and under `<id>#deleted` what is kept of deleted ones.
pub static DEVICES: Table = Table {
    name: "devices",
    hash: "device_id",
    range: None,
    indexes: &[
        Index { name: "user_id-index", hash: "user_id", range: None },
        Index { name: "device_uuid-index", hash: "device_uuid", range: None },
    ],
    expires: None,
    small: false,
};

/// Notifications; `unread_of` is present only while unread.
pub static NOTIFICATIONS: Table = Table {
    name: "notifications",
    hash: "notification_id",
    range: None,
    indexes: &[
        Index { name: "user_id-created_at-index", hash: "user_id", range: Some("created_at") },
        Index { name: "unread_of-notification_id-index", hash: "unread_of", range: Some("notification_id") },
    ],
    expires: Some("purge_at"),
    small: false,
};

/// What is known of uploaded files.
pub static FILES: Table = Table {
    name: "files",
    hash: "file_id",
    range: None,
    indexes: &[Index { name: "uploaded_by_user_id-index", hash: "uploaded_by_user_id", range: None }],
    expires: None,
    small: false,
};

/// Verification codes in force, as keyed hashes: one per user and purpose.
pub static USER_VERIFICATIONS: Table = Table {
    name: "user_verifications",
    hash: "user_id",
    range: Some("type"),
    indexes: &[],
    expires: Some("expires_at"),
    small: false,
};

/// The app's released versions.
pub static APP_VERSIONS: Table =
    Table { name: "app_versions", hash: "version_id", range: None, indexes: &[], expires: None, small: true };

/// Messages and other work promised by a committed transaction and not yet done.
pub static OUTBOX: Table = Table {
    name: "outbox",
    hash: "message_id",
    range: None,
    indexes: &[Index { name: "shard-due_at-index", hash: "shard", range: Some("due_at") }],
    expires: None,
    small: false,
};

/// Counted failures, budgets and the like.
pub static COUNTERS: Table = Table {
    name: "counters",
    hash: "counter_id",
    range: None,
    indexes: &[],
    expires: Some("expires_at"),
    small: false,
};

/// Every table, in the order in which they are created.
pub static TABLES: [&Table; 10] = [
    &USERS,
    &SESSIONS,
    &STATUSES,
    &DEVICES,
    &NOTIFICATIONS,
    &FILES,
    &USER_VERIFICATIONS,
    &APP_VERSIONS,
    &OUTBOX,
    &COUNTERS,
];
