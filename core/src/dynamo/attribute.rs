//! Attribute values as DynamoDB types them, and JSON values as such.
//!
//! What DynamoDB would refuse, or give back as another value, is not translated: [`super::item`] keeps it as
//! text.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// Attributes by their names: an item, a key, or a map within an item.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// A value with its DynamoDB type. Serialises to DynamoDB's JSON (`{"S": "text"}`); `Debug` shows no content.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// A string.
    S(String),
    /// A number, in decimal; DynamoDB keeps 38 digits of it, in a notation of its own.
    N(String),
    /// Bytes.
    #[serde(with = "binary")]
    B(Vec<u8>),
    /// A boolean.
    #[serde(rename = "BOOL")]
    Bool(bool),
    /// Null; always true.
    #[serde(rename = "NULL")]
    Null(bool),
    /// A list.
    L(Vec<AttributeValue>),
    /// A map.
    M(Attributes),
    /// A set of strings.
    #[serde(rename = "SS")]
    Ss(Vec<String>),
    /// A set of numbers.
    #[serde(rename = "NS")]
    Ns(Vec<String>),
    /// A set of byte strings.
    #[serde(rename = "BS", with = "binaries")]
    Bs(Vec<Vec<u8>>),
}

/// How deep lists and maps may stand in one another; DynamoDB allows 32 levels, the item's own included.
const MAX_DEPTH: usize = 30;

/// The longest name of an attribute that is no key, in bytes.
const MAX_NAME_BYTES: usize = 65_535;

impl AttributeValue {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Self::S(text.into())
    }

    /// An integer.
    pub fn number(number: impl Into<i128>) -> Self {
        Self::N(number.into().to_string())
    }

    /// The attribute value that comes back as this JSON value; `None` if there is none, or none that DynamoDB
    /// accepts.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Self::nested(value, 0)
    }

    fn nested(value: &Value, depth: usize) -> Option<Self> {
        if depth > MAX_DEPTH {
            return None;
        }
        Some(match value {
            Value::Null => Self::Null(true),
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::N(kept(number).then(|| number.to_string())?),
            Value::String(text) => Self::S(text.clone()),
            Value::Array(values) => {
                Self::L(values.iter().map(|value| Self::nested(value, depth + 1)).collect::<Option<_>>()?)
            }
            Value::Object(members) => Self::M(
                members
                    .iter()
                    .map(|(name, value)| {
                        Some((is_name(name).then(|| name.clone())?, Self::nested(value, depth + 1)?))
                    })
                    .collect::<Option<_>>()?,
            ),
        })
    }

    /// The JSON value of an attribute value. Sets become arrays and bytes base64 (RFC 4648, section 4): only
    /// older systems wrote those.
    ///
    /// # Errors
    /// [`NotANumber`] for a number that is none.
    pub fn into_json(self) -> Result<Value, NotANumber> {
        Ok(match self {
            Self::S(text) => Value::String(text),
            Self::N(text) => number(&text)?,
            Self::B(bytes) => Value::String(STANDARD.encode(bytes)),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Null(_) => Value::Null,
            Self::L(values) => {
                Value::Array(values.into_iter().map(Self::into_json).collect::<Result<_, _>>()?)
            }
            Self::M(members) => Value::Object(object(members)?),
            Self::Ss(texts) => Value::Array(texts.into_iter().map(Value::String).collect()),
            Self::Ns(numbers) => {
                Value::Array(numbers.iter().map(|text| number(text)).collect::<Result<_, _>>()?)
            }
            Self::Bs(all) => {
                Value::Array(all.iter().map(|bytes| Value::String(STANDARD.encode(bytes))).collect())
            }
        })
    }
}

/// The JSON object of attributes.
///
/// # Errors
/// As [`AttributeValue::into_json`].
pub fn object(attributes: Attributes) -> Result<Map<String, Value>, NotANumber> {
    attributes.into_iter().map(|(name, value)| Ok((name, value.into_json()?))).collect()
}

/// A number that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a number attribute that is no number")]
pub struct NotANumber;

/// Whether DynamoDB accepts an attribute's name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_BYTES
}

