//! What requests about confirmations and recovery bring and get.

use std::sync::Arc;

use serde::Deserialize;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::access::Caller;
use crate::devices::model::DeviceUuid;
use crate::error::Error;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::outbox::delivery;
use crate::outbox::model::{self as outbox, MailMessage, Task};
use crate::ports::store::{StoreError, StoreErrorKind};
use crate::ports::store_ext::{StoreExt, Stored, Transaction};
use crate::secret::Secret;
use crate::sessions::model::Auth;
use crate::text::{Email, Phone};
use crate::users::model::User;
use crate::users::repo::{self as users, Obstacle};
use crate::validate::{self, Invalid, InvalidCode, Validator};
use crate::verifications::code::Purpose;
use crate::verifications::recovery::{self, Recovery};
use crate::verifications::repo::{self, Accepted, Refused};
use crate::verifications::sms_limits;

/// How often a change that somebody else overtook is made anew.
const TRIES: usize = 4;

/// The same for a budget that everybody takes from.
const BUDGET_TRIES: usize = 16;

#[derive(Deserialize)]
struct RequestRecovery {
    email: Option<String>,
}

/// `POST /v1/password-recovery/request`
///
/// # Errors
/// 422, 429, 503.
pub async fn request_recovery(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: RequestRecovery = request.json().await?;
    let mut check = Validator::new();
    let email = check.required("/email", body.email, |text| Email::parse(&text));
    recovery::request(app, &request.client, &check.finish_with(email)?).await?;
    reply::message("OTP sent")
}

#[derive(Deserialize)]
struct Recover {
    email: Option<String>,
    otp: Option<Secret>,
    new_password: Option<Secret>,
    device_uuid: Option<String>,
}

/// `POST /v1/password-recovery/validate-code`
///
/// # Errors
/// 401, 422, 429, 503.
pub async fn recover(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: Recover = request.json().await?;
    let mut check = Validator::new();
    let email = check.required("/email", body.email, |text| Email::parse(&text));
    let code = check.required("/otp", body.otp, Ok);
    let password = check.required("/new_password", body.new_password, Ok);
    let device_uuid = check.optional("/device_uuid", body.device_uuid, |text| DeviceUuid::parse(&text));
    let ((email, code), password) = check.finish_with(email.zip(code).zip(password))?;
    let wanted = Recovery { email, code, password, device_uuid };
    let (user, begun) = recovery::complete(app, &request.client, &wanted).await?;
    reply::ok(&Auth::of(&user, &begun))
}

/// `POST /v1/confirm-email/request`
///
/// # Errors
/// 401, 409 `already_confirmed`, 429 `too_soon`, 503.
pub async fn request_email(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let user = &request.caller()?.user()?.value;
    if user.email_confirmed {
        return Err(already_confirmed());
    }
    let old = repo::find(app, &user.user_id, Purpose::Email).await?;
    let task = |nonce| Task::Mail {
        to: user.email().to_owned(),
        message: MailMessage::ConfirmEmail {
            user_id: user.user_id.clone(),
            username: user.username().to_owned(),
            nonce,
        },
    };
    let issue = repo::issue(app, &user.user_id, Purpose::Email, user.email(), old.as_ref(), task)?;
    promised(app, issue.store(app).await, issue.message_id)
}

/// `POST /v1/confirm-phone/request`
///
/// # Errors
/// 400 `no_phone`, 401, 409 `already_confirmed`, 422, 429, 503.
pub async fn request_phone(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let user = &request.caller()?.user()?.value;
    let phone = phone_of(user)?;
    if app.ports.sms.is_none() {
        return Err(Error::unavailable("sms_not_configured", "this server sends no SMS", 3600));
    }
    if user.phone_confirmed {
        return Err(already_confirmed());
    }
    validate::one("/phone", sms_limits::check_number(app, phone))?;
    for _ in 0..BUDGET_TRIES {
        let old = repo::find(app, &user.user_id, Purpose::Phone).await?;
        let task = |nonce| Task::Sms { to: phone.to_string(), user_id: user.user_id.clone(), nonce };
        // First, for its pause is the longer one to tell of.
        let mut writes = sms_limits::take(app, phone, &user.user_id, request.client.addr).await?;
        let issue = repo::issue(app, &user.user_id, Purpose::Phone, phone.as_str(), old.as_ref(), task)?;
        let budgets = writes.len();
        writes.extend(issue.writes);
        let witness = outbox::key(&issue.message_id);
        match app.ports.store.transact_witnessed(&writes, &witness).await {
            // Somebody else took from the same budget at this moment: look at what is left of it.
            Err(error) if error.conflicting_write().is_some_and(|write| write < budgets) => {}
            outcome => return promised(app, outcome, issue.message_id),
        }
    }
    Err(Error::contended())
}

