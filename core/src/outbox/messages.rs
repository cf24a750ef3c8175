//! What the messages say.

use maud::{DOCTYPE, html};

use super::model::MailMessage;
use crate::App;
use crate::ports::mailer::Mail;
use crate::ports::sms::Sms;
use crate::verifications::code::{self, Purpose};

/// The e-mail of an outbox entry.
#[must_use]
pub fn mail(app: &App, id: &str, to: &str, message: &MailMessage) -> Mail {
    let code =
        |purpose, user_id: &str, nonce: &str| code::derive(&app.server_keys.codes, purpose, user_id, nonce);
    let letter = match message {
        MailMessage::ConfirmEmail { user_id, username, nonce } => Letter {
            subject: "Confirm your e-mail address",
            greeting: username,
            before: "To confirm that this address is yours, enter this code within 24 hours:",
            code: Some(code(Purpose::Email, user_id, nonce)),
            after: "If you did not create an account, ignore this message.",
        },
        MailMessage::Recovery { user_id, username, nonce } => Letter {
            subject: "Recover your account",
            greeting: username,
            before: "To choose a new password, enter this code within 15 minutes:",
            code: Some(code(Purpose::Recovery, user_id, nonce)),
            after: "If you did not ask for it, ignore this message; your password stays as it is.",
        },
        MailMessage::PasswordChanged { username } => {
            notice(username, "Your password was changed", "The password of your account was just changed.")
        }
        MailMessage::EmailChanged { username } => notice(
            username,
            "Your e-mail address was changed",
            "Your account now has another e-mail address; this one no longer belongs to it.",
        ),
        MailMessage::PhoneChanged { username } => notice(
            username,
            "Your phone number was changed",
            "The phone number of your account was just changed.",
        ),
    };
    Mail {
        id: id.to_owned(),
        to: to.to_owned(),
        subject: letter.subject.to_owned(),
        text: letter.to_text(),
        html: letter.to_html(),
    }
}

/// The SMS of an outbox entry.
#[must_use]
pub fn sms(app: &App, id: &str, to: &str, user_id: &str, nonce: &str) -> Sms {
    let code = code::derive(&app.server_keys.codes, Purpose::Phone, user_id, nonce);
    let text =
        format!("Your code is {}. It is valid for 15 minutes. Never tell it to anybody.", code.expose());
    Sms { id: id.to_owned(), to: to.to_owned(), text }
}

fn notice<'a>(username: &'a str, subject: &'static str, fact: &'static str) -> Letter<'a> {
    Letter {
        subject,
        greeting: username,
        before: fact,
        code: None,
        after: "If this was not you, recover your account at once by choosing a new password.",
    }
}

struct Letter<'a> {
    subject: &'static str,
    greeting: &'a str,
    before: &'static str,
    code: Option<crate::secret::Secret>,
    after: &'static str,
}

impl Letter<'_> {
    fn to_text(&self) -> String {
        let code = self.code.as_ref().map(|code| format!("    {}\n\n", code.expose())).unwrap_or_default();
        format!("Hello {},\n\n{}\n\n{code}{}\n", self.greeting, self.before, self.after)
    }

    fn to_html(&self) -> String {
        let body = "font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:2em auto;padding:0 1em";
        let code = "font:600 24px ui-monospace,monospace;letter-spacing:2px;word-break:break-all";
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head { meta charset="utf-8"; title { (self.subject) } }
                body style=(body) {
                    p { "Hello " (self.greeting) "," }
                    p { (self.before) }
                    @if let Some(secret) = &self.code { p style=(code) { (secret.expose()) } }
                    p { (self.after) }
                }
            }
        };
        page.into_string()
    }
}
