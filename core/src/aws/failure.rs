//! Why S3 or SNS did not answer as asked. Holds no body of a request or an answer, and no credentials.

use std::{error, fmt};

/// Codes by which a service asks for patience, or that tell of something that passes, whatever their status.
const PASSING: [&str; 13] = [
    "BandwidthLimitExceeded",
    "InternalError",
    "InternalFailure",
    "OperationAborted",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttled",
    "Throttling",
    "TooManyRequests",
];

/// A refusal, or no answer.
#[derive(Debug)]
pub struct Failure {
    /// The service's name for it: `NoSuchKey`. Answers without a body have none.
    pub code: Option<String>,
    /// The HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// What happened, in words: the service's, or the transport's.
    pub message: String,
    /// Whether no such request can be made, however often it is tried.
    pub unmade: bool,
    /// The transport's own error.
    pub source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Failure {
    /// The service's refusal.
    pub fn refused(status: u16, code: Option<String>, message: impl Into<String>) -> Self {
        Self { code, status: Some(status), message: message.into(), unmade: false, source: None }
    }

    /// No answer, or none that can be understood.
    pub fn unanswered(message: impl Into<String>) -> Self {
        Self { code: None, status: None, message: message.into(), unmade: false, source: None }
    }

    /// A request that cannot be made, and was not sent.
    pub fn unmade(message: impl Into<String>) -> Self {
        Self { unmade: true, ..Self::unanswered(message) }
    }

    /// Adds the transport's own error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What happened, without the service's own words, which may repeat a value of the request: code and status, or what
    /// the transport says.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.code, self.status) {
            (Some(code), Some(status)) => format!("{code} ({status})"),
            (Some(code), None) => code.clone(),
            (None, Some(status)) => format!("status {status}"),
            (None, None) => self.message.clone(),
        }
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether the same request may be answered later.
    #[must_use]
    pub fn passes(&self) -> bool {
        let code = self.code.as_deref().map(|code| code.strip_suffix("Exception").unwrap_or(code));
        match self.status {
            None => !self.unmade,
            Some(429) => true,
            Some(status) if status >= 500 => status != 501,
            _ => code.is_some_and(|code| PASSING.contains(&code)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if self.code.is_none() && self.status.is_none() || self.message.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.message)
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
    fn what_passes_is_told_by_code_or_status() {
        let refused = |status, code: &str| Failure::refused(status, Some(code.to_owned()), "");
        assert!(Failure::unanswered("cut").passes());
        assert!(!Failure::unmade("no URL").passes());
        for (status, code) in [
            (500, "InternalError"),
            (502, ""),
            (503, "SlowDown"),
            (429, ""),
            (400, "RequestTimeout"),
            (400, "Throttling"),
            (400, "ThrottlingException"),
            // An error in an answer that began well.
            (200, "InternalError"),
        ] {
            assert!(refused(status, code).passes(), "{status} {code}");
        }
        for (status, code) in
            [(400, "InvalidRequest"), (403, "AccessDenied"), (404, ""), (501, ""), (200, "")]
        {
            assert!(!refused(status, code).passes(), "{status} {code}");
        }
    }

    #[test]
    fn a_failure_names_its_code_and_status() {
        let text =
            |code: Option<&str>, message| Failure::refused(404, code.map(str::to_owned), message).to_string();
        assert_eq!(text(Some("NoSuchKey"), "not there"), "NoSuchKey (404): not there");
        assert_eq!(text(Some("NoSuchKey"), ""), "NoSuchKey (404)");
        assert_eq!(text(None, ""), "status 404");
        assert_eq!(Failure::unanswered("cut").to_string(), "cut");
    }

    #[test]
    fn its_name_repeats_no_value() {
        let code = Some("InvalidParameter".to_owned());
        assert_eq!(Failure::refused(400, code, "+15005550006").name(), "InvalidParameter (400)");
        assert_eq!(Failure::refused(502, None, "<html>").name(), "status 502");
        assert_eq!(Failure::unanswered("cut").name(), "cut");
    }
}
