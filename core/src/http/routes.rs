//! The route table: every operation of the API, who may call it, and where it is handled.
//!
//! The router enforces the access rule before the handler runs. A test compares the table with `openapi.yaml`, both ways.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::Method;

use super::reply::Reply;
use super::request::{MAX_JSON_BYTES, Request};
use crate::error::Error;
use crate::files::handlers::MAX_BASE64_BYTES;
use crate::idempotency::Keyed;
use crate::{
    App, app_versions, blob_urls, description, devices, files, health, notifications, roles, sessions,
    statuses, users, verifications,
};

/// One operation.
#[derive(Debug)]
pub struct Route {
    /// The method; GET answers HEAD too.
    pub method: Method,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// The operation's id in the API description.
    pub operation: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether calls count against the rate limit of the client's address.
    pub limited: bool,
    /// Whether the handler needs the caller's own record; it is read along with the session.
    pub with_user: bool,
    /// Whether, and how, it heeds `Idempotency-Key`.
    pub keyed: Keyed,
    /// What answers.
    pub handler: Handler,
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Any signed-in user.
    User,
    /// The user whom `{id}` names (`me` is the caller), or an Admin.
    SelfOrAdmin,
    /// The owner of what `{id}` names, or an Admin. The handler reads the object on the caller's behalf and answers
    /// 404 to anybody else.
    OwnerOrAdmin,
    /// An Admin.
    Admin,
}

/// A handler: the app and a request that passed its route's access rule.
pub type Handler = for<'a> fn(&'a Arc<App>, Request) -> BoxFuture<'a, Result<Reply, Error>>;

impl Route {
    /// Counts calls against the rate limit of the client's address.
    const fn limited(mut self) -> Self {
        self.limited = true;
        self
    }

    /// Reads the caller's own record along with the session.
    const fn with_user(mut self) -> Self {
        self.with_user = true;
        self
    }

    /// Heeds `Idempotency-Key`, for a body of JSON.
    const fn keyed(self) -> Self {
        self.keyed_as(Keyed::Body(MAX_JSON_BYTES))
    }

    /// Heeds `Idempotency-Key`.
    const fn keyed_as(mut self, keyed: Keyed) -> Self {
        self.keyed = keyed;
        self
    }
}

macro_rules! route {
    ($method:ident $path:literal, $operation:literal, $access:ident => $($handler:ident)::+) => {
        Route {
            method: Method::$method,
            path: $path,
            operation: $operation,
            access: Access::$access,
            limited: false,
            with_user: false,
            keyed: Keyed::No,
            handler: |app, request| Box::pin($($handler)::+(app, request)),
        }
    };
}

