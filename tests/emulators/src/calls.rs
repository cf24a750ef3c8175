//! What was called: how often each operation, and the last calls in their order. Calls that are refused or
//! made to fail count too, since a client made them.

use crate::service::Service;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// So many calls are listed; the counts go on.
const LISTED: usize = 1000;

/// A call, in the order of arrival.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: String,
    /// A table or one of its indexes, `bucket/key`, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Record>);

/// The counts and the list, as they are shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Record {
    counts: BTreeMap<Service, BTreeMap<String, u64>>,
    last: VecDeque<Call>,
}

impl Calls {
    pub(crate) fn add(&self, call: Call) {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *record.counts.entry(call.service).or_default().entry(call.operation.clone()).or_default() += 1;
        if record.last.len() == LISTED {
            record.last.pop_front();
        }
        record.last.push_back(call);
    }

    pub(crate) fn record(&self) -> Record {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Record::default();
    }
}
