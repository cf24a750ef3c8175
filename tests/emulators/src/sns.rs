//! SNS as far as text messages need it: messages are kept instead of sent, and shown in the form that
//! LocalStack has.

mod message;
mod xml;

use crate::answer::Answer;
use crate::refusal::AwsError;
use crate::service::Service;
use message::Message;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A request's form.
type Form = Vec<(String, String)>;

/// The messages sent so far, and the account's settings.
#[derive(Debug, Default)]
pub(crate) struct Sns {
    messages: Mutex<Vec<Message>>,
    settings: Mutex<BTreeMap<String, String>>,
}

/// The operation that a form asks for.
pub(crate) fn operation(body: &[u8]) -> String {
    form_urlencoded::parse(body)
        .find(|(name, _)| name == "Action")
        .map_or_else(String::new, |(_, value)| value.into())
}

impl Sns {
    /// Answers a request whose signature is good.
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let form: Form = form_urlencoded::parse(body).into_owned().collect();
        let result = match operation {
            "Publish" => self.publish(&form),
            "GetSMSAttributes" => Ok(self.settings(&form)),
            "SetSMSAttributes" => self.set_settings(&form),
            "GetSMSSandboxAccountStatus" => Ok("<IsInSandbox>false</IsInSandbox>".to_owned()),
            "CheckIfPhoneNumberIsOptedOut" => Ok("<isOptedOut>false</isOptedOut>".to_owned()),
            "ListTopics" => Ok("<Topics/>".to_owned()),
            _ => Err(AwsError::new(400, "InvalidAction", format!("Could not find operation '{operation}'"))),
        };
        match result {
            Ok(result) => xml::response(operation, &result),
            Err(error) => error.answer(Service::Sns),
        }
    }

    fn publish(&self, form: &Form) -> Result<String, AwsError> {
        let message = Message::read(form)?;
        let id = message.id().to_owned();
        locked(&self.messages).push(message);
        Ok(format!("<MessageId>{id}</MessageId>"))
    }

    fn settings(&self, form: &Form) -> String {
        let asked: Vec<&String> = form
            .iter()
            .filter(|(name, _)| name.starts_with("attributes.member."))
            .map(|(_, value)| value)
            .collect();
        let settings = locked(&self.settings);
        let shown = settings.iter().filter(|(name, _)| asked.is_empty() || asked.contains(name));
        format!(
            "<attributes>{}</attributes>",
            shown.map(|(name, value)| xml::entry(name, value)).collect::<String>()
        )
    }

    fn set_settings(&self, form: &Form) -> Result<String, AwsError> {
        const KNOWN: [&str; 6] = [
            "DefaultSMSType",
            "DefaultSenderID",
            "DeliveryStatusIAMRole",
            "DeliveryStatusSuccessSamplingRate",
            "MonthlySpendLimit",
            "UsageReportS3Bucket",
        ];
        let entries = entries(form, "attributes.entry.", "key", "value");
        if let Some((name, _)) = entries.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            return Err(invalid(&format!("Invalid parameter: {name} is not a valid attribute")));
        }
        locked(&self.settings).extend(entries);
        Ok(String::new())
    }

    /// The messages, listed by phone number, or those to one number.
    pub(crate) fn shown(&self, number: Option<&str>) -> Value {
        let mut by_number = Map::new();
        for message in locked(&self.messages).iter() {
            if number.is_none_or(|number| number == message.number()) {
                let list = by_number.entry(message.number()).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(json!(message));
                }
            }
        }
        if let Some(number) = number {
            by_number.entry(number).or_insert_with(|| json!([]));
        }
        json!({ "sms_messages": by_number, "region": "us-east-1" })
    }

    pub(crate) fn clear(&self, number: Option<&str>) {
        locked(&self.messages).retain(|message| number.is_some_and(|number| number != message.number()));
    }
}

/// The pairs of a map in a form: `attributes.entry.1.key=a&attributes.entry.1.value=b`.
fn entries(form: &Form, prefix: &str, key: &str, value: &str) -> Vec<(String, String)> {
    let find = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    let numbered = (1..).map_while(|number| {
        let name = find(&format!("{prefix}{number}.{key}"))?;
        Some((name, find(&format!("{prefix}{number}.{value}")).unwrap_or_default()))
    });
    numbered.collect()
}

fn invalid(message: &str) -> AwsError {
    AwsError::new(400, "InvalidParameter", message)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
