//! Attributes in the forms that the older system gave them, for serde's `with` attributes: 1 and 0 for truth, empty text for
//! absence.

use serde::{Deserialize, Deserializer, Serializer, de};
use serde_json::Value;

/// 1, 0 or a boolean; written as 1 or 0.
pub mod flag {
    use super::{Deserialize, Deserializer, Serializer, Value, de};

    /// Reads 1, 0 or a boolean.
    ///
    /// # Errors
    /// For anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(flag) => Ok(flag),
            Value::Number(number) => Ok(number.as_f64() == Some(1.0)),
            _ => Err(de::Error::custom("expected 1, 0 or a boolean")),
        }
    }

    /// Writes 1 or 0.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(u8::from(*flag))
    }
}

/// Reads a value for which absent, null and empty text are the same.
///
/// # Errors
/// The value's.
pub fn non_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'value> Deserialize<'value>,
{
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => T::deserialize(value).map(Some).map_err(de::Error::custom),
    }
}

/// What a missing `enable` means.
#[must_use]
pub fn enabled() -> bool {
    true
}
