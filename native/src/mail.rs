//! E-mail: how a message is composed, and the ways it leaves.
//!
//! Composition is lettre's, so that headers are folded and encoded as RFC 5322 and RFC 2047 ask, and no value
//! can add a header of its own.

pub mod outbox;
pub mod smtp;

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use portico_core::ports::mailer::{Mail, SendError};

/// Makes the message: plain text and HTML as alternatives, `Message-ID` from the mail's id.
///
/// # Errors
/// A permanent [`SendError`] when the recipient is no address or the message cannot be encoded.
pub(crate) fn compose(from: &Mailbox, mail: &Mail) -> Result<Message, SendError> {
    let to = mail.to.parse().map_err(|_| SendError::permanent("the recipient is not an e-mail address"))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(one_line(&mail.subject))
        .date_now()
        .message_id(Some(format!("<{}@{}>", checked_id(&mail.id)?, from.email.domain())))
        // No out-of-office replies (RFC 3834, section 5).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| SendError::permanent(format!("the message cannot be encoded: {error}")))
}

/// Refuses ids that could be anything but a file's name and the local part of a `Message-ID`.
pub(crate) fn checked_id(id: &str) -> Result<&str, SendError> {
    let plain = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain { Ok(id) } else { Err(SendError::permanent("the message's id is not letters and digits")) }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &str, subject: &str) -> Mail {
        Mail {
            id: "01JZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Hello,\n.\nyour code is ABC234 ä".to_owned(),
            html: "<p>Hello</p>".to_owned(),
        }
    }

    fn formatted(mail: &Mail) -> String {
        let from = "Portico <noreply@example.com>".parse().unwrap();
        String::from_utf8(compose(&from, mail).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message_has_proper_headers_and_both_forms() {
        let text = formatted(&mail("ada@example.com", "Confirm your address"));
        for part in [
            "From: Portico <noreply@example.com>\r\n",
            "To: ada@example.com\r\n",
            "Subject: Confirm your address\r\n",
            "Message-ID: <01JZZZZZZZZZZZZZZZZZZZZZZZ@example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/html; charset=utf-8\r\n",
            "Date: ",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn no_value_adds_a_header() {
        for subject in
            ["a\r\nBcc: eve@example.com", "a\nBcc: eve@example.com", "ä\r\n\r\nBcc: x", "a\u{2028}Bcc: b"]
        {
            let text = formatted(&mail("ada@example.com", subject));
            assert!(!text.contains("\nBcc:"), "{text}");
            let parsed = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap();
            assert!(parsed.bcc().is_none());
        }
        for to in ["ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com", "", "ada"] {
            let from = "noreply@example.com".parse().unwrap();
            assert!(!compose(&from, &mail(to, "a")).unwrap_err().retry, "{to}");
        }
        let from = "noreply@example.com".parse().unwrap();
        for id in ["../../x", "a>\r\nBcc: b", ""] {
            assert!(compose(&from, &Mail { id: id.to_owned(), ..mail("a@b.de", "a") }).is_err(), "{id}");
        }
    }
}
