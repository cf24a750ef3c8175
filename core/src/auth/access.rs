//! Who is asking, and may they: the access rules that the route table names.
//!
//! An access token is believed only together with its session, which is read from the store (or a cache of
//! `SESSION_CACHE_SECONDS`), so that logging out, disabling and deleting take effect on tokens already issued.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::access_token::{self, Claims};
use crate::App;
use crate::error::Error;
use crate::http::routes::{Access, Route};
use crate::ports::store_ext::Stored;
use crate::sessions::model::Session;
use crate::sessions::repo as sessions;
use crate::users::model::{Role, User};
use crate::users::repo as users;

/// A signed-in user.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub user_id: String,
    /// The role, as stored for an Admin and as in the token for anybody else.
    pub role: Role,
    /// The session, as read for this request.
    pub session: Session,
    /// The user's record, on routes that ask for it and for every Admin.
    pub user: Option<Stored<User>>,
}

impl Caller {
    /// Whether the caller is this user, or an Admin.
    #[must_use]
    pub fn is_self_or_admin(&self, user_id: &str) -> bool {
        self.user_id == user_id || self.role == Role::Admin
    }

    /// The caller's own record.
    ///
    /// # Errors
    /// 401 on a route that did not ask for it: a handler that needs it fails closed.
    pub fn user(&self) -> Result<&Stored<User>, Error> {
        self.user.as_ref().ok_or_else(ended)
    }
}

/// Admits a request to a route, or refuses it.
///
/// # Errors
/// 401 without a valid token of a live session, 403 when the access rule does not hold.
pub(crate) async fn admit(
    app: &Arc<App>,
    route: &Route,
    headers: &HeaderMap,
    params: &[(String, String)],
) -> Result<Option<Caller>, Error> {
    if route.access == Access::Public {
        return Ok(None);
    }
    let caller = authenticate(app, headers, route.with_user).await?;
    let named = params.iter().find(|(name, _)| name == "id").map(|(_, id)| id.as_str());
    let admitted = match route.access {
        Access::Public | Access::User | Access::OwnerOrAdmin => true,
        Access::Admin => caller.role == Role::Admin,
        Access::SelfOrAdmin => named.is_some_and(|id| id == "me" || caller.is_self_or_admin(id)),
    };
    if admitted { Ok(Some(caller)) } else { Err(Error::forbidden("your account may not do this")) }
}

async fn authenticate(app: &Arc<App>, headers: &HeaderMap, with_user: bool) -> Result<Caller, Error> {
    let token = bearer(headers)?;
    let claims = access_token::verify(app, token).await?;
    let with_user = with_user || claims.role == Role::Admin;
    let (session, user) = futures::join!(sessions::find_cached(app, &claims.session_id), async {
        if with_user { users::find(&*app.ports.store, &claims.user_id).await } else { Ok(None) }
    });
    let (most, now) = (app.settings.session_max_seconds, app.now());
    let session = session?
        .filter(|session| is_live(session, &claims) && !session.is_too_old(most, now))
        .ok_or_else(ended)?;
    let user = user?.filter(|user| user.value.is_enabled());
    if with_user && user.is_none() {
        return Err(ended());
    }
    let role = user.as_ref().map_or(Role::User, |user| user.value.role);
    Ok(Caller { user_id: claims.user_id, role, session, user })
}

fn is_live(session: &Session, claims: &Claims) -> bool {
    session.enable && session.user_id == claims.user_id && session.device_id == claims.device_id
}

fn ended() -> Error {
    Error::invalid_token("session_ended", "this session has ended: sign in again")
}

/// The token of an `Authorization: Bearer` header (RFC 6750, section 2.1).
///
/// # Errors
/// 401 unless there is one such header.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Error::unauthenticated())?,
        _ => return Err(Error::unauthenticated()),
    };
    // Hosts may have joined several headers of one name (RFC 9110, section 5.3); no token holds a space.
    let (scheme, token) = value.split_once(' ').ok_or_else(Error::unauthenticated)?;
    let token = token.trim();
    if token.contains(", ") {
        return Err(Error::unauthenticated());
    }
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Error::unauthenticated())
    }
}