/// Every operation, in the order of the API description.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    route!(POST   "/v1/users", "register_user", Public => users::handlers::register).limited().keyed(),
    route!(GET    "/v1/users", "list_users", Admin => users::handlers::list),
    route!(GET    "/v1/users/{id}", "get_user", User => users::handlers::show),
    route!(PUT    "/v1/users/{id}", "update_user", SelfOrAdmin => users::handlers::update),
    route!(PATCH  "/v1/users/{id}", "patch_user", SelfOrAdmin => users::handlers::update),
    route!(DELETE "/v1/users/{id}", "delete_user", SelfOrAdmin => users::handlers::remove),
    route!(POST   "/v1/users/{id}/restore", "restore_user", Admin => users::handlers::restore),
    route!(GET    "/v1/users/{id}/sessions", "list_user_sessions", SelfOrAdmin => sessions::handlers::list),
    route!(POST   "/v1/users/me/password", "change_password", User => users::handlers::change_password).with_user(),
    route!(GET    "/v1/users/me/export", "export_account", User => users::handlers::export).with_user(),
    route!(GET    "/v1/roles", "list_roles", Public => roles::list),

    route!(GET    "/v1/sessions", "get_current_session", User => sessions::handlers::show).with_user(),
    route!(POST   "/v1/sessions/login", "sign_in", Public => sessions::handlers::sign_in).limited(),
    route!(POST   "/v1/sessions/google", "sign_in_with_google", Public => sessions::handlers::sign_in_with_google).limited(),
    route!(POST   "/v1/sessions/refresh", "refresh_session", Public => sessions::handlers::refresh),
    route!(POST   "/v1/sessions/logout", "log_out", User => sessions::handlers::log_out),
    route!(POST   "/v1/sessions/logout-all", "log_out_everywhere", User => sessions::handlers::log_out_everywhere),
    route!(DELETE "/v1/sessions/{id}", "revoke_session", OwnerOrAdmin => sessions::handlers::revoke),

    route!(POST   "/v1/password-recovery/request", "request_password_recovery", Public => verifications::handlers::request_recovery).limited().keyed(),
    route!(POST   "/v1/password-recovery/validate-code", "complete_password_recovery", Public => verifications::handlers::recover).limited(),
    route!(POST   "/v1/password-recovery/change-password", "change_password_legacy", User => users::handlers::change_password).with_user(),
    route!(POST   "/v1/confirm-email/request", "request_email_confirmation", User => verifications::handlers::request_email).with_user().keyed(),
    route!(POST   "/v1/confirm-email/validate-code", "confirm_email", User => verifications::handlers::confirm_email).with_user(),
    route!(POST   "/v1/confirm-phone/request", "request_phone_confirmation", User => verifications::handlers::request_phone).with_user().keyed(),
    route!(POST   "/v1/confirm-phone/validate-code", "confirm_phone", User => verifications::handlers::confirm_phone).with_user(),

    route!(GET    "/v1/statuses", "list_statuses", User => statuses::handlers::list),
    route!(POST   "/v1/statuses", "create_status", Admin => statuses::handlers::create).keyed(),
    route!(GET    "/v1/statuses/{id}", "get_status", User => statuses::handlers::show),
    route!(PUT    "/v1/statuses/{id}", "update_status", Admin => statuses::handlers::update),
    route!(PATCH  "/v1/statuses/{id}", "patch_status", Admin => statuses::handlers::update),
    route!(DELETE "/v1/statuses/{id}", "delete_status", Admin => statuses::handlers::remove),

    route!(GET    "/v1/devices", "list_devices", User => devices::handlers::list),
    route!(GET    "/v1/devices/{id}", "get_device", OwnerOrAdmin => devices::handlers::show),
    route!(PUT    "/v1/devices/{id}", "update_device", OwnerOrAdmin => devices::handlers::update),
    route!(PATCH  "/v1/devices/{id}", "patch_device", OwnerOrAdmin => devices::handlers::update),
    route!(DELETE "/v1/devices/{id}", "delete_device", OwnerOrAdmin => devices::handlers::remove),
    route!(PUT    "/v1/devices/version", "check_device_version", User => devices::handlers::check_version),

    route!(GET    "/v1/notifications", "list_notifications", User => notifications::handlers::list),
    route!(POST   "/v1/notifications", "create_notification", Admin => notifications::handlers::create).keyed(),
    route!(PUT    "/v1/notifications/read-all", "mark_all_notifications_read", User => notifications::handlers::mark_all_read),
    route!(PUT    "/v1/notifications/{id}", "mark_notification_read", OwnerOrAdmin => notifications::handlers::mark_read),
    route!(PATCH  "/v1/notifications/{id}", "patch_notification", OwnerOrAdmin => notifications::handlers::mark_read),
    route!(DELETE "/v1/notifications/{id}", "delete_notification", OwnerOrAdmin => notifications::handlers::remove),

    route!(GET    "/v1/app-versions", "list_app_versions", Public => app_versions::handlers::list),
    route!(POST   "/v1/app-versions", "create_app_version", Admin => app_versions::handlers::create).keyed(),
    route!(GET    "/v1/app-versions/{id}", "get_app_version", Public => app_versions::handlers::show),
    route!(PUT    "/v1/app-versions/{id}", "update_app_version", Admin => app_versions::handlers::update),
    route!(PATCH  "/v1/app-versions/{id}", "patch_app_version", Admin => app_versions::handlers::update),
    route!(DELETE "/v1/app-versions/{id}", "delete_app_version", Admin => app_versions::handlers::remove),

    route!(GET    "/v1/files", "list_files", User => files::handlers::list),
    route!(POST   "/v1/files", "upload_file", User => files::handlers::upload).keyed_as(Keyed::Announced),
    route!(POST   "/v1/files/s3", "upload_file_legacy", User => files::handlers::upload).keyed_as(Keyed::Announced),
    route!(POST   "/v1/files/base64", "upload_base64", User => files::handlers::upload_base64).keyed_as(Keyed::Body(MAX_BASE64_BYTES)),
    route!(POST   "/v1/files/s3/base64", "upload_base64_legacy", User => files::handlers::upload_base64).keyed_as(Keyed::Body(MAX_BASE64_BYTES)),
    route!(GET    "/v1/files/base64/{id}", "download_base64", User => files::handlers::show_base64),
    route!(GET    "/v1/files/s3/base64/{id}", "download_base64_legacy", User => files::handlers::show_base64),
    route!(GET    "/v1/files/{id}", "download_file", User => files::handlers::show),
    route!(DELETE "/v1/files/{id}", "delete_file", OwnerOrAdmin => files::handlers::remove),
    route!(GET    "/v1/files/s3/{id}", "download_file_legacy", User => files::handlers::show),
    route!(DELETE "/v1/files/s3/{id}", "delete_file_legacy", OwnerOrAdmin => files::handlers::remove),
    route!(POST   "/v1/files/uploads", "create_upload", User => files::presigned::create).keyed(),
    route!(POST   "/v1/files/uploads/{id}/complete", "complete_upload", OwnerOrAdmin => files::presigned::complete),
    route!(GET    "/v1/files/{id}/url", "get_file_url", User => files::presigned::link),
    route!(GET    "/blobs/{*key}", "download_blob", Public => blob_urls::download),
    route!(PUT    "/blobs/{*key}", "upload_blob", Public => blob_urls::upload),

    route!(GET    "/v1/health-check/{action}", "check_health", Public => health::check),
    route!(POST   "/v1/health-check/{action}", "check_health_post", Public => health::check),
    route!(GET    "/.well-known/jwks.json", "get_jwks", Public => description::jwks),
    route!(GET    "/.well-known/openid-configuration", "get_discovery", Public => description::discovery),
    route!(GET    "/openapi.json", "get_openapi", Public => description::openapi),
    route!(GET    "/docs", "get_docs", Public => description::docs),
];
