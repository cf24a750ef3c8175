//! The roles that an account can have.

use std::sync::Arc;

use crate::App;
use crate::error::Error;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::users::model::Role;

/// `GET /v1/roles`
///
/// # Errors
/// None.
pub async fn list(_app: &Arc<App>, _request: Request) -> Result<Reply, Error> {
    reply::ok(&[Role::Admin, Role::User])
}
