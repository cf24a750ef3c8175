//! Failures, and the one mapping of them to answers.
//!
//! An [`Error`] has two sides: what the client is told (RFC 9457, with a stable code) and what the log is told.
//! Nothing of the second side ever reaches the first.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

use crate::ports::entropy::EntropyError;
use crate::ports::hasher::Busy;
use crate::ports::signer::SignerError;
use crate::ports::store::{StoreError, StoreErrorKind};
use crate::validate::FieldError;

/// A request that failed: the answer, and what the log should know besides.
#[derive(Debug)]
pub struct Error {
    /// The status of the answer.
    pub status: StatusCode,
    /// The stable, machine-readable reason.
    pub code: &'static str,
    /// What happened and what to do, for people.
    pub detail: Cow<'static, str>,
    /// For 422: each refused value.
    pub errors: Vec<FieldError>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// `WWW-Authenticate` on 401 (RFC 6750, section 3).
    pub challenge: Option<&'static str>,
    /// `Allow` on 405.
    pub allow: Option<String>,
    /// The underlying failure, for the log alone.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of a given status.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            challenge: None,
            allow: None,
            source: None,
        }
    }

    /// 400: the request is malformed.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401 for a request without credentials (RFC 6750, section 3.1: no `error` parameter).
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self {
            challenge: Some("Bearer"),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "sign in and send the access token as `Authorization: Bearer …`",
            )
        }
    }

    /// 401 for an access token that is not, or no longer, valid.
    #[must_use]
    pub fn invalid_token(code: &'static str, detail: &'static str) -> Self {
        Self {
            challenge: Some(r#"Bearer error="invalid_token""#),
            ..Self::new(StatusCode::UNAUTHORIZED, code, detail)
        }
    }

    /// 401 for credentials in the body (password, refresh token, code) that are wrong.
    #[must_use]
    pub fn wrong_credentials(code: &'static str, detail: &'static str) -> Self {
        Self { challenge: Some("Bearer"), ..Self::new(StatusCode::UNAUTHORIZED, code, detail) }
    }

    /// 403: the caller is known and may not.
    #[must_use]
    pub fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: absent, or not the caller's to see.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here that you can see")
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 503: others keep changing the same record, and trying again is all it takes.
    #[must_use]
    pub fn contended() -> Self {
        Self::unavailable("busy", "this is being changed by many at once: try again", 1)
    }

    /// 422 with every refused value.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "validation_failed",
                "some values are not acceptable: see `errors`",
            )
        }
    }

    /// 429.
    pub fn too_many(code: &'static str, detail: impl Into<Cow<'static, str>>, retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after.max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
        }
    }

    /// 503: something the answer depends on is missing or down.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>, retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after.max(1)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        }
    }

    /// Adds the underlying failure, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    /// A sentence for people, with each refused value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.pointer.trim_start_matches('/'), error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let mapped = match error.kind {
            StoreErrorKind::Conflict { .. } => Self::conflict(
                "conflict",
                "somebody else changed this at the same moment: read it again and retry",
            ),
            StoreErrorKind::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "this is more than can be stored")
            }
            StoreErrorKind::Throttled => {
                Self::unavailable("storage_unavailable", "the storage is busy: try again shortly", 1)
            }
            StoreErrorKind::Unavailable | StoreErrorKind::Corrupt | StoreErrorKind::Unexpected => {
                Self::unavailable("storage_unavailable", "the storage did not answer: try again shortly", 2)
            }
        };
        mapped.caused_by(error)
    }
}

impl From<Busy> for Error {
    fn from(busy: Busy) -> Self {
        // It has no cause besides, or a crowd would fill the log; the hasher counts what it refuses.
        Self::unavailable("busy", "too many sign-ins at once: try again shortly", busy.retry_after_seconds)
    }
}

impl From<SignerError> for Error {
    fn from(error: SignerError) -> Self {
        Self::unavailable("busy", "tokens cannot be signed or checked just now: try again shortly", 1)
            .caused_by(error)
    }
}

impl From<EntropyError> for Error {
    fn from(error: EntropyError) -> Self {
        Self::unavailable("busy", "the server is not ready for this: try again shortly", 1).caused_by(error)
    }
}
