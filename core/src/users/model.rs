//! A user as stored, and as shown.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::attributes;
use crate::text::{Email, Name, Phone, Username};
use crate::time::{Date, Timestamp};

/// Over how many partitions the list of all users is spread.
pub const LIST_SHARDS: u8 = 8;

/// What a user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everything.
    Admin,
    /// What concerns themselves.
    #[default]
    User,
}

/// Where an account's identity comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthProvider {
    /// A password.
    #[default]
    Local,
    /// Google.
    Google,
}

/// A user's record. Attributes that an older system wrote and this one does not know are kept in `rest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The id, a ULID.
    pub user_id: String,
    /// The username; a deleted account has none in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// The e-mail address; a deleted account has none in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The username that deletion freed, for restoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_username: Option<Username>,
    /// The e-mail address that deletion freed, for restoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_email: Option<Email>,
    /// Google's id that deletion freed, for restoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_google_sub: Option<String>,
    /// When the account was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// The phone number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "attributes::non_empty")]
    pub phone: Option<Phone>,
    /// Argon2id or bcrypt; accounts that only ever signed in with Google have none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "attributes::non_empty")]
    pub password_hash: Option<String>,
    /// The role.
    #[serde(default)]
    pub role: Role,
    /// The first name.
    #[serde(default = "unnamed")]
    pub first_name: Name,
    /// The last name.
    #[serde(default = "unnamed")]
    pub last_name: Name,
    /// The day of birth.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient_birthday")]
    pub birthday: Option<Date>,
    /// Whether the e-mail address was confirmed.
    #[serde(default)]
    pub email_confirmed: bool,
    /// Whether the phone number was confirmed.
    #[serde(default)]
    pub phone_confirmed: bool,
    /// Where the identity comes from.
    #[serde(default)]
    pub auth_provider: AuthProvider,
    /// Google's id of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google_sub: Option<String>,
    /// Whether the account may be used; stored as 1 or 0.
    #[serde(default = "attributes::enabled", with = "attributes::flag")]
    pub enable: bool,
    /// When the account was made.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// Which part of the list of all users it is in; deleted accounts are in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_shard: Option<String>,
    /// Attributes of the older system, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl User {
    /// A blank account, enabled and in the list of all users.
    #[must_use]
    pub fn new(user_id: String, role: Role, now: Timestamp) -> Self {
        Self {
            list_shard: Some(list_shard(&user_id)),
            user_id,
            username: None,
            email: None,
            deleted_username: None,
            deleted_email: None,
            deleted_google_sub: None,
            deleted_at: None,
            phone: None,
            password_hash: None,
            role,
            first_name: unnamed(),
            last_name: unnamed(),
            birthday: None,
            email_confirmed: false,
            phone_confirmed: false,
            auth_provider: AuthProvider::Local,
            google_sub: None,
            enable: true,
            created_at: now,
            updated_at: now,
            rest: Map::new(),
        }
    }

    /// Whether the account may be used at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enable && self.deleted_at.is_none()
    }

    /// The username, as shown.
    #[must_use]
    pub fn username(&self) -> &str {
        self.username.as_ref().or(self.deleted_username.as_ref()).map_or("", Username::as_str)
    }

    /// The e-mail address, as shown.
    #[must_use]
    pub fn email(&self) -> &str {
        self.email.as_ref().or(self.deleted_email.as_ref()).map_or("", Email::as_str)
    }

    /// The record as its owner and Admins see it.
    #[must_use]
    pub fn view(&self) -> UserView<'_> {
        UserView {
            id: &self.user_id,
            username: self.username(),
            email: self.email(),
            phone: self.phone.as_ref(),
            role: self.role,
            first_name: &self.first_name,
            last_name: &self.last_name,
            birthday: self.birthday,
            verified: self.email_confirmed,
            email_confirmed: self.email_confirmed,
            phone_confirmed: self.phone_confirmed,
            auth_provider: self.auth_provider,
            enable: u8::from(self.is_enabled()),
            created: self.created_at,
            updated: self.updated_at,
        }
    }

    /// The record as anybody else sees it.
    #[must_use]
    pub fn public_view(&self) -> PublicUserView<'_> {
        PublicUserView {
            id: &self.user_id,
            username: self.username(),
            first_name: &self.first_name,
            last_name: &self.last_name,
        }
    }
}

/// *User* in the API.
#[derive(Debug, Serialize)]
pub struct UserView<'a> {
    id: &'a str,
    username: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a Phone>,
    role: Role,
    first_name: &'a Name,
    last_name: &'a Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    birthday: Option<Date>,
    verified: bool,
    email_confirmed: bool,
    phone_confirmed: bool,
    auth_provider: AuthProvider,
    enable: u8,
    created: Timestamp,
    updated: Timestamp,
}

/// *PublicUser* in the API.
#[derive(Debug, Serialize)]
pub struct PublicUserView<'a> {
    id: &'a str,
    username: &'a str,
    first_name: &'a Name,
    last_name: &'a Name,
}

/// The part of the list of all users that an id belongs to.
#[must_use]
pub fn list_shard(user_id: &str) -> String {
    let digest = Sha256::digest(user_id);
    (digest.first().copied().unwrap_or(0) % LIST_SHARDS).to_string()
}

/// An item that makes a name unique: whoever holds it owns the name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The claim's key: its kind, `#`, and the folded name.
    pub user_id: String,
    /// The user that the name belongs to.
    pub owner_id: String,
}

fn unnamed() -> Name {
    Name::lenient("", "-")
}

/// A day, or an instant of the older system, whose zero (`0001-01-01T00:00:00Z`) means none.
fn lenient_birthday<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let date = text.get(..10).and_then(Date::parse);
    Ok(date.filter(|date| Some(*date) > Date::new(1, 1, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_older_system_is_read_and_kept() {
        let row = serde_json::json!({
            "user_id": "01H", "username": "ada", "email": "ada@example.com", "phone": "",
            "password_hash": "$2a$10$x", "role": "User", "enable": 1,
            "birthday": "0001-01-01T00:00:00Z", "favourite_colour": "teal",
        });
        let user: User = serde_json::from_value(row).unwrap();
        assert_eq!((user.phone.as_ref(), user.birthday, user.is_enabled()), (None, None, true));
        let written = serde_json::to_value(&user).unwrap();
        assert_eq!(written["favourite_colour"], "teal");
        assert_eq!(written["enable"], 1);
    }

    #[test]
    fn ids_spread_over_all_shards() {
        let shards: std::collections::BTreeSet<_> =
            (0..200).map(|n| list_shard(&format!("01H{n}"))).collect();
        assert_eq!(shards.len(), usize::from(LIST_SHARDS));
    }
}
