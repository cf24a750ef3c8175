//! Asking again: what passes is tried again until a deadline, within a budget ([`crate::aws::pacing`]).
//!
//! A transaction is the same request each time, its token included, and so applied once. For a single write
//! nothing says whether an attempt without an answer was applied: [`Refusal::uncertain`] tells the store to
//! look.

use super::{
    client::{Answer, DynamoClient, Failure},
    failure::{Meaning, meaning},
    json,
    request::Request,
};
use crate::{
    aws::{budget::RetryBudget, pacing::Pacing},
    ports::{
        clock::Clock,
        entropy::Entropy,
        store::{StoreError, StoreErrorKind},
    },
};

/// How long a request is tried, in milliseconds; the last attempt may end later.
pub const DEADLINE_MS: u64 = 10_000;

/// What is to be said of an answer that no DynamoDB gives.
const NOT_DYNAMODB: &str = "a read was refused for a condition that it did not have: is AWS_ENDPOINT_URL_DYNAMODB that of a DynamoDB?";

/// Sends requests, again if need be.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'ports> {
    /// Sends once.
    pub client: &'ports dyn DynamoClient,
    /// Tells the time and pauses.
    pub clock: &'ports dyn Clock,
    /// Makes the pauses random, so that callers that failed together do not return together.
    pub entropy: &'ports dyn Entropy,
    /// How often requests are sent again in all; without one, until their deadlines.
    pub budget: Option<&'ports RetryBudget>,
}

/// The last failure of a request that was given up.
#[derive(Debug)]
pub struct Refusal {
    /// What the last attempt brought.
    pub failure: Failure,
    /// What it means.
    pub meaning: Meaning,
    /// Whether it is a write of which an attempt before the last may have been applied.
    pub uncertain: bool,
}

impl Sender<'_> {
    /// Sends a request until there is an answer, a failure that does not pass, or no time or attempt left.
    ///
    /// # Errors
    /// The last failure.
    pub async fn send(&self, request: &Request) -> Result<Answer, Refusal> {
        let pacing = Pacing::new(self.clock, self.entropy, DEADLINE_MS);
        let mut pacing = match self.budget {
            Some(budget) => pacing.within(budget),
            None => pacing,
        };
        let mut uncertain = false;
        loop {
            let failure = match self.client.send(request).await {
                Ok(answer) => {
                    pacing.answered();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let meaning = match meaning(&failure) {
                Meaning::Conflict { .. } if !request.writes() => Meaning::Permanent(NOT_DYNAMODB),
                meaning => meaning,
            };
            let passes = matches!(meaning, Meaning::Throttled | Meaning::Unavailable);
            if !passes {
                pacing.answered();
            }
            let Some(pause) = passes.then(|| pacing.next_pause()).flatten() else {
                return Err(Refusal { failure, meaning, uncertain });
            };
            let (operation, attempt) = (json::target(request), pacing.failed());
            tracing::debug!(operation, attempt, pause, %failure, "DynamoDB is asked again");
            uncertain |= request.writes() && failure.may_have_applied();
            self.clock.sleep(pause).await;
        }
    }

    /// A token by which a transaction that is sent again is known.
    ///
    /// # Errors
    /// `Unexpected` without randomness.
    pub fn token(&self) -> Result<String, StoreError> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes).map_err(|error| {
            StoreError::new(StoreErrorKind::Unexpected, "no token for a transaction").caused_by(error)
        })?;
        Ok(base16ct::lower::encode_string(&bytes))
    }
}

impl Refusal {
    /// That it is not known whether what was asked for was done.
    #[must_use]
    pub fn unknown(self) -> StoreError {
        told(
            StoreErrorKind::Unavailable,
            "DynamoDB gave no answer; a write may have been applied",
            self.failure,
        )
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        let (kind, detail) = match refusal.meaning {
            Meaning::Conflict { write } => return Self::conflict(write).caused_by(refusal.failure),
            _ if refusal.uncertain => return refusal.unknown(),
            Meaning::Throttled => (StoreErrorKind::Throttled, "DynamoDB asks for patience"),
            Meaning::Unavailable => (StoreErrorKind::Unavailable, "DynamoDB does not answer"),
            Meaning::Permanent(advice) => (StoreErrorKind::Unexpected, advice),
        };
        told(kind, detail, refusal.failure)
    }
}

