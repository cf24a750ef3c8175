//! How the emulators misbehave on request: rules say which calls fail, and how.
//!
//! Invariant: with `times` and `after` alone what happens depends on the order of calls only; with
//! `probability` on the rule's seed too.

use crate::service::Service;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Refused for too many requests, in the service's own words.
    Throttle,
    /// A 500 in the service's own words, and nothing done.
    InternalError,
    /// A 503 in the service's own words.
    Unavailable,
    /// The error that the rule itself names, by `status`, `code` and `message`.
    Error,
    /// Done, but `delay_ms` later.
    Delay,
    /// No answer until the client gives up.
    Stall,
    /// The connection is cut, and nothing done.
    Reset,
    /// Done, but the connection is cut instead of an answer.
    ApplyThenReset,
    /// Done, but a 500 is answered (for mail: 451).
    #[serde(rename = "apply_then_500")]
    ApplyThen500,
    /// Refused as if another transaction held the item.
    TransactionConflict,
    /// Refused as if the same transaction were still under way.
    TransactionInProgress,
    /// A load balancer's page of HTML instead of an answer.
    Html,
    /// Done, but the answer ends in its middle.
    Truncate,
    /// A mail server's reply of the rule's `code`, and nothing done.
    Reply,
}

/// Which calls misbehave, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) service: Service,
    /// Without one, every operation of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<String>,
    pub(crate) action: Action,
    /// How many calls pass before the first that is hit.
    #[serde(default)]
    pub(crate) after: u64,
    /// How many calls are hit; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
    /// From 0 to 1; without it, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    #[serde(default)]
    pub(crate) seed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    /// Of `error`: the HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Of `error`: AWS's code. Of `reply`: SMTP's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// An error's code: AWS's are words, SMTP's are numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Code {
    Number(u16),
    Word(String),
}

/// A rule and what became of it so far.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Standing {
    #[serde(flatten)]
    rule: Rule,
    /// Calls that the rule was asked about.
    seen: u64,
    /// Calls that it hit.
    applied: u64,
    #[serde(skip)]
    dice: fastrand::Rng,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Standing>>);

impl Faults {
    /// Adds a rule behind those already there.
    ///
    /// # Errors
    /// What the rule lacks or has too much.
    pub(crate) fn add(&self, rule: Rule) -> Result<(), String> {
        rule.check()?;
        let dice = fastrand::Rng::with_seed(rule.seed);
        self.lock().push(Standing { rule, seen: 0, applied: 0, dice });
        Ok(())
    }

    pub(crate) fn list(&self) -> Vec<Standing> {
        self.lock().clone()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The first rule that hits this call. Rules behind it do not learn of the call.
    pub(crate) fn draw(&self, service: Service, operation: &str) -> Option<Rule> {
        let mut standings = self.lock();
        standings
            .iter_mut()
            .find_map(|standing| standing.hits(service, operation).then(|| standing.rule.clone()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn hits(&mut self, service: Service, operation: &str) -> bool {
        let rule = &self.rule;
        if rule.service != service || rule.operation.as_deref().is_some_and(|named| named != operation) {
            return false;
        }
        self.seen += 1;
        let hits = self.seen > rule.after
            && rule.times.is_none_or(|times| self.applied < times)
            && rule.probability.is_none_or(|probability| self.dice.f64() < probability);
        self.applied += u64::from(hits);
        hits
    }
}

impl Rule {
    fn check(&self) -> Result<(), String> {
        use Action::{ApplyThen500, ApplyThenReset, Delay, Error, Reply, Reset, Stall};
        use Action::{TransactionConflict, TransactionInProgress};
        let action = self.action;
        if self.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err("probability must be from 0 to 1".to_owned());
        }
        if (action == Delay) != self.delay_ms.is_some() {
            return Err("delay_ms belongs to the action delay, which needs it".to_owned());
        }
        let of_mail = [Reply, Delay, Stall, Reset, ApplyThenReset, ApplyThen500].contains(&action);
        if self.service == Service::Smtp && !of_mail {
            return Err(
                "smtp knows reply, delay, stall, reset, apply_then_reset and apply_then_500".to_owned()
            );
        }
        match (action, self.service, &self.code) {
            (Reply, Service::Smtp, Some(Code::Number(400..=599))) => Ok(()),
            (Reply, Service::Smtp, _) => Err("reply needs a code from 400 to 599".to_owned()),
            (Reply, ..) => Err("reply is for smtp; the others know error".to_owned()),
            (Error, _, Some(Code::Word(_))) if self.status.is_some() => Ok(()),
            (Error, ..) => Err("error needs a status and a code, as 403 and \"AccessDenied\"".to_owned()),
            (TransactionConflict | TransactionInProgress, Service::S3 | Service::Sns, _) => {
                Err("only dynamodb has transactions".to_owned())
            }
            _ => Ok(()),
        }
    }
}
