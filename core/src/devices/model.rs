//! A device as stored, and as shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::repo;
use crate::attributes;
use crate::text::line;
use crate::time::Timestamp;
use crate::validate::Invalid;

/// What an app calls the device it runs on: a line of 1 to 128 characters. It is unique to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceUuid(String);

impl DeviceUuid {
    /// Reads a device's name; surrounding white space is dropped.
    ///
    /// # Errors
    /// `too_short`, `too_long`, `invalid_characters`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 128, "a device's name").map(Self)
    }

    /// The name of a device whose app gave it none: a new id.
    #[must_use]
    pub fn made_here(id: String) -> Self {
        Self(id)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A device that an account has signed in on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// The id, derived from the owner and the device's name; of the older system, a ULID.
    pub device_id: String,
    /// Whose it is.
    pub user_id: String,
    /// What the app calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub device_uuid: String,
    /// The token that push messages go to; empty for none.
    #[serde(default)]
    pub token: String,
    /// The app version that is installed; empty if it is not known.
    #[serde(default)]
    pub app_version_id: String,
    /// Whether it is in use. The older system kept deleted devices, disabled.
    #[serde(default = "attributes::enabled")]
    pub enable: bool,
    /// When the account first signed in on it.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When its record last changed.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// Attributes of the older system, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Device {
    /// A device that an account signs in on for the first time.
    #[must_use]
    pub fn new(user_id: &str, uuid: &DeviceUuid, now: Timestamp) -> Self {
        Self {
            device_id: repo::device_id(user_id, uuid),
            user_id: user_id.to_owned(),
            device_uuid: uuid.as_str().to_owned(),
            token: String::new(),
            app_version_id: String::new(),
            enable: true,
            created_at: now,
            updated_at: now,
            rest: Map::new(),
        }
    }

    /// The device as its owner sees it.
    #[must_use]
    pub fn view(&self) -> DeviceView<'_> {
        DeviceView {
            id: &self.device_id,
            uuid: &self.device_uuid,
            user_id: &self.user_id,
            token: &self.token,
            app_version_id: &self.app_version_id,
            enable: self.enable,
            created: self.created_at,
            updated: self.updated_at,
        }
    }
}

/// *Device* in the API.
#[derive(Debug, Serialize)]
pub struct DeviceView<'a> {
    /// The id.
    pub id: &'a str,
    uuid: &'a str,
    user_id: &'a str,
    token: &'a str,
    app_version_id: &'a str,
    enable: bool,
    created: Timestamp,
    updated: Timestamp,
}

/// What an update wants of a device; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChanges {
    /// The token that push messages go to; empty for none.
    pub token: Option<String>,
    /// The app version that is installed; empty if it is not known.
    pub app_version_id: Option<String>,
}

impl DeviceChanges {
    /// The device as the update wants it.
    #[must_use]
    pub fn apply(&self, device: &Device, now: Timestamp) -> Device {
        let mut changed = device.clone();
        changed.token.clone_from(self.token.as_ref().unwrap_or(&device.token));
        changed.app_version_id.clone_from(self.app_version_id.as_ref().unwrap_or(&device.app_version_id));
        changed.updated_at = now;
        changed
    }
}

/// Reads the id of something that may be nothing: a ULID in upper case, or an empty text.
///
/// # Errors
/// `invalid_format`.
pub fn optional_ulid(text: String) -> Result<String, Invalid> {
    let canonical = ulid::Ulid::from_string(&text).is_ok_and(|id| id.to_string() == text);
    if text.is_empty() || canonical {
        Ok(text)
    } else {
        Err(Invalid::format("give an id of 26 characters, or an empty text for none"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_named_by_one_line() {
        for right in ["1", "6f1c2f0e-3d0b", "Ada's phone", &"ä".repeat(128)] {
            assert_eq!(DeviceUuid::parse(right).unwrap().as_str(), right);
        }
        for wrong in ["", "  ", "a\nb", "a\u{0}", "a\u{202e}b", &"a".repeat(129)] {
            assert!(DeviceUuid::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_row_of_the_older_system_is_read_and_kept() {
        let row = json!({ "device_id": "01H", "user_id": "01U", "enable": true, "os": "ios" });
        let device: Device = serde_json::from_value(row).unwrap();
        let written = serde_json::to_value(&device).unwrap();
        assert_eq!((&written["os"], &written["token"]), (&json!("ios"), &json!("")));
        assert!(written.get("device_uuid").is_none(), "an index attribute must not be empty");
    }

    #[test]
    fn an_optional_id_is_a_ulid_or_empty() {
        for right in ["", "01KHXB3VQ0T5R7Y9W1N2C4D6E8"] {
            assert_eq!(optional_ulid(right.to_owned()).unwrap(), right);
        }
        for wrong in
            ["x", "01khxb3vq0t5r7y9w1n2c4d6e8", "81KHXB3VQ0T5R7Y9W1N2C4D6E8", "01KHXB3VQ0T5R7Y9W1N2C4D6EU"]
        {
            assert!(optional_ulid(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
