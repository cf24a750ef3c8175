//! Version numbers: Semantic Versioning 2.0, read leniently.

use semver::Version;
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Number;

use crate::validate::Invalid;

/// The longest version, in characters.
const MAX_CHARS: usize = 128;

/// A version as a request or an older row gives it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a string or a number")]
pub enum VersionText {
    /// A string, such as `1.10.2`.
    Text(String),
    /// A number; `1.10` is the same number as `1.1`, so that only a string keeps a trailing zero.
    Number(Number),
}

impl VersionText {
    /// Reads the version.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn parse(&self) -> Result<Version, Invalid> {
        match self {
            Self::Text(text) => parse(text),
            Self::Number(number) => parse(&number.to_string()),
        }
    }
}

/// Reads a version; parts that are missing are zero, so that `1` is `1.0.0` and `1.1-beta` is `1.1.0-beta`.
///
/// # Errors
/// `invalid_format`.
pub fn parse(text: &str) -> Result<Version, Invalid> {
    let text = text.trim();
    let (core, suffix) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let missing = 2_usize.saturating_sub(core.matches('.').count());
    let whole = format!("{core}{}{suffix}", ".0".repeat(missing));
    Version::parse(&whole)
        .ok()
        .filter(|_| whole.len() <= MAX_CHARS)
        .ok_or_else(|| Invalid::format("give a version of the form 1.10.2 (Semantic Versioning 2.0)"))
}

/// Two versions of equal precedence have this text in common: all but the build metadata.
#[must_use]
pub fn precedence_text(version: &Version) -> String {
    Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }.to_string()
}

/// Reads a stored version.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = VersionText::deserialize(deserializer)?;
    text.parse().map_err(|invalid| serde::de::Error::custom(invalid.message))
}

/// Stores a version as text.
pub(super) fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(json: &str) -> Version {
        serde_json::from_str::<VersionText>(json).unwrap().parse().unwrap()
    }

    #[test]
    fn missing_parts_are_zero() {
        for (given, expected) in [
            ("1", "1.0.0"),
            ("1.1", "1.1.0"),
            ("1.0", "1.0.0"),
            (r#""1.10""#, "1.10.0"),
            (r#"" 1.10.2 ""#, "1.10.2"),
            (r#""1.1-beta.2+5""#, "1.1.0-beta.2+5"),
            (r#""2+5.6""#, "2.0.0+5.6"),
        ] {
            assert_eq!(version(given).to_string(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        let long = format!("1.0.0-{}", "a".repeat(200));
        for wrong in [
            "",
            ".",
            "1.",
            "1.2.3.4",
            "v1",
            "-1",
            "1e21",
            "01.2",
            "1.2.x",
            "1 .2",
            "99999999999999999999",
            &long,
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["true", "[1]", "{}"] {
            assert!(serde_json::from_str::<VersionText>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fault_9_precedence_is_not_that_of_floating_point_numbers() {
        let order = ["1.9.0-beta", "1.9.0", "1.9.1", "1.10", "1.10.1", "2", "10"];
        for pair in order.windows(2) {
            let (older, newer) = (parse(pair[0]).unwrap(), parse(pair[1]).unwrap());
            assert!(newer.cmp_precedence(&older).is_gt(), "{pair:?}");
        }
    }

    #[test]
    fn build_metadata_has_no_precedence() {
        let (one, other) = (parse("1.2.3+1").unwrap(), parse("1.2.3+2").unwrap());
        assert_eq!(precedence_text(&one), precedence_text(&other));
        assert_ne!(precedence_text(&one), precedence_text(&parse("1.2.3-1").unwrap()));
    }
}
