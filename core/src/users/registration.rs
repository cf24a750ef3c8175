//! Making an account: by its owner, or an Admin's on the host.

use std::sync::Arc;

use serde::Deserialize;

use crate::App;
use crate::audit::{Event, Outcome};
use crate::auth::password::Password;
use crate::devices::model::DeviceUuid;
use crate::error::Error;
use crate::http::client::Client;
use crate::outbox::delivery;
use crate::outbox::model::{MailMessage, Task};
use crate::ports::store_ext::Transaction;
use crate::secret::Secret;
use crate::sessions::model::Begun;
use crate::sessions::opening::{self, Opening};
use crate::sessions::password;
use crate::text::{self, Email, Name, Phone, Username};
use crate::time::Date;
use crate::users::model::{Role, User};
use crate::users::password::check_new;
use crate::users::repo::{self, Obstacle};
use crate::validate::Validator;
use crate::verifications::code::Purpose;
use crate::verifications::repo::{self as verifications, Issue};

/// What a registration brings.
#[derive(Debug, Deserialize)]
pub struct RegistrationBody {
    username: Option<String>,
    password: Option<Secret>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    phone: Option<String>,
    birthday: Option<String>,
    device_uuid: Option<String>,
}

/// A registration whose every value is acceptable.
#[derive(Debug)]
pub struct Registration {
    username: Username,
    password: Password,
    email: Email,
    first_name: Name,
    last_name: Name,
    phone: Option<Phone>,
    birthday: Option<Date>,
    device_uuid: Option<DeviceUuid>,
}

impl Registration {
    /// Checks every value.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub async fn check(app: &App, body: RegistrationBody) -> Result<Self, Error> {
        let mut check = Validator::new();
        let username = check.required("/username", body.username, |text| Username::parse(&text));
        let email = check.required("/email", body.email, |text| Email::parse(&text));
        let password =
            check_password(app, &mut check, body.password, username.as_ref(), email.as_ref()).await;
        let first_name = check.required("/first_name", body.first_name, |text| Name::parse(&text));
        let last_name = check.required("/last_name", body.last_name, |text| Name::parse(&text));
        let phone =
            check.optional("/phone", body.phone.filter(|text| !text.is_empty()), |text| Phone::parse(&text));
        let birthday = check.optional("/birthday", body.birthday.filter(|text| !text.is_empty()), |text| {
            text::birthday(&text, app.now())
        });
        let device_uuid = check.optional("/device_uuid", body.device_uuid, |text| DeviceUuid::parse(&text));
        let required = username.zip(email).zip(password).zip(first_name.zip(last_name));
        let (((username, email), password), (first_name, last_name)) = check.finish_with(required)?;
        Ok(Self { username, password, email, first_name, last_name, phone, birthday, device_uuid })
    }

    fn user(&self, app: &App, user_id: String, hash: String) -> User {
        User {
            username: Some(self.username.clone()),
            email: Some(self.email.clone()),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            phone: self.phone.clone(),
            birthday: self.birthday,
            password_hash: Some(hash),
            ..User::new(user_id, Role::User, app.now())
        }
    }
}

async fn check_password(
    app: &App,
    check: &mut Validator,
    password: Option<Secret>,
    username: Option<&Username>,
    email: Option<&Email>,
) -> Option<Password> {
    let secret = check.required("/password", password, Ok)?;
    let identities = [username.map_or("", Username::as_str), email.map_or("", Email::as_str)];
    check.check("/password", check_new(app, secret, &identities).await)
}

/// Makes an account and signs it in, in one transaction with the promise of its confirmation message.
///
/// # Errors
/// 409 `username_taken` or `email_taken`, 503.
pub async fn register(
    app: &Arc<App>,
    client: &Client,
    registration: &Registration,
) -> Result<(User, Begun), Error> {
    let hash = password::hash(app, &registration.password).await?;
    let user = registration.user(app, app.new_id()?, hash);
    let confirmation = confirmation(app, &user)?;
    let opening = Opening {
        new_account: true,
        ..Opening::new(app, &user.user_id, client, registration.device_uuid.clone())?
    };
    let prepare = |tx: &mut Transaction<Obstacle>| {
        repo::put_new(tx, &user)?;
        for write in &confirmation.writes {
            tx.push(write.clone(), Obstacle::Changed);
        }
        Ok(())
    };
    let begun = opening::open(app, &opening, &user, prepare).await??;
    delivery::deliver_soon(app, vec![confirmation.message_id]);
    let event = Event::of(&begun.session, client);
    event.record("registered", Outcome::Success);
    Ok((user, begun))
}

fn confirmation(app: &App, user: &User) -> Result<Issue, Error> {
    verifications::issue(app, &user.user_id, Purpose::Email, user.email(), None, |nonce| Task::Mail {
        to: user.email().to_owned(),
        message: MailMessage::ConfirmEmail {
            user_id: user.user_id.clone(),
            username: user.username().to_owned(),
            nonce,
        },
    })
}

/// Makes an Admin, on the word of whoever has the host: the address counts as confirmed, and no session begins.
///
/// # Errors
/// 422, 409, 503.
pub async fn create_admin(
    app: &Arc<App>,
    username: &str,
    email: &str,
    password: Secret,
) -> Result<User, Error> {
    let mut check = Validator::new();
    let username = check.check("/username", Username::parse(username));
    let email = check.check("/email", Email::parse(email));
    let password = check_password(app, &mut check, Some(password), username.as_ref(), email.as_ref()).await;
    let ((username, email), password) = check.finish_with(username.zip(email).zip(password))?;
    let hash = password::hash(app, &password).await?;
    let user = User {
        first_name: Name::lenient(username.as_str(), "-"),
        last_name: Name::lenient("Admin", "-"),
        username: Some(username),
        email: Some(email),
        email_confirmed: true,
        password_hash: Some(hash),
        ..User::new(app.new_id()?, Role::Admin, app.now())
    };
    let mut tx = Transaction::new();
    repo::put_new(&mut tx, &user)?;
    tx.commit(&*app.ports.store).await??;
    Event { user_id: Some(&user.user_id), ..Event::default() }.record("admin_created", Outcome::Success);
    Ok(user)
}
