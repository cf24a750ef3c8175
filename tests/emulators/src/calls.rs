//! What was called: how often each operation, and the last calls in their order, with what they cost. Calls that are
//! refused or made to fail count too, since a client made them.

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
    /// What a transaction holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) writes: Vec<Write>,
    /// The read or write units that DynamoDB consumed, those of indexes included; none for what it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) units: Option<f64>,
}

/// A part of a transaction, as the operation that it would be alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Write {
    pub(crate) operation: &'static str,
    pub(crate) resource: String,
}

#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Record>);

/// The counts and the list, as they are shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Record {
    counts: BTreeMap<Service, BTreeMap<String, u64>>,
    last: VecDeque<Call>,
    /// How many calls were dropped from the front of the list, or cleared with it.
    #[serde(skip)]
    before: u64,
}

impl Calls {
    /// Records a call; returns its number.
    pub(crate) fn add(&self, call: Call) -> u64 {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *record.counts.entry(call.service).or_default().entry(call.operation.clone()).or_default() += 1;
        if record.last.len() == LISTED {
            record.last.pop_front();
            record.before += 1;
        }
        record.last.push_back(call);
        record.before + record.last.len() as u64 - 1
    }

    /// Adds what a call has cost, if it is listed still.
    pub(crate) fn tell_units(&self, number: u64, units: f64) {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = number.checked_sub(record.before).and_then(|place| usize::try_from(place).ok());
        if let Some(call) = place.and_then(|place| record.last.get_mut(place)) {
            call.units = Some(units);
        }
    }

    pub(crate) fn record(&self) -> Record {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear(&self) {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = record.before + record.last.len() as u64;
        *record = Record { before, ..Record::default() };
    }
}
