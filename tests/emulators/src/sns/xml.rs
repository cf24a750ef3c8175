//! Answers in the form of AWS's Query protocol.

use crate::answer::{self, Answer};
use http::StatusCode;
use quick_xml::escape::escape;

/// The answer to an operation; the result is XML already.
pub(crate) fn response(operation: &str, result: &str) -> Answer {
    let id = uuid::Uuid::new_v4();
    let body = format!(
        "<{operation}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    answer::typed(StatusCode::OK, "text/xml", body)
}

/// A pair of a map.
pub(crate) fn entry(key: &str, value: &str) -> String {
    format!("<entry><key>{}</key><value>{}</value></entry>", escape(key), escape(value))
}