fn promised(app: &Arc<App>, outcome: Result<(), StoreError>, message_id: String) -> Result<Reply, Error> {
    match outcome {
        Ok(()) => delivery::deliver_soon(app, vec![message_id]),
        Err(error) if error.conflicting_write().is_some() => {
            let detail = "a code was sent just now: wait before asking for another";
            return Err(Error::too_many("too_soon", detail, 60).caused_by(error));
        }
        Err(error) => return Err(error.into()),
    }
    reply::message("confirmation sent")
}

#[derive(Deserialize)]
struct ConfirmEmail {
    token: Option<Secret>,
}

/// `POST /v1/confirm-email/validate-code`
///
/// # Errors
/// 401, 422 `invalid_code`, 429, 503.
pub async fn confirm_email(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: ConfirmEmail = request.json().await?;
    let mut check = Validator::new();
    let token = check.required("/token", body.token, Ok);
    let token = check.finish_with(token)?;
    let caller = request.caller()?;
    let address = caller.user()?.value.email().to_owned();
    let accepted = redeem(app, &request, Purpose::Email, &address, &token, "/token").await?;
    let same = |user: &User| user.email() == address;
    confirm(app, caller, &accepted, same, |user| &mut user.email_confirmed, "/token").await?;
    reply::message("email confirmed")
}

#[derive(Deserialize)]
struct ConfirmPhone {
    otp: Option<Secret>,
}

/// `POST /v1/confirm-phone/validate-code`
///
/// # Errors
/// 400 `no_phone`, 401, 422 `invalid_code`, 429, 503.
pub async fn confirm_phone(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let body: ConfirmPhone = request.json().await?;
    let mut check = Validator::new();
    let otp = check.required("/otp", body.otp, Ok);
    let otp = check.finish_with(otp)?;
    let caller = request.caller()?;
    let phone = phone_of(&caller.user()?.value)?.clone();
    let accepted = redeem(app, &request, Purpose::Phone, phone.as_str(), &otp, "/otp").await?;
    let same = |user: &User| user.phone.as_ref() == Some(&phone);
    confirm(app, caller, &accepted, same, |user| &mut user.phone_confirmed, "/otp").await?;
    reply::message("phone confirmed")
}

async fn redeem(
    app: &Arc<App>,
    request: &Request,
    purpose: Purpose,
    address: &str,
    entered: &Secret,
    pointer: &'static str,
) -> Result<Accepted, Error> {
    let caller = request.caller()?;
    let event = Event::of(&caller.session, &request.client);
    let refused = match repo::redeem(app, &caller.user_id, purpose, Some(address), entered).await? {
        Ok(accepted) => {
            event.record("address_confirmed", Outcome::Success);
            return Ok(accepted);
        }
        Err(refused) => refused,
    };
    event.record("address_confirmed", Outcome::Failure);
    Err(match refused {
        Refused::Wrong => invalid_code(pointer),
        Refused::Exhausted { retry_after } => Error::too_many(
            "too_many_attempts",
            "too many wrong codes: wait, then ask for a new one",
            retry_after,
        ),
    })
}

/// Uses the code up and marks the address confirmed, if it is still the account's.
async fn confirm(
    app: &Arc<App>,
    caller: &Caller,
    accepted: &Accepted,
    is_same_address: impl Fn(&User) -> bool,
    mark: impl Fn(&mut User) -> &mut bool,
    pointer: &'static str,
) -> Result<(), Error> {
    let mut before: Stored<User> = caller.user()?.clone();
    for _ in 0..TRIES {
        if !is_same_address(&before.value) {
            break;
        }
        let mut after = User { updated_at: app.now(), ..before.value.clone() };
        *mark(&mut after) = true;
        let mut tx = Transaction::new();
        users::put_changed(&mut tx, &before, &after)?;
        tx.push(accepted.spend(), Obstacle::CodeSpent);
        let unknown = match tx.commit(&*app.ports.store).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Obstacle::CodeSpent)) => break,
            Ok(Err(_)) => None,
            Err(error) if error.kind == StoreErrorKind::Unavailable => Some(error),
            Err(error) => return Err(error.into()),
        };
        before = users::find(&*app.ports.store, &caller.user_id).await?.ok_or_else(Error::not_found)?;
        if let Some(error) = unknown {
            // The code is used up if, and only if, the address was confirmed.
            let mut now = before.value.clone();
            return if is_same_address(&now) && *mark(&mut now) { Ok(()) } else { Err(error.into()) };
        }
    }
    Err(invalid_code(pointer))
}

fn phone_of(user: &User) -> Result<&Phone, Error> {
    user.phone
        .as_ref()
        .ok_or_else(|| Error::bad_request("no_phone", "add a phone number to your account first"))
}

fn already_confirmed() -> Error {
    Error::conflict("already_confirmed", "this address is confirmed already")
}

fn invalid_code(pointer: &'static str) -> Error {
    let invalid = Invalid::new(
        InvalidCode::InvalidCode,
        "the code is wrong, was used, or has expired: ask for a new one",
    );
    let error = validate::one::<()>(pointer, Err(invalid)).err();
    Error { code: "invalid_code", ..error.unwrap_or_else(|| Error::validation(Vec::new())) }
}