/// A failure for the log, by DynamoDB's name for it.
fn told(kind: StoreErrorKind, detail: &str, failure: Failure) -> StoreError {
    StoreError::new(kind, format!("{detail}: {}", failure.name())).caused_by(failure)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::{
        aws::pacing::LONGEST_PAUSE_MS,
        dynamo::{
            request::{DeleteItem, GetItem},
            script::{Script, code, cut},
        },
        memory::{entropy::SeededEntropy, restless_clock::RestlessClock},
    };

    fn request() -> Request {
        Request::DeleteItem(DeleteItem { table_name: "t".into(), key: Default::default(), condition: None })
    }

    fn send(script: &Script, clock: &RestlessClock) -> Result<Answer, Refusal> {
        let entropy = SeededEntropy::new(1);
        block_on(Sender { client: script, clock, entropy: &entropy, budget: None }.send(&request()))
    }

    #[test]
    fn what_passes_is_asked_again_unchanged() {
        let script = Script::new([
            Err(code("ThrottlingException")),
            Err(Failure::refused(500, None, "")),
            Err(cut()),
            Ok(Answer::Done),
        ]);
        let clock = RestlessClock::default();
        assert_eq!(send(&script, &clock).unwrap(), Answer::Done);
        assert_eq!(script.requests(), vec![request(); 4]);
        let pauses = clock.pauses();
        assert!(
            pauses.iter().zip([25, 50, 100]).all(|(pause, longest)| (1..=longest).contains(pause)),
            "{pauses:?}"
        );
    }

    #[test]
    fn what_does_not_pass_is_not_asked_again() {
        for name in ["ValidationException", "AccessDeniedException", "ConditionalCheckFailedException"] {
            let script = Script::new([Err(code(name))]);
            send(&script, &RestlessClock::default()).unwrap_err();
            assert_eq!(script.requests().len(), 1, "{name}");
        }
    }

    #[test]
    fn a_read_has_no_condition_to_fail() {
        let script = Script::new([Err(code("ConditionalCheckFailedException"))]);
        let (clock, entropy) = (RestlessClock::default(), SeededEntropy::new(1));
        let read = GetItem { table_name: "t".into(), key: Default::default(), consistent_read: true };
        let sender = Sender { client: &script, clock: &clock, entropy: &entropy, budget: None };
        let refusal = block_on(sender.send(&Request::GetItem(read))).unwrap_err();
        assert_eq!(refusal.meaning, Meaning::Permanent(NOT_DYNAMODB));
    }

    #[test]
    fn it_gives_up_at_the_deadline() {
        for (failure, kind) in [
            ((|| code("ThrottlingException")) as fn() -> Failure, StoreErrorKind::Throttled),
            (cut, StoreErrorKind::Unavailable),
            (|| Failure::unanswered("no connection", false), StoreErrorKind::Unavailable),
        ] {
            let script = Script::answering(move |_| Err(failure()));
            let clock = RestlessClock::default();
            let refusal = send(&script, &clock).unwrap_err();
            assert_eq!(StoreError::from(refusal).kind, kind);
            let slept: u64 = clock.pauses().iter().sum();
            assert!((DEADLINE_MS - LONGEST_PAUSE_MS..=DEADLINE_MS).contains(&slept), "{slept}");
            assert!(script.requests().len() < 40);
        }
    }

    #[test]
    fn slow_attempts_count_against_the_deadline() {
        let clock = std::sync::Arc::new(RestlessClock::default());
        let attempt = clock.clone();
        let script = Script::answering(move |_| {
            attempt.advance_ms(4_000);
            Err(cut())
        });
        send(&script, &clock).unwrap_err();
        assert_eq!(script.requests().len(), 3);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_prolong_it() {
        let clock = std::sync::Arc::new(RestlessClock::default());
        let attempt = clock.clone();
        let script = Script::answering(move |_| {
            attempt.advance_ms(-60_000);
            Err(cut())
        });
        send(&script, &clock).unwrap_err();
        assert!(script.requests().len() < 40);
    }

    #[test]
    fn a_read_without_answer_changed_nothing() {
        let script = Script::new([Err(cut()), Err(code("AccessDeniedException"))]);
        let (clock, entropy) = (RestlessClock::default(), SeededEntropy::new(1));
        let get = GetItem { table_name: "t".into(), key: Default::default(), consistent_read: true };
        let sender = Sender { client: &script, clock: &clock, entropy: &entropy, budget: None };
        let refusal = block_on(sender.send(&Request::GetItem(get))).unwrap_err();
        assert_eq!(StoreError::from(refusal).kind, StoreErrorKind::Unexpected);
    }

    #[test]
    fn after_an_attempt_without_answer_the_outcome_is_unknown() {
        let script = Script::new([Err(cut()), Err(code("AccessDeniedException"))]);
        let refusal = send(&script, &RestlessClock::default()).unwrap_err();
        assert!(refusal.uncertain);
        assert_eq!(StoreError::from(refusal).kind, StoreErrorKind::Unavailable);
        let script = Script::new([Err(code("ThrottlingException")), Err(code("AccessDeniedException"))]);
        let refusal = send(&script, &RestlessClock::default()).unwrap_err();
        assert!(!refusal.uncertain);
        let error = StoreError::from(refusal);
        assert_eq!(error.kind, StoreErrorKind::Unexpected);
        assert!(error.detail.contains("credentials"), "{error}");
        assert!(error.detail.ends_with(": AccessDeniedException (400)"), "{error}");
    }
}
