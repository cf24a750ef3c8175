//! A client that plays a script: for tests.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{
    client::{Answer, DynamoClient, Failure},
    request::Request,
};

type Responder = dyn FnMut(&Request) -> Result<Answer, Failure> + Send;

/// Records requests, and answers each by a function.
pub(super) struct Script {
    requests: Mutex<Vec<Request>>,
    respond: Mutex<Box<Responder>>,
}

impl Script {
    /// Answers in this order; a request more than that ends the test.
    pub(super) fn new(answers: impl IntoIterator<Item = Result<Answer, Failure>>) -> Self {
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        Self::answering(move |request| {
            answers.pop_front().unwrap_or_else(|| panic!("not in the script: {request:?}"))
        })
    }

    pub(super) fn answering(
        respond: impl FnMut(&Request) -> Result<Answer, Failure> + Send + 'static,
    ) -> Self {
        Self { requests: Mutex::default(), respond: Mutex::new(Box::new(respond)) }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl DynamoClient for Script {
    async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        (self.respond.lock().unwrap_or_else(PoisonError::into_inner))(request)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("requests", &self.requests).finish_non_exhaustive()
    }
}

/// DynamoDB's refusal with a code.
pub(super) fn code(code: &str) -> Failure {
    Failure::refused(400, Some(code.to_owned()), "in the script")
}

/// A connection that ended before the answer.
pub(super) fn cut() -> Failure {
    Failure::unanswered("the connection was cut", true)
}
