//! The port to DynamoDB: one request out, one answer in.

use std::{error, fmt};

use async_trait::async_trait;
use serde::Deserialize;

use super::{
    attribute::Attributes,
    request::{AttributeDefinition, KeyElement, Projection, Request, Throughput},
};

/// Sends requests to DynamoDB.
#[async_trait]
pub trait DynamoClient: fmt::Debug + Send + Sync + 'static {
    /// Sends a request once and reads its answer.
    ///
    /// # Behavior
    /// - One attempt: [`super::retry`] decides on another.
    /// - Returns within a bounded time, a few seconds.
    /// - Answers with the variant of [`Answer`] that stands beside the operation there.
    ///
    /// # Errors
    /// [`Failure`] when DynamoDB refuses, or there is no whole answer.
    async fn send(&self, request: &Request) -> Result<Answer, Failure>;
}

/// What DynamoDB answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done: to every operation that writes or changes a table.
    Done,
    /// To `GetItem`: the item, if there is one.
    Item(Option<Attributes>),
    /// To `Query` and `Scan`.
    Page {
        /// The items, in order.
        items: Vec<Attributes>,
        /// Where the page ended, if more may follow.
        last_evaluated_key: Option<Attributes>,
    },
    /// To `DescribeTable`.
    Table(TableDescription),
    /// To `DescribeTimeToLive`.
    TimeToLive(TimeToLiveDescription),
}

/// How a table is made.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TableDescription {
    /// `ACTIVE`, `CREATING`, `UPDATING`, `DELETING`, …
    pub table_status: String,
    /// The key.
    pub key_schema: Vec<KeyElement>,
    /// The types of the key attributes of table and indexes.
    pub attribute_definitions: Vec<AttributeDefinition>,
    /// The global secondary indexes.
    pub global_secondary_indexes: Vec<IndexDescription>,
    /// The capacity; zero where the table is paid for by the request.
    pub provisioned_throughput: Option<Throughput>,
    /// How many items there were some hours ago.
    pub item_count: Option<u64>,
}

/// How an index is made.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexDescription {
    /// The index.
    pub index_name: String,
    /// `ACTIVE`, `CREATING`, `DELETING`, …
    #[serde(default)]
    pub index_status: String,
    /// The key.
    pub key_schema: Vec<KeyElement>,
    /// Which attributes it carries.
    pub projection: Projection,
}

/// By which attribute a table's items expire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TimeToLiveDescription {
    /// `ENABLED`, `ENABLING`, `DISABLED`, `DISABLING`.
    pub time_to_live_status: String,
    /// The attribute.
    pub attribute_name: Option<String>,
}

/// Why there is no answer, or not the one that was asked for. Holds nothing of an item.
#[derive(Debug)]
pub struct Failure {
    /// DynamoDB's name for it, without a namespace: `ConditionalCheckFailedException`.
    pub code: Option<String>,
    /// The HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// What happened, in words.
    pub message: String,
    /// To a transaction that was cancelled: a code for each of its writes, `None` for those that are not at
    /// fault.
    pub reasons: Vec<Option<String>>,
    /// Whether the request was, or may have been, received: `false` only if it surely was not.
    pub sent: bool,
    /// The transport's own error.
    pub source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Failure {
    /// DynamoDB's refusal.
    pub fn refused(status: u16, code: Option<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            status: Some(status),
            message: message.into(),
            reasons: Vec::new(),
            sent: true,
            source: None,
        }
    }

    /// No answer, or none that can be understood.
    pub fn unanswered(message: impl Into<String>, sent: bool) -> Self {
        Self { code: None, status: None, message: message.into(), reasons: Vec::new(), sent, source: None }
    }

    /// Adds the codes of the reasons why a transaction was cancelled, as DynamoDB gives them: one for each
    /// write, `"None"` for those that are not at fault.
    #[must_use]
    pub fn because(mut self, codes: impl IntoIterator<Item = Option<String>>) -> Self {
        self.reasons = codes.into_iter().map(|code| code.filter(|code| code != "None")).collect();
        self
    }

    /// Adds the transport's own error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What happened, without DynamoDB's own words, which may repeat a value of the request: codes and status, or what
    /// the transport says.
    #[must_use]
    pub fn name(&self) -> String {
        let Some(status) = self.status else { return self.message.clone() };
        let name = match &self.code {
            Some(code) => format!("{code} ({status})"),
            None => format!("status {status}"),
        };
        let reasons: Vec<&str> = self.reasons.iter().flatten().map(String::as_str).collect();
        if reasons.is_empty() { name } else { format!("{name}, {}", reasons.join(", ")) }
    }

    /// Whether what was asked for may have been done all the same. A refusal (4xx) says that it was not.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        self.status.map_or(self.sent, |status| !(400..500).contains(&status))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), Some(status)) => write!(f, "{code} ({status}): {}", self.message),
            (None, Some(status)) => write!(f, "status {status}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl error::Error for Failure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_or_an_unsent_request_is_surely_not_applied() {
        assert!(!Failure::refused(400, None, "").may_have_applied());
        assert!(Failure::refused(500, None, "").may_have_applied());
        assert!(Failure::unanswered("cut", true).may_have_applied());
        assert!(!Failure::unanswered("no connection", false).may_have_applied());
    }

    #[test]
    fn a_failure_names_its_code_and_status() {
        let failure = Failure::refused(400, Some("ThrottlingException".into()), "slow down");
        assert_eq!(failure.to_string(), "ThrottlingException (400): slow down");
        assert_eq!(Failure::refused(502, None, "a proxy").to_string(), "status 502: a proxy");
        assert_eq!(Failure::unanswered("cut", true).to_string(), "cut");
    }

    #[test]
    fn its_name_repeats_no_value() {
        let code = Some("TransactionCanceledException".to_owned());
        let failure = Failure::refused(400, code, "the value ada@example.com is no key")
            .because([Some("None".to_owned()), Some("ValidationError".to_owned())]);
        assert_eq!(failure.name(), "TransactionCanceledException (400), ValidationError");
        assert_eq!(Failure::refused(502, None, "<html>").name(), "status 502");
        assert_eq!(Failure::unanswered("connection refused", false).name(), "connection refused");
    }
}