/// Whether DynamoDB gives a number back as it is. It keeps no difference between `1.0` and `1`, and
/// magnitudes from 1e-130 to below 1e126; the digits of a double always fit.
fn kept(number: &Number) -> bool {
    const BEYOND_INTEGERS: f64 = 18_446_744_073_709_551_616.0; // 2^64
    if number.is_i64() || number.is_u64() {
        return true;
    }
    number.as_f64().is_some_and(|number| {
        let size = number.abs();
        if number.fract() == 0.0 { (BEYOND_INTEGERS..1e125).contains(&size) } else { size > 1e-129 }
    })
}

fn number(text: &str) -> Result<Value, NotANumber> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Ok(number.into());
    }
    text.parse().ok().and_then(Number::from_f64).map(Value::Number).ok_or(NotANumber)
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null(_) => "NULL",
            Self::L(_) => "L",
            Self::M(_) => "M",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        })
    }
}

mod binary {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

mod binaries {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(all: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|bytes| STANDARD.encode(bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| STANDARD.decode(text).map_err(de::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wire(value: &AttributeValue) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn json_values_have_types_and_come_back() {
        let value = json!({
            "s": "", "n": [0, -1, i64::MIN, u64::MAX, 0.1, -2.5, 1.5e100, -1.25e-100], "t": true, "z": null,
            "l": [[], {}], "m": {"x": {"y": []}},
        });
        let attribute = AttributeValue::from_json(&value).unwrap();
        assert_eq!(
            wire(&attribute),
            json!({"M": {
                "s": {"S": ""},
                "n": {"L": [
                    {"N": "0"}, {"N": "-1"}, {"N": "-9223372036854775808"}, {"N": "18446744073709551615"},
                    {"N": "0.1"}, {"N": "-2.5"}, {"N": "1.5e+100"}, {"N": "-1.25e-100"},
                ]},
                "t": {"BOOL": true}, "z": {"NULL": true},
                "l": {"L": [{"L": []}, {"M": {}}]},
                "m": {"M": {"x": {"M": {"y": {"L": []}}}}},
            }})
        );
        let read: AttributeValue = serde_json::from_value(wire(&attribute)).unwrap();
        assert_eq!(read.into_json().unwrap(), value);
    }

    #[test]
    fn what_would_come_back_changed_has_no_attribute_value() {
        let mut deep = json!(1);
        for _ in 0..=MAX_DEPTH {
            deep = json!([deep]);
        }
        for value in [
            json!(1.0),
            json!(-0.0),
            json!(1e18),
            json!(1e126),
            json!(f64::MAX),
            json!(1e-130),
            json!(f64::MIN_POSITIVE),
            json!([{"x": [2.0]}]),
            json!({"": 1}),
            json!({"x": {"n".repeat(MAX_NAME_BYTES + 1): 1}}),
            deep.clone(),
        ] {
            assert!(AttributeValue::from_json(&value).is_none(), "{value}");
        }
        assert!(AttributeValue::from_json(&deep[0]).is_some());
    }

    #[test]
    fn numbers_are_read_in_any_notation() {
        let long = format!("15{}", "0".repeat(99));
        for (text, value) in [
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("1.5E+100", json!(1.5e100)),
            (&long, json!(1.5e100)),
            ("0.30000000000000004", json!(0.300_000_000_000_000_04)),
            ("0.12345678901234567890123456789012345678", json!(0.123_456_789_012_345_68)),
        ] {
            assert_eq!(AttributeValue::N(text.into()).into_json().unwrap(), value, "{text}");
        }
        for text in ["", "x", "NaN", "inf", "1e999"] {
            assert!(AttributeValue::N(text.into()).into_json().is_err(), "{text}");
        }
    }

    #[test]
    fn sets_and_bytes_of_older_rows_are_read() {
        let row = json!({"M": {
            "b": {"B": "AP8="}, "bs": {"BS": ["AP8=", ""]}, "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2.5"]},
        }});
        let attribute: AttributeValue = serde_json::from_value(row.clone()).unwrap();
        assert_eq!(wire(&attribute), row);
        assert_eq!(
            attribute.into_json().unwrap(),
            json!({"b": "AP8=", "bs": ["AP8=", ""], "ss": ["a", "b"], "ns": [1, 2.5]})
        );
    }

    #[test]
    fn debug_shows_no_content() {
        let attribute = AttributeValue::from_json(&json!({"secret": "s3cret"})).unwrap();
        assert_eq!(format!("{attribute:?}"), "M");
    }
}
