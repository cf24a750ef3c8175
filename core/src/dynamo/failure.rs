//! What a failure of DynamoDB means: whom it blames, whether it passes, and what an operator can do.

use super::client::Failure;

/// What a failure means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The condition of this write of the request does not hold.
    Conflict { write: usize },
    /// DynamoDB asks for patience, or others are at the same item just now: the same request may pass later.
    Throttled,
    /// DynamoDB did not answer, or could not: the same request may pass later.
    Unavailable,
    /// The same request will fail again; what an operator can do about it.
    Permanent(&'static str),
}

/// Codes that ask for patience. They come as `…Exception`, and without it as reasons in a cancelled
/// transaction.
const PATIENCE: [&str; 9] = [
    "ProvisionedThroughputExceeded",
    "Throttling",
    "ThrottlingError",
    "RequestLimitExceeded",
    "LimitExceeded",
    "TransactionConflict",
    "TransactionInProgress",
    "ReplicatedWriteConflict",
    "TooManyRequests",
];

/// What a failure means.
#[must_use]
pub fn meaning(failure: &Failure) -> Meaning {
    let Some(status) = failure.status else { return Meaning::Unavailable };
    match failure.code.as_deref().map(short) {
        Some("TransactionCanceled") => of_cancellation(failure),
        Some(code) if status < 500 => of_code(code, 0),
        Some(code) if PATIENCE.contains(&code) => Meaning::Throttled,
        None if status == 429 => Meaning::Throttled,
        None if status < 500 => Meaning::Permanent(
            "DynamoDB refused a request without a reason: is AWS_ENDPOINT_URL_DYNAMODB that of a DynamoDB?",
        ),
        _ => Meaning::Unavailable,
    }
}

/// The first write at fault speaks for all: one that failed behind one that was merely in the way of others
/// might not be the first whose condition does not hold.
fn of_cancellation(failure: &Failure) -> Meaning {
    let mut reasons = failure.reasons.iter().enumerate();
    match reasons.find_map(|(write, reason)| Some((write, reason.as_deref()?))) {
        Some((write, code)) => of_code(short(code), write),
        None => Meaning::Permanent("DynamoDB cancelled a transaction without a reason"),
    }
}

fn of_code(code: &str, write: usize) -> Meaning {
    match code {
        "ConditionalCheckFailed" => Meaning::Conflict { write },
        "InternalServerError"
        | "InternalServer"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "RequestTimeout" => Meaning::Unavailable,
        code if PATIENCE.contains(&code) => Meaning::Throttled,
        code => Meaning::Permanent(advice(code)),
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "AccessDenied" | "OptInRequired" => {
            "the credentials may not do this: allow the DynamoDB actions that the documentation lists, on every table \
             and its indexes"
        }
        "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "IncompleteSignature" => {
            "DynamoDB does not know the credentials: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role"
        }
        "InvalidSignature" => {
            "DynamoDB does not accept the signature: check AWS_SECRET_ACCESS_KEY, AWS_REGION and the system's clock"
        }
        "ExpiredToken" => "the session's credentials have expired: renew them (AWS_SESSION_TOKEN)",
        "ResourceNotFound" => {
            "a table or an index is missing: check AWS_REGION and DYNAMO_TABLE_*, and run `portico doctor`"
        }
        "IdempotentParameterMismatch" => {
            "a transaction's token was used for another one; nothing was written"
        }
        "ItemCollectionSizeLimitExceeded" => {
            "a local index holds more than 10 GB under one key; Portico makes none: remove it"
        }
        _ => {
            "DynamoDB does not accept a request; run `portico doctor` to compare the tables with what is needed"
        }
    }
}

fn short(code: &str) -> &str {
    code.strip_suffix("Exception").unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: &str) -> Meaning {
        meaning(&Failure::refused(status, Some(code.to_owned()), ""))
    }

    fn cancelled(reasons: &[&str]) -> Meaning {
        let reasons = reasons.iter().map(|code| (!code.is_empty()).then(|| (*code).to_owned()));
        let code = Some("TransactionCanceledException".to_owned());
        meaning(&Failure::refused(400, code, "").because(reasons))
    }

    #[test]
    fn what_asks_for_patience_passes() {
        for code in [
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "RequestLimitExceeded",
            "TransactionConflictException",
            "TransactionInProgressException",
            "LimitExceededException",
        ] {
            assert_eq!(of(400, code), Meaning::Throttled, "{code}");
        }
        assert_eq!(of(503, "ThrottlingException"), Meaning::Throttled);
        assert_eq!(meaning(&Failure::refused(429, None, "")), Meaning::Throttled);
    }

    #[test]
    fn no_answer_and_5xx_pass() {
        for failure in [
            Failure::unanswered("reset", true),
            Failure::unanswered("no connection", false),
            Failure::refused(502, None, "html"),
            Failure::refused(500, Some("InternalServerError".into()), ""),
            Failure::refused(503, Some("ServiceUnavailable".into()), ""),
        ] {
            assert_eq!(meaning(&failure), Meaning::Unavailable, "{failure}");
        }
    }

    #[test]
    fn what_an_operator_must_mend_does_not_pass() {
        for (code, advised) in [
            ("AccessDeniedException", "may not"),
            ("UnrecognizedClientException", "AWS_ACCESS_KEY_ID"),
            ("InvalidSignatureException", "clock"),
            ("ExpiredTokenException", "AWS_SESSION_TOKEN"),
            ("ResourceNotFoundException", "DYNAMO_TABLE_"),
            ("ValidationException", "portico doctor"),
            ("IdempotentParameterMismatchException", "token"),
        ] {
            let Meaning::Permanent(advice) = of(400, code) else { panic!("{code} passes") };
            assert!(advice.contains(advised), "{code}: {advice}");
        }
        assert!(matches!(meaning(&Failure::refused(404, None, "nginx")), Meaning::Permanent(_)));
    }

    #[test]
    fn the_first_write_at_fault_is_named() {
        assert_eq!(of(400, "ConditionalCheckFailedException"), Meaning::Conflict { write: 0 });
        assert_eq!(
            cancelled(&["", "ConditionalCheckFailed", "ConditionalCheckFailed"]),
            Meaning::Conflict { write: 1 }
        );
        assert_eq!(
            cancelled(&["", "ConditionalCheckFailed", "TransactionConflict"]),
            Meaning::Conflict { write: 1 }
        );
        assert_eq!(cancelled(&["TransactionConflict", "ConditionalCheckFailed"]), Meaning::Throttled);
        assert_eq!(cancelled(&["", "ThrottlingError"]), Meaning::Throttled);
        assert!(matches!(cancelled(&["", "ValidationError"]), Meaning::Permanent(_)));
        assert!(matches!(cancelled(&[""]), Meaning::Permanent(_)));
        assert!(matches!(cancelled(&[]), Meaning::Permanent(_)));
    }
}
