//! What one connection does: all that users do, over and over.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use portico_bench::connection::{Answer, Outcome};
use portico_bench::scenario::{Call, Scenario};
use portico_bench::scenarios::{member, registration};
use portico_tests::client::PASSWORD;
use serde_json::json;

use crate::ledger::Ledger;

/// A thing that users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Read,
    Refresh,
    SignIn,
    Upload,
    Download,
    Register,
    Text,
    Notify,
    Unread,
}

/// All steps, in an order in which each has what it needs.
pub const STEPS: [Step; 9] = [
    Step::Read,
    Step::Refresh,
    Step::SignIn,
    Step::Upload,
    Step::Download,
    Step::Register,
    Step::Text,
    Step::Notify,
    Step::Unread,
];

/// Which connection texts: one alone, for all texts are counted in one place.
const TEXTING: usize = 0;

/// By which hosts learn a client's address: a trusted proxy's header, and the platform's.
const ADDRESS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("cf-connecting-ip")];

impl Step {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Refresh => "refresh",
            Self::SignIn => "sign in",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Register => "register",
            Self::Text => "text",
            Self::Notify => "notify",
            Self::Unread => "unread",
        }
    }
}

/// One user's life, and of those whom they register.
#[derive(Debug)]
pub struct Life {
    /// What was acknowledged.
    pub ledger: Ledger,
    index: usize,
    admin_token: String,
    access_token: String,
    /// Somebody who was registered, and may have a text.
    newcomer: Option<String>,
    turn: usize,
    asked: u32,
    step: Step,
    only: Option<Step>,
    wanted: String,
}

impl Life {
    /// The life of a user who has just registered.
    pub fn new(index: usize, admin_token: &str, ledger: Ledger, access_token: String) -> Self {
        Self {
            ledger,
            index,
            admin_token: admin_token.to_owned(),
            access_token,
            newcomer: None,
            // Each begins elsewhere, so that all is done all the time.
            turn: index,
            asked: 0,
            step: Step::Read,
            only: None,
            wanted: String::new(),
        }
    }

    /// Does but one thing from now on.
    pub fn only(&mut self, step: Step) {
        self.only = Some(step);
    }

    /// Whether everything that steps need is there.
    pub fn can(&self, step: Step) -> bool {
        match step {
            Step::Download => !self.ledger.files.is_empty(),
            Step::Text => self.newcomer.is_some() && self.index == TEXTING,
            _ => true,
        }
    }

    fn take_turn(&mut self) -> Step {
        if let Some(step) = self.only {
            return step;
        }
        loop {
            self.turn += 1;
            let step = STEPS[self.turn % STEPS.len()];
            if self.can(step) {
                return step;
            }
        }
    }

    fn call(&mut self) -> Call {
        let (name, ledger) = (self.step.name(), &mut self.ledger);
        let token = Some(self.access_token.as_str());
        match self.step {
            Step::Read => Call::get(name, "/v1/sessions", token),
            Step::Refresh => {
                let body = json!({ "refresh_token": ledger.refresh_token });
                Call::post(name, "/v1/sessions/refresh", None, &body)
            }
            Step::SignIn => {
                let body =
                    json!({ "username": ledger.username, "password": PASSWORD, "device_uuid": "desk" });
                Call::post(name, "/v1/sessions/login", None, &body)
            }
            Step::Upload => {
                self.wanted = format!("content {} of {}", self.asked, ledger.username);
                Call::upload(name, &self.access_token, self.wanted.as_bytes())
            }
            Step::Download => {
                let (id, _) = ledger.files.last().expect("a file");
                Call::get(name, &format!("/v1/files/{id}"), token)
            }
            Step::Register => {
                self.wanted = format!("{}-{}", ledger.username, self.asked);
                let mut body = registration(&self.wanted, PASSWORD);
                body["phone"] = json!(phone(self.index, self.asked));
                Call::post(name, "/v1/users", None, &body)
            }
            Step::Text => {
                let token = self.newcomer.take().expect("a newcomer");
                Call::new(name, Method::POST, "/v1/confirm-phone/request", Some(&token), None, Bytes::new())
            }
            Step::Notify => {
                self.wanted = format!("number {}", self.asked);
                let body = json!({ "user_id": ledger.id, "message": self.wanted });
                Call::post(name, "/v1/notifications", Some(&self.admin_token), &body)
            }
            Step::Unread => Call::get(name, "/v1/notifications?limit=10", token),
        }
    }

    fn keep(&mut self, answer: &Answer, outcome: &Outcome) {
        let wanted = std::mem::take(&mut self.wanted);
        let text = |name| member(outcome, answer.status, name).expect("a member of the answer");
        match self.step {
            Step::Refresh => self.ledger.refresh_token = text("refresh_token"),
            Step::Upload => self.ledger.files.push((text("id"), wanted)),
            Step::Download => {
                let (_, content) = self.ledger.files.last().expect("a file");
                assert_eq!(answer.body, content.as_bytes(), "a download brings what was uploaded");
            }
            Step::Register => {
                self.ledger.registered.push(wanted);
                self.newcomer = Some(text("access_token"));
            }
            Step::Text => self.ledger.texts += 1,
            Step::Notify => self.ledger.notifications.push(wanted),
            Step::Read | Step::SignIn | Step::Unread => {}
        }
    }
}

impl Scenario for Life {
    fn next(&mut self) -> Call {
        self.step = self.take_turn();
        self.asked += 1;
        let mut call = self.call();
        let address = Ipv4Addr::new(10, self.index as u8, (self.asked >> 8) as u8, self.asked as u8);
        let address = HeaderValue::try_from(address.to_string()).expect("an address");
        for name in ADDRESS {
            call.request.headers_mut().insert(name, address.clone());
        }
        call
    }

    fn note(&mut self, outcome: &Outcome) {
        if let Ok(answer) = outcome
            && (200..300).contains(&answer.status)
        {
            self.keep(answer, outcome);
        }
    }
}

/// A number that nobody else has.
fn phone(index: usize, asked: u32) -> String {
    format!("+1415{:07}", 2_000_000 + index * 100_000 + asked as usize)
}
