//! Attribute values, as core has them and as the SDK has them.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Sdk;
use portico_core::dynamo::attribute::{AttributeValue, Attributes};
use portico_core::dynamo::client::Failure;

/// Attributes for the SDK.
pub(super) fn encode(attributes: &Attributes) -> HashMap<String, Sdk> {
    attributes.iter().map(|(name, value)| (name.clone(), encode_value(value))).collect()
}

/// Attributes for the SDK, none if there are none: DynamoDB refuses empty maps beside expressions.
pub(super) fn encode_some(attributes: &Attributes) -> Option<HashMap<String, Sdk>> {
    (!attributes.is_empty()).then(|| encode(attributes))
}

/// Attributes from the SDK.
///
/// # Errors
/// When DynamoDB has gained a type that this SDK does not know.
pub(super) fn decode(attributes: HashMap<String, Sdk>) -> Result<Attributes, Failure> {
    attributes.into_iter().map(|(name, value)| Ok((name, decode_value(value)?))).collect()
}

fn encode_value(value: &AttributeValue) -> Sdk {
    match value {
        AttributeValue::S(text) => Sdk::S(text.clone()),
        AttributeValue::N(number) => Sdk::N(number.clone()),
        AttributeValue::B(bytes) => Sdk::B(Blob::new(bytes.clone())),
        AttributeValue::Bool(flag) => Sdk::Bool(*flag),
        AttributeValue::Null(null) => Sdk::Null(*null),
        AttributeValue::L(values) => Sdk::L(values.iter().map(encode_value).collect()),
        AttributeValue::M(members) => Sdk::M(encode(members)),
        AttributeValue::Ss(texts) => Sdk::Ss(texts.clone()),
        AttributeValue::Ns(numbers) => Sdk::Ns(numbers.clone()),
        AttributeValue::Bs(all) => Sdk::Bs(all.iter().cloned().map(Blob::new).collect()),
    }
}

fn decode_value(value: Sdk) -> Result<AttributeValue, Failure> {
    Ok(match value {
        Sdk::S(text) => AttributeValue::S(text),
        Sdk::N(number) => AttributeValue::N(number),
        Sdk::B(bytes) => AttributeValue::B(bytes.into_inner()),
        Sdk::Bool(flag) => AttributeValue::Bool(flag),
        Sdk::Null(null) => AttributeValue::Null(null),
        Sdk::L(values) => AttributeValue::L(values.into_iter().map(decode_value).collect::<Result<_, _>>()?),
        Sdk::M(members) => AttributeValue::M(decode(members)?),
        Sdk::Ss(texts) => AttributeValue::Ss(texts),
        Sdk::Ns(numbers) => AttributeValue::Ns(numbers),
        Sdk::Bs(all) => AttributeValue::Bs(all.into_iter().map(Blob::into_inner).collect()),
        _ => return Err(Failure::unanswered("an item with an attribute of an unknown type", true)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_comes_back() {
        let attributes: Attributes = serde_json::from_value(json!({
            "s": {"S": ""}, "n": {"N": "1.50"}, "b": {"B": "AP8="}, "t": {"BOOL": true}, "z": {"NULL": true},
            "l": {"L": [{"L": []}, {"M": {}}, {"S": "x"}]}, "m": {"M": {"x": {"M": {"y": {"N": "1"}}}}},
            "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2.5"]}, "bs": {"BS": ["AP8=", ""]},
        }))
        .unwrap();
        assert_eq!(decode(encode(&attributes)).unwrap(), attributes);
        assert_eq!(encode_some(&attributes).map(|sdk| sdk.len()), Some(10));
        assert_eq!(encode_some(&Attributes::new()), None);
    }
}
