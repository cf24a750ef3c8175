//! A status as stored, and as shown.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The id, a ULID.
    pub status_id: String,
    /// What it says.
    #[serde(default)]
    pub description: String,
    /// Attributes of the older system, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Status {
    /// The status as anybody sees it.
    #[must_use]
    pub fn view(&self) -> StatusView<'_> {
        StatusView { id: &self.status_id, description: &self.description }
    }
}

/// *Status* in the API.
#[derive(Debug, Serialize)]
pub struct StatusView<'a> {
    /// The id.
    pub id: &'a str,
    description: &'a str,
}
