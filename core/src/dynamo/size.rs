//! How large DynamoDB counts an item. Its measure is not that of JSON: a small number weighs more,
//! punctuation less.
//!
//! Where the developer guide says "approximately" (numbers), the upper estimate is taken: nothing is larger
//! than counted here.

use super::attribute::{AttributeValue, Attributes};

/// The largest item, in DynamoDB's measure: 400 KB.
pub const MAX_ITEM_SIZE: usize = 400 * 1024;

/// The most that the items of a transaction may measure together; DynamoDB takes 4 MB.
pub const MAX_TRANSACTION_SIZE: usize = 4_000_000;

/// The size of an item or a key.
#[must_use]
pub fn of_attributes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + of_value(value)).sum()
}

fn of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(text) => of_number(text),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + of_value(value)).sum::<usize>(),
        AttributeValue::M(members) => 3 + members.len() + of_attributes(members),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|text| of_number(text)).sum(),
        AttributeValue::Bs(all) => all.iter().map(Vec::len).sum(),
    }
}

/// One byte for two significant digits, one for the exponent, one for a sign, and one for a pair begun on
/// either side.
fn of_number(text: &str) -> usize {
    let digits =
        text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit).count();
    (digits.div_ceil(2) + 3).min(21)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn size(value: &Value) -> usize {
        of_value(&AttributeValue::from_json(value).unwrap())
    }

    #[test]
    fn values_measure_what_the_guide_says() {
        assert_eq!(size(&json!("")), 0);
        assert_eq!(size(&json!("é😀")), 6);
        assert_eq!(size(&json!(true)) + size(&json!(null)), 2);
        assert_eq!(size(&json!([])), 3);
        assert_eq!(size(&json!({"ab": "c", "d": [null]})), 3 + (1 + 2 + 1) + (1 + 1 + 3 + 1 + 1));
        assert!((2..=4).contains(&size(&json!(7))));
        assert!((5..=8).contains(&size(&json!(-1234567.5))));
        assert_eq!(of_number(&"9".repeat(38)), 21);
    }
}
