//! The documents that S3 and SNS answer with. What is none of them is not from there.

use std::str;

use portico_core::aws::failure::Failure;
use serde::Deserialize;

/// The most that is kept of a service's words.
const MAX_MESSAGE_CHARS: usize = 500;

/// A document, by the name of its root.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Document {
    /// S3's refusal.
    Error(Refusal),
    /// SNS's.
    ErrorResponse {
        /// What it is about.
        #[serde(rename = "Error")]
        error: Refusal,
    },
    /// An upload in parts has begun.
    InitiateMultipartUploadResult {
        /// Its name.
        #[serde(rename = "UploadId")]
        upload_id: String,
    },
    /// An upload in parts is an object.
    CompleteMultipartUploadResult {},
    /// A message was taken.
    PublishResponse {},
}

/// A refusal.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Refusal {
    /// The service's name for it.
    #[serde(rename = "Code")]
    code: String,
    /// In its words.
    #[serde(rename = "Message", default)]
    message: String,
}

/// Reads a document; `None` if it is none.
pub(super) fn read(body: &[u8]) -> Option<Document> {
    quick_xml::de::from_str(str::from_utf8(body).ok()?.trim()).ok()
}

/// The failure that an answer tells of.
pub(super) fn failure(status: u16, body: &[u8]) -> Failure {
    match read(body) {
        Some(Document::Error(refusal) | Document::ErrorResponse { error: refusal }) => {
            refused(status, refusal)
        }
        _ if body.is_empty() => Failure::refused(status, None, ""),
        _ => Failure::refused(status, None, FOREIGN),
    }
}

/// The failure that an answer is which should tell of success.
pub(super) fn no_success(status: u16, body: &[u8]) -> Failure {
    match read(body) {
        Some(Document::Error(refusal) | Document::ErrorResponse { error: refusal }) => {
            refused(status, refusal)
        }
        _ => Failure::unanswered(FOREIGN),
    }
}

const FOREIGN: &str = "an answer that is not the service's: is there a proxy in between?";

fn refused(status: u16, Refusal { code, message }: Refusal) -> Failure {
    Failure::refused(status, Some(code), message.chars().take(MAX_MESSAGE_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> (Option<String>, String) {
        let failure = failure(status, body.as_bytes());
        assert_eq!(failure.status, Some(status));
        (failure.code, failure.message)
    }

    #[test]
    fn the_refusals_of_s3_and_sns_are_read() {
        let s3 = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>It&apos;s not \
                  there &amp; never was.</Message><Key>files/a</Key><RequestId>4442587FB7D0A2F9</RequestId></Error>";
        let message = "It's not there & never was.".to_owned();
        assert_eq!(told(404, s3), (Some("NoSuchKey".to_owned()), message));
        let sns = "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\n  <Error>\n    \
                   <Type>Sender</Type>\n    \
                   <Code>InvalidParameter</Code>\n    <Message>no</Message>\n  </Error>\n  \
                   <RequestId>1</RequestId>\n</ErrorResponse>\n";
        assert_eq!(told(400, sns), (Some("InvalidParameter".to_owned()), "no".to_owned()));
        assert_eq!(
            told(503, "<Error><Code>SlowDown</Code></Error>"),
            (Some("SlowDown".to_owned()), String::new())
        );
        let long = format!("<Error><Code>A</Code><Message>{}</Message></Error>", "é".repeat(9999));
        assert_eq!(told(400, &long).1.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn what_is_none_of_the_services_documents_has_no_code() {
        assert_eq!(told(403, ""), (None, String::new()));
        for foreign in [
            "<html><body><h1>502 Bad Gateway</h1></body></html>",
            "<!DOCTYPE html><html><head><meta charset=utf-8><title>Error</title>",
            "<Error><Code>NoSuchKey</Code><Message>not th",
            "<Error></Error>",
            "<Other><Code>NoSuchKey</Code></Other>",
            "{\"Code\": \"NoSuchKey\"}",
            "no healthy upstream",
            " ",
            "<!DOCTYPE e [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>",
        ] {
            assert_eq!(told(502, foreign), (None, FOREIGN.to_owned()), "{foreign}");
        }
        assert_eq!(failure(502, b"<Error><Code>\xff</Code></Error>").code, None);
    }

    #[test]
    fn nothing_in_a_document_unfolds() {
        let entities: String =
            (1..30).map(|n| format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10))).collect();
        let laughs = format!("<!DOCTYPE e [<!ENTITY a0 \"ha\">{entities}]><Error><Code>&a29;</Code></Error>");
        let outside =
            "<!DOCTYPE e [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><Error><Code>&a;</Code></Error>";
        for bomb in [&laughs, outside] {
            assert_eq!(told(500, bomb), (None, FOREIGN.to_owned()));
        }
        let (down, up) = ("<x>".repeat(100_000), "</x>".repeat(100_000));
        let deep = format!("<Error><Code>A</Code><X>{down}{up}</X></Error>");
        assert_eq!(told(500, &deep).0.as_deref(), Some("A"));
    }

    #[test]
    fn successes_are_read_by_their_root() {
        let begun = "<?xml version=\"1.0\"?><InitiateMultipartUploadResult \
                     xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                     <Bucket>b</Bucket><Key>k</Key><UploadId>VXBs/b2FkI+A==</UploadId></InitiateMultipartUploadResult>";
        let upload_id = "VXBs/b2FkI+A==".to_owned();
        assert_eq!(read(begun.as_bytes()), Some(Document::InitiateMultipartUploadResult { upload_id }));
        // S3 keeps the connection alive with white space while it puts parts together.
        let done = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n   \n\n<CompleteMultipartUploadResult \
                    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Location>l</Location><ETag>&quot;1-2&quot;</ETag>\
                    </CompleteMultipartUploadResult>";
        assert_eq!(read(done.as_bytes()), Some(Document::CompleteMultipartUploadResult {}));
        let published = "<PublishResponse xmlns=\"https://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                         <MessageId>567910cd</MessageId></PublishResult><ResponseMetadata><RequestId>d</RequestId></ResponseMetadata>\
                         </PublishResponse>";
        assert_eq!(read(published.as_bytes()), Some(Document::PublishResponse {}));
    }

    #[test]
    fn a_good_status_does_not_make_a_refusal_a_success() {
        let failure = no_success(200, b"<Error><Code>InternalError</Code><Message>We</Message></Error>");
        assert_eq!((failure.status, failure.code.as_deref()), (Some(200), Some("InternalError")));
        assert!(failure.passes());
        let cut = no_success(200, b"<?xml version=\"1.0\"?><CompleteMultipartUp");
        assert_eq!((cut.status, cut.message.as_str()), (None, FOREIGN));
    }
}
