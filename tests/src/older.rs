//! Rows as the older system left them in DynamoDB, in `fixtures/older/`: made up, in its types, with its gaps and oddities.
//!
//! All passwords are `U*U`, of which the hash is a published vector of bcrypt.

use portico_core::dynamo::attribute::Attributes;
use portico_core::schema::{
    APP_VERSIONS, DEVICES, FILES, NOTIFICATIONS, SESSIONS, STATUSES, Table, USER_VERIFICATIONS, USERS,
};

/// The password of everybody.
pub const PASSWORD: &str = "U*U";

/// A user with rows in every table.
pub const GRACE: &str = "01H00000000000000000GRACE0";

/// Grace's session.
pub const SESSION: &str = "01H00000000000000000SESS10";
/// The device that it is on.
pub const DEVICE: &str = "01H0000000000000000DEV1CE0";
/// Its refresh token.
pub const REFRESH_TOKEN: &str = "b3BhcXVlLXJlZnJlc2gtdG9rZW4";

/// An administrator.
pub const BOSS: &str = "01H000000000000000000B0SS0";

/// A disabled user of whom hardly anything is stored, and no e-mail address.
pub const BARE: &str = "01H000000000000000000BARE0";

/// Every table of the older system with its rows.
pub fn rows() -> Vec<(&'static Table, Vec<Attributes>)> {
    [
        (&USERS, include_str!("../fixtures/older/users.json")),
        (&SESSIONS, include_str!("../fixtures/older/sessions.json")),
        (&STATUSES, include_str!("../fixtures/older/statuses.json")),
        (&DEVICES, include_str!("../fixtures/older/devices.json")),
        (&NOTIFICATIONS, include_str!("../fixtures/older/notifications.json")),
        (&FILES, include_str!("../fixtures/older/files.json")),
        (&USER_VERIFICATIONS, include_str!("../fixtures/older/user_verifications.json")),
        (&APP_VERSIONS, include_str!("../fixtures/older/app_versions.json")),
    ]
    .map(|(table, text)| (table, serde_json::from_str(text).expect("rows in DynamoDB's JSON")))
    .into()
}
