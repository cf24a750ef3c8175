//! An app version as stored, and as shown; and what an outdated app is told.

use std::cmp::Ordering;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::version;
use crate::attributes;
use crate::time::Timestamp;

/// A release of the app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppVersion {
    /// The id, a ULID.
    pub version_id: String,
    /// The version.
    #[serde(with = "version")]
    pub version: Version,
    /// The platform it is for; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "attributes::non_empty")]
    pub platform: Option<String>,
    /// Whether older versions should stop working.
    #[serde(default)]
    pub mandatory: bool,
    /// Whether the version check looks at it.
    #[serde(default = "attributes::enabled")]
    pub enable: bool,
    /// Where to get it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "attributes::non_empty")]
    pub url: Option<String>,
    /// What is new.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "attributes::non_empty")]
    pub notes: Option<String>,
    /// When it was announced.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// Attributes of the older system, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl AppVersion {
    /// The order of lists: by precedence, and among equals by id, newest first.
    #[must_use]
    pub fn newest_first(&self, other: &Self) -> Ordering {
        self.order_against(&other.version, &other.version_id)
    }

    /// Where this version stands in lists, relative to a place among them.
    #[must_use]
    pub fn order_against(&self, version: &Version, version_id: &str) -> Ordering {
        version.cmp_precedence(&self.version).then_with(|| version_id.cmp(&self.version_id))
    }

    /// The version as anybody sees it.
    #[must_use]
    pub fn view(&self) -> AppVersionView<'_> {
        AppVersionView {
            id: &self.version_id,
            version: self.version.to_string(),
            platform: self.platform.as_deref(),
            mandatory: self.mandatory,
            enable: self.enable,
            url: self.url.as_deref(),
            notes: self.notes.as_deref(),
        }
    }
}

/// *AppVersion* in the API.
#[derive(Debug, Serialize)]
pub struct AppVersionView<'a> {
    id: &'a str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a str>,
    mandatory: bool,
    enable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'a str>,
}

/// *UpdateRequired* in the API.
#[derive(Debug, Serialize)]
pub struct UpdateRequired<'a> {
    message: &'static str,
    latest: String,
    mandatory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'a str>,
}

impl<'a> UpdateRequired<'a> {
    /// What an app of the installed version is told, if it is outdated. `versions` are newest first.
    ///
    /// The update is mandatory if any version that the app lacks is: skipping one does not make it optional.
    #[must_use]
    pub fn of(versions: &'a [AppVersion], installed: &Version) -> Option<Self> {
        let lacking = |version: &&AppVersion| {
            version.enable && version.version.cmp_precedence(installed) == Ordering::Greater
        };
        let latest = versions.iter().find(lacking)?;
        Some(Self {
            message: "update required",
            latest: latest.version.to_string(),
            mandatory: versions.iter().filter(lacking).any(|version| version.mandatory),
            url: latest.url.as_deref(),
            notes: latest.notes.as_deref(),
        })
    }
}

/// An item that makes a version unique for its platform.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The claim's key.
    pub version_id: String,
    /// The app version that holds it.
    pub owner_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(version: &str, enable: bool, mandatory: bool) -> AppVersion {
        let id = format!("id-{version}");
        let row = json!({ "version_id": id, "version": version, "enable": enable, "mandatory": mandatory });
        serde_json::from_value(row).unwrap()
    }

    fn told(versions: &mut [AppVersion], installed: &str) -> Option<(String, bool)> {
        versions.sort_by(AppVersion::newest_first);
        let update = UpdateRequired::of(versions, &version::parse(installed).unwrap())?;
        Some((update.latest, update.mandatory))
    }

    #[test]
    fn fault_9_the_newest_enabled_version_decides() {
        let mut versions =
            [release("1.9", true, false), release("1.10", true, false), release("2.0", false, true)];
        assert_eq!(told(&mut versions, "1.9"), Some(("1.10.0".to_owned(), false)));
        assert_eq!(told(&mut versions, "1.10"), None);
        assert_eq!(told(&mut versions, "1.11"), None);
        assert_eq!(told(&mut [], "0"), None);
    }

    #[test]
    fn skipping_a_mandatory_version_is_not_optional() {
        let mut versions = [release("1.1", true, true), release("1.2", true, false)];
        assert_eq!(told(&mut versions, "1.0"), Some(("1.2.0".to_owned(), true)));
        assert_eq!(told(&mut versions, "1.1"), Some(("1.2.0".to_owned(), false)));
    }

    #[test]
    fn a_row_of_the_older_system_is_read() {
        let row = json!({ "version_id": "01H", "version": 1.1, "platform": "", "force": true });
        let version: AppVersion = serde_json::from_value(row).unwrap();
        assert_eq!((version.version.to_string().as_str(), version.enable), ("1.1.0", true));
        let written = serde_json::to_value(&version).unwrap();
        assert_eq!((&written["version"], &written["force"]), (&json!("1.1.0"), &json!(true)));
        assert!(written.get("platform").is_none());
    }
}
