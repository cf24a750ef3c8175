//! Strict JSON: what the contract refuses as malformed (RFC 8259 read by RFC 7493, I-JSON).
//!
//! serde_json alone would accept a repeated unknown member and deeper nesting; the value is therefore read
//! once by a visitor that refuses both, and then given its type.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::request::MAX_JSON_BYTES;
use crate::error::Error;

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// The most values, which is what the longest ordinary body can hold: in memory, each takes many times the two bytes that
/// it can be written with.
pub const MAX_VALUES: usize = MAX_JSON_BYTES / 2;

/// Reads a request body as JSON of the given type.
///
/// # Errors
/// 400 with `malformed_json`, `invalid_utf8`, `duplicate_member`, `nesting_too_deep` or `wrong_type`; the
/// detail says where.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let value = parse_value(bytes)?;
    if !value.is_object() {
        return Err(Error::bad_request("wrong_type", "the body must be a JSON object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let reason = without_value(error.inner().to_string());
        Error::bad_request("wrong_type", format!("the member `{path}` has the wrong type: {reason}"))
    })
}

/// What was expected, without the value that was not: it may be a secret in the wrong place.
fn without_value(text: String) -> String {
    match text.rsplit_once(", expected ") {
        Some((_, wanted)) => format!("expected {wanted}"),
        None => text,
    }
}

fn parse_value(bytes: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::bad_request("invalid_utf8", "the body is not valid UTF-8"))?;
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Err(Error::bad_request("malformed_json", "send a JSON object as the body"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let left = Cell::new(MAX_VALUES);
    let strict = Strict { depth: 0, left: &left };
    strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(refuse)
}

/// Tells the kinds of malformed JSON apart.
fn refuse(error: serde_json::Error) -> Error {
    let text = error.to_string();
    let code = if text.starts_with(DUPLICATE) {
        "duplicate_member"
    } else if text.starts_with(TOO_DEEP) || text.starts_with("recursion limit") {
        "nesting_too_deep"
    } else {
        "malformed_json"
    };
    Error::bad_request(code, format!("the body is not acceptable JSON: {text}"))
}

const DUPLICATE: &str = "a member stands twice";
const TOO_DEEP: &str = "nested more than 64 levels deep";
const TOO_MANY: &str = "more values than any request needs";

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            Err(E::custom(TOO_DEEP))
        } else {
            Ok(Self { depth: self.depth + 1, ..self })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| de::Error::custom(TOO_MANY))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let (inner, mut items) = (self.deeper()?, Vec::new());
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let (inner, mut members) = (self.deeper()?, Map::new());
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(DUPLICATE));
            }
            members.insert(name, access.next_value_seed(inner)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        name: Option<String>,
    }

    fn code(bytes: &[u8]) -> &'static str {
        parse::<Sample>(bytes).unwrap_err().code
    }

    #[test]
    fn accepts_objects_with_unknown_members() {
        let sample: Sample = parse(br#" {"name":"Ada","x":[1,{"y":null}]} "#).unwrap();
        assert_eq!(sample.name.as_deref(), Some("Ada"));
    }

    #[test]
    fn refuses_what_is_malformed() {
        assert_eq!(code(b""), "malformed_json");
        assert_eq!(code(b"{\"name\":\"a\"} x"), "malformed_json");
        assert_eq!(code(b"{\"name\":}"), "malformed_json");
        assert_eq!(code(b"{\"name\":1e999}"), "malformed_json");
        assert_eq!(code(b"{\"name\":\"\xff\"}"), "invalid_utf8");
        assert_eq!(code(b"{\"name\":\"\\ud800\"}"), "malformed_json");
        assert_eq!(code(b"{\"name\":\"a\",\"name\":\"b\"}"), "duplicate_member");
        assert_eq!(code(b"{\"x\":{\"y\":1,\"y\":2}}"), "duplicate_member");
        assert_eq!(code(b"{\"name\":1}"), "wrong_type");
        assert_eq!(code(b"[]"), "wrong_type");
        assert_eq!(code(b"null"), "wrong_type");
    }

    #[test]
    fn l1_a_value_of_the_wrong_type_is_not_quoted() {
        #[derive(Debug, Deserialize)]
        struct Typed {
            #[expect(dead_code, reason = "it is only read")]
            size: Option<u64>,
        }
        let wrong = br#"{"size":"a secret, expected nowhere"}"#;
        let detail = parse::<Typed>(wrong).unwrap_err().detail;
        assert_eq!(detail, "the member `size` has the wrong type: expected u64");
    }

    #[test]
    fn a5_values_are_counted() {
        // Besides those in the list: the list, and the object.
        let list = |values: usize| format!("{{\"x\":[0{}]}}", ",0".repeat(values - 3));
        assert!(list(MAX_VALUES).len() <= MAX_JSON_BYTES + 8);
        assert!(parse::<Sample>(list(MAX_VALUES).as_bytes()).is_ok());
        assert_eq!(code(list(MAX_VALUES + 1).as_bytes()), "malformed_json");
        let members: String = (0..MAX_VALUES).map(|n| format!("\"{n}\":0,")).collect();
        assert_eq!(code(format!("{{{members}\"x\":0}}").as_bytes()), "malformed_json");
    }

    #[test]
    fn a5_nesting_ends_at_64_levels() {
        let nested =
            |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse::<Sample>(nested(64).as_bytes()).is_ok());
        assert_eq!(code(nested(65).as_bytes()), "nesting_too_deep");
        assert_eq!(code(nested(30_000).as_bytes()), "nesting_too_deep");
    }
}
