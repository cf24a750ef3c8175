//! What requests about notifications bring and get.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::App;
use crate::devices::model::optional_ulid;
use crate::error::Error;
use crate::http::cursor;
use crate::http::paging::{Envelope, PageRequest};
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::notifications::creation::{self, MAX_NAMED, Recipients};
use crate::notifications::model::{Content, Notification};
use crate::notifications::repo;
use crate::ports::store::Query;
use crate::text::{is_id, line, prose};
use crate::validate::{Invalid, InvalidCode, Validator};

#[derive(Deserialize)]
struct Input {
    user_id: Option<String>,
    user_ids: Option<Vec<String>>,
    all: Option<bool>,
    template_id: Option<String>,
    message: Option<String>,
    device_id: Option<String>,
}

#[derive(Serialize)]
struct Created {
    created: usize,
}

#[derive(Serialize)]
struct MarkedRead {
    message: &'static str,
    updated: usize,
}

/// `GET /v1/notifications`
///
/// # Errors
/// 400 for a bad page or a bad `all`, 503.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let user_id = &request.caller()?.user_id;
    if request.flag("all")? {
        let scope = format!("notifications/all/{user_id}");
        return reply_page(app, &page, &scope, repo::all_of(user_id)).await;
    }
    if page.asked {
        let scope = format!("notifications/unread/{user_id}");
        return reply_page(app, &page, &scope, repo::unread_of(user_id)).await;
    }
    let (unread, _) = repo::list(&*app.ports.store, repo::unread_of(user_id), repo::MAX_UNPAGED).await?;
    reply::ok(&unread.iter().map(Notification::view).collect::<Vec<_>>())
}

async fn reply_page(app: &Arc<App>, page: &PageRequest, scope: &str, query: Query) -> Result<Reply, Error> {
    let key = &app.server_keys.cursors;
    let query = query.after(page.position(key, scope)?);
    let (notifications, next) = repo::list(&*app.ports.store, query, page.limit).await?;
    let views = notifications.iter().map(Notification::view).collect();
    reply::ok(&Envelope::new(views, next.and_then(|next| cursor::seal(key, scope, &next))))
}

/// `POST /v1/notifications`
///
/// # Errors
/// 422, 503.
pub async fn create(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let input: Input = request.json().await?;
    let (recipients, content) = check(input)?;
    let created = creation::create(app, &recipients, &content).await?;
    reply::created(&Created { created })
}

/// `PUT /v1/notifications/read-all`
///
/// # Errors
/// 503.
pub async fn mark_all_read(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let updated = repo::mark_all_read(app, request.caller()?).await?;
    reply::ok(&MarkedRead { message: "marked as read", updated })
}

/// `PUT` and `PATCH /v1/notifications/{id}`
///
/// # Errors
/// 404, 409, 503.
pub async fn mark_read(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let (notification, _) = repo::mark_read(app, request.caller()?, request.id_param()?).await?;
    reply::ok(&notification.view())
}

/// `DELETE /v1/notifications/{id}`
///
/// # Errors
/// 404, 503.
pub async fn remove(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    repo::remove(&*app.ports.store, request.caller()?, request.id_param()?).await?;
    reply::message("deleted")
}

fn check(input: Input) -> Result<(Recipients, Content), Error> {
    let mut check = Validator::new();
    let recipients = recipients(&mut check, input.user_id, input.user_ids, input.all);
    let message = check.required("/message", input.message, |text| prose(&text, 2000, "a message"));
    let template_id = check.check("/template_id", template(&input.template_id.unwrap_or_default()));
    let device_id = check.check("/device_id", optional_ulid(input.device_id.unwrap_or_default()));
    let content = message.zip(template_id).zip(device_id);
    let (recipients, ((message, template_id), device_id)) = check.finish_with(recipients.zip(content))?;
    Ok((recipients, Content { device_id, template_id, message }))
}

