//! A text message, read from what `Publish` was sent. One that SNS would refuse is not a `Message`.

use super::{Form, entries, invalid};
use crate::refusal::AwsError;
use serde::Serialize;
use std::collections::BTreeMap;

/// SNS sends no longer texts than this (SNS developer guide, "Sending SMS messages").
const MAX_CHARS: usize = 1600;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Message {
    phone_number: String,
    topic_arn: Option<String>,
    subscription_arn: Option<String>,
    message_id: String,
    message: String,
    message_attributes: BTreeMap<String, Attribute>,
    message_structure: Option<String>,
    subject: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    data_type: String,
    string_value: String,
}

impl Message {
    pub(crate) fn read(form: &Form) -> Result<Self, AwsError> {
        let find = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
        if find("TopicArn").or_else(|| find("TargetArn")).is_some() {
            return Err(AwsError::new(404, "NotFound", "Topic does not exist"));
        }
        let number =
            find("PhoneNumber").ok_or_else(|| invalid("Invalid parameter: PhoneNumber Reason: no value"))?;
        if !is_e164(&number) {
            let reason =
                format!("Invalid parameter: PhoneNumber Reason: {number} is not valid to publish to");
            return Err(invalid(&reason));
        }
        let text = find("Message").filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| invalid("Invalid parameter: Empty message"))?;
        if text.chars().count() > MAX_CHARS {
            return Err(invalid(
                "Invalid parameter: Message Reason: the text is longer than 1600 characters",
            ));
        }
        Ok(Self {
            phone_number: number,
            topic_arn: None,
            subscription_arn: None,
            message_id: uuid::Uuid::new_v4().to_string(),
            message: text,
            message_attributes: attributes(form)?,
            message_structure: find("MessageStructure"),
            subject: find("Subject"),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.message_id
    }

    pub(crate) fn number(&self) -> &str {
        &self.phone_number
    }
}

fn attributes(form: &Form) -> Result<BTreeMap<String, Attribute>, AwsError> {
    let types = entries(form, "MessageAttributes.entry.", "Name", "Value.DataType");
    let values = entries(form, "MessageAttributes.entry.", "Name", "Value.StringValue");
    let mut attributes = BTreeMap::new();
    for ((name, data_type), (_, string_value)) in types.into_iter().zip(values) {
        check_attribute(&name, &data_type, &string_value)?;
        attributes.insert(name, Attribute { data_type, string_value });
    }
    Ok(attributes)
}

fn check_attribute(name: &str, data_type: &str, value: &str) -> Result<(), AwsError> {
    let reason = match name {
        _ if data_type.is_empty() => Some("must contain non-empty message attribute type"),
        "AWS.SNS.SMS.SMSType" if !["Promotional", "Transactional"].contains(&value) => {
            Some("must be Promotional or Transactional")
        }
        "AWS.SNS.SMS.SenderID" if !is_sender(value) => {
            Some("must be 1 to 11 letters and digits, with at least one letter")
        }
        _ => None,
    };
    match reason {
        Some(reason) => {
            Err(invalid(&format!("Invalid parameter: MessageAttributes Reason: {name} {reason}")))
        }
        None => Ok(()),
    }
}

/// `+`, a digit other than 0, and up to 14 more (ITU-T E.164); none that exist has fewer than 7.
fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_sender(value: &str) -> bool {
    (1..=11).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}
