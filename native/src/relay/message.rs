//! What is posted: checked as a whole, so that whoever posts learns of everything that is wrong at once.
//!
//! What passes can be composed and sent; the rest is the mail server's to judge.

use lettre::message::Mailbox;
use portico_core::error::Error;
use portico_core::ports::mailer::Mail;
use portico_core::text::Email;
use portico_core::validate::{Invalid, InvalidCode, Validator};
use serde::Deserialize;

use crate::mail::checked_id;

/// The longest subject, in characters: a header's line (RFC 5322, section 2.1.1).
const MAX_SUBJECT_CHARS: usize = 998;

/// A message as it is posted.
#[derive(Deserialize)]
pub(super) struct Submission {
    from: Option<String>,
    to: Option<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    message_id: Option<String>,
}

impl Submission {
    /// The message, if it is from this sender.
    ///
    /// # Errors
    /// 422 with every refused member.
    pub(super) fn into_mail(self, sender: &Mailbox) -> Result<Mail, Error> {
        let mut check = Validator::new();
        let from = check.required("/from", self.from, |text| is_sender(&text, sender));
        let to = check.required("/to", self.to, |text| Email::parse(&text));
        let subject = check.required("/subject", self.subject, subject);
        let text = check.required("/text", self.text, content);
        let html = check.required("/html", self.html, content);
        let id = check.required("/message_id", self.message_id, message_id);
        let mail = from.and(to).zip(subject).zip(text).zip(html).zip(id);
        check.finish_with(mail.map(|((((to, subject), text), html), id)| Mail {
            id,
            to: to.as_str().to_owned(),
            subject,
            text,
            html,
        }))
    }
}

/// Compares addresses; the name beside the sender's is the relay's own.
fn is_sender(text: &str, sender: &Mailbox) -> Result<(), Invalid> {
    let from: Mailbox =
        text.parse().map_err(|_| Invalid::format("give an e-mail address, or `Name <address>`"))?;
    let [from, own]: [&str; 2] = [from.email.as_ref(), sender.email.as_ref()];
    if from.eq_ignore_ascii_case(own) {
        return Ok(());
    }
    Err(Invalid::new(InvalidCode::NotAllowed, "this relay sends only from the address in its SMTP_FROM"))
}

fn subject(text: String) -> Result<String, Invalid> {
    if text.contains(char::is_control) {
        return Err(Invalid::new(InvalidCode::InvalidCharacters, "a subject is one line"));
    }
    if text.chars().count() > MAX_SUBJECT_CHARS {
        return Err(Invalid::new(
            InvalidCode::TooLong,
            format!("a subject has at most {MAX_SUBJECT_CHARS} characters"),
        ));
    }
    content(text)
}

fn content(text: String) -> Result<String, Invalid> {
    if text.is_empty() {
        Err(Invalid::new(InvalidCode::TooShort, "this must not be empty"))
    } else {
        Ok(text)
    }
}

fn message_id(text: String) -> Result<String, Invalid> {
    match checked_id(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Invalid::format("a message's id is 1 to 64 ASCII letters and digits, such as a ULID")),
    }
}