fn recipients(
    check: &mut Validator,
    user_id: Option<String>,
    user_ids: Option<Vec<String>>,
    all: Option<bool>,
) -> Option<Recipients> {
    match (user_id, user_ids, all) {
        (Some(user_id), None, None) => check.check("/user_id", known_form(user_id)).map(Recipients::One),
        (None, Some(user_ids), None) => many(check, user_ids).map(Recipients::Many),
        (None, None, Some(true)) => Some(Recipients::All),
        (None, None, Some(false)) => {
            refuse(check, "/all", InvalidCode::NotAllowed, "give `true`, or name users")
        }
        (None, None, None) => refuse(check, "", InvalidCode::Required, ONE_OF_THREE),
        _ => refuse(check, "", InvalidCode::NotAllowed, ONE_OF_THREE),
    }
}

const ONE_OF_THREE: &str = "give exactly one of `user_id`, `user_ids` and `all`";

fn refuse<T>(
    check: &mut Validator,
    pointer: &'static str,
    code: InvalidCode,
    message: &'static str,
) -> Option<T> {
    check.refuse(pointer, Invalid::new(code, message));
    None
}

fn many(check: &mut Validator, user_ids: Vec<String>) -> Option<Vec<String>> {
    if user_ids.is_empty() {
        return refuse(check, "/user_ids", InvalidCode::TooShort, "name at least one user");
    }
    if user_ids.len() > MAX_NAMED {
        return refuse(check, "/user_ids", InvalidCode::TooLong, "name at most 100 users");
    }
    let mut sound = true;
    for (index, user_id) in user_ids.iter().enumerate() {
        if let Err(invalid) = known_form(user_id.clone()) {
            check.refuse(format!("/user_ids/{index}"), invalid);
            sound = false;
        }
    }
    sound.then_some(user_ids)
}

/// Text that is no id is no user's: keys of other kinds are out of reach.
fn known_form(user_id: String) -> Result<String, Invalid> {
    if is_id(&user_id) { Ok(user_id) } else { Err(Invalid::format("this is not the id of a user")) }
}

/// An empty template is none.
fn template(text: &str) -> Result<String, Invalid> {
    if text.trim().is_empty() { Ok(String::new()) } else { line(text, 128, "a template's name") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<Recipients, Vec<String>> {
        let input = serde_json::from_value(body).unwrap();
        check(input)
            .map(|(recipients, _)| recipients)
            .map_err(|error| error.errors.iter().map(|error| error.pointer.to_string()).collect())
    }

    #[test]
    fn recipients_are_given_in_one_way() {
        let ada = || "01ADA".to_owned();
        assert_eq!(read(json!({ "message": "hi", "user_id": "01ADA" })), Ok(Recipients::One(ada())));
        assert_eq!(read(json!({ "message": "hi", "all": true })), Ok(Recipients::All));
        let twice = json!({ "message": "hi", "user_ids": ["01ADA", "01ADA"] });
        assert_eq!(read(twice), Ok(Recipients::Many(vec![ada(), ada()])));
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        let refused = |body| read(body).unwrap_err();
        assert_eq!(refused(json!({ "message": "hi" })), [""]);
        assert_eq!(refused(json!({ "message": "hi", "all": true, "user_id": "01ADA" })), [""]);
        assert_eq!(refused(json!({ "message": "hi", "all": false })), ["/all"]);
        assert_eq!(refused(json!({ "message": "hi", "user_ids": [] })), ["/user_ids"]);
        assert_eq!(refused(json!({ "message": "hi", "user_ids": vec!["01ADA"; 101] })), ["/user_ids"]);
        assert_eq!(
            refused(json!({ "message": "hi", "user_ids": ["01ADA", "email#a@b.c"] })),
            ["/user_ids/1"]
        );
        assert_eq!(refused(json!({ "all": true, "template_id": "a\nb" })), ["/message", "/template_id"]);
    }
}
