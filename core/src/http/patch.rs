//! A member of an update that may be absent, `null` or a value, which are three different wishes.

use serde::{Deserialize, Deserializer};

use crate::validate::Invalid;

/// What an update wants of an optional value. Members of this type carry `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The member is absent: leave the value.
    #[default]
    Keep,
    /// The member is `null`: clear the value.
    Clear,
    /// Replace the value.
    Set(T),
}

impl<T> Patch<T> {
    /// Parses a value that is to be set.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn parse<U>(self, parse: impl FnOnce(T) -> Result<U, Invalid>) -> Result<Patch<U>, Invalid> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(parse(value)?),
        })
    }

    /// Does to a value what the update wants.
    pub fn apply(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        #[serde(default)]
        phone: Patch<String>,
    }

    fn read(text: &str) -> Patch<String> {
        serde_json::from_str::<Sample>(text).unwrap().phone
    }

    #[test]
    fn absent_null_and_a_value_are_told_apart() {
        assert_eq!(read("{}"), Patch::Keep);
        assert_eq!(read(r#"{"phone":null}"#), Patch::Clear);
        assert_eq!(read(r#"{"phone":"1"}"#), Patch::Set("1".to_owned()));
        assert!(serde_json::from_str::<Sample>(r#"{"phone":1}"#).is_err());
    }

    #[test]
    fn each_does_its_own() {
        for (patch, expected) in [(Patch::Keep, Some(1)), (Patch::Clear, None), (Patch::Set(2), Some(2))] {
            let mut value = Some(1);
            patch.apply(&mut value);
            assert_eq!(value, expected);
        }
    }
}
