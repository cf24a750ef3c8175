//! Choosing and changing passwords.

use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::access::Caller;
use crate::auth::password::Password;
use crate::error::Error;
use crate::http::client::Client;
use crate::outbox::delivery;
use crate::outbox::model::{Entry, MailMessage, Task};
use crate::ports::store_ext::Transaction;
use crate::secret::Secret;
use crate::sessions::{ending, password};
use crate::users::model::User;
use crate::users::repo::{self, Obstacle};
use crate::validate::{self, Invalid, InvalidCode};

/// Checks a new password: its form, the embedded list, and with `HIBP=on` the range API of Have I Been Pwned.
///
/// # Errors
/// [`Invalid`] as [`Password::check_new`].
pub async fn check_new(app: &App, secret: Secret, identities: &[&str]) -> Result<Password, Invalid> {
    let password = Password::new(secret).check_new(identities)?;
    if app.settings.hibp && is_pwned(app, &password).await {
        return Err(Invalid::new(
            InvalidCode::TooCommon,
            "this password has appeared in a data breach; choose another",
        ));
    }
    Ok(password)
}

/// Asks the range API, which learns five digits of the hash (k-anonymity). An outage is logged and refuses nobody.
async fn is_pwned(app: &App, password: &Password) -> bool {
    let hash = base16ct::upper::encode_string(&Sha1::digest(password.normalized().expose()));
    let (prefix, suffix) = hash.split_at(5);
    match fetch_range(app, prefix).await {
        Ok(body) => body.lines().any(|line| {
            line.split_once(':').is_some_and(|(tail, count)| tail == suffix && count.trim() != "0")
        }),
        Err(reason) => {
            tracing::warn!(
                reason,
                "leaked passwords could not be looked up; the password was not checked against them"
            );
            false
        }
    }
}

async fn fetch_range(app: &App, prefix: &str) -> Result<String, String> {
    let request = http::Request::get(format!("https://api.pwnedpasswords.com/range/{prefix}"))
        .header("Add-Padding", "true")
        .header(http::header::USER_AGENT, "portico")
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    let answer = app.ports.http.send(request).await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status()));
    }
    String::from_utf8(answer.into_body().to_vec()).map_err(|error| error.to_string())
}

/// Changes the caller's password; ends their other sessions and tells them by e-mail.
///
/// # Errors
/// 422 `wrong_password` or for the new one, 409, 429, 503.
pub async fn change(
    app: &Arc<App>,
    client: &Client,
    caller: &Caller,
    current: Secret,
    new: Secret,
) -> Result<(), Error> {
    let user = caller.user()?;
    let event = Event::of(&caller.session, client);
    let identities = [user.value.username(), user.value.email()];
    let new = validate::one("/new_password", check_new(app, new, &identities).await)?;
    let own = password::is_own(app, client, &user.value, &Password::new(current)).await;
    if !own.inspect_err(|_| event.record("password_changed", Outcome::Failure))? {
        event.record("password_changed", Outcome::Failure);
        let wrong = Invalid::new(InvalidCode::WrongPassword, "this is not your present password");
        return validate::one("/current_password", Err(wrong))
            .map_err(|error| Error { code: "wrong_password", ..error });
    }
    let now = app.now();
    let changed =
        User { password_hash: Some(password::hash(app, &new).await?), updated_at: now, ..user.value.clone() };
    let kept = Some(caller.session.session_id.as_str());
    let notice = Entry::now(app, password_changed(&changed))?;
    let mut tx = Transaction::new();
    repo::put_changed(&mut tx, user, &changed)?;
    tx.push(notice.promise()?, Obstacle::Changed);
    let sweep = ending::sweep(app, &caller.user_id, kept, now)?;
    tx.push(sweep.promise()?, Obstacle::Changed).witness(sweep.key());
    tx.commit(&*app.ports.store).await??;
    ending::fulfil(app, sweep).await;
    delivery::deliver_soon(app, vec![notice.message_id]);
    event.record("password_changed", Outcome::Success);
    Ok(())
}

/// The message that tells a user of the change.
#[must_use]
pub fn password_changed(user: &User) -> Task {
    Task::Mail {
        to: user.email().to_owned(),
        message: MailMessage::PasswordChanged { username: user.username().to_owned() },
    }
}
