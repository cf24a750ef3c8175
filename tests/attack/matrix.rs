//! Who may call what: every route against everybody who might try. Whoever may is served; whoever may not is refused
//! before anything is written.

use std::sync::Arc;

use http::Method;
use portico_core::http::routes::{Access, ROUTES, Route};
use portico_tests::client::{Answer, Client};
use portico_tests::counting::{CountedLab, CountingStore};
use portico_tests::lab::Lab;
use serde_json::Value;

use crate::world::World;

/// What a live session gets of each operation that needs one: a stranger's, the owner's, an Admin's. Nobody, and whoever
/// is disabled, logged out or deleted, gets 401.
#[rustfmt::skip]
const PRIVATE: &[(&str, u16, u16, u16)] = &[
    ("list_users",                 403, 403, 200),
    ("get_user",                   200, 200, 200),
    ("update_user",                403, 200, 200),
    ("patch_user",                 403, 200, 200),
    ("delete_user",                403, 200, 200),
    ("restore_user",               403, 403, 200),
    ("list_user_sessions",         403, 200, 200),
    ("revoke_session",             404, 200, 200),
    // About the caller, whoever that is.
    ("change_password",            200, 200, 200),
    ("change_password_legacy",     200, 200, 200),
    ("export_account",             200, 200, 200),
    ("get_current_session",        200, 200, 200),
    ("log_out",                    200, 200, 200),
    ("log_out_everywhere",         200, 200, 200),
    // The owner's codes are no others'; an Admin's address is confirmed from the start; only the owner has a number.
    ("request_email_confirmation", 200, 200, 409),
    ("confirm_email",              422, 200, 422),
    ("request_phone_confirmation", 400, 200, 400),
    ("confirm_phone",              400, 200, 400),
    ("list_statuses",              200, 200, 200),
    ("create_status",              403, 403, 201),
    ("get_status",                 200, 200, 200),
    ("update_status",              403, 403, 200),
    ("patch_status",               403, 403, 200),
    ("delete_status",              403, 403, 200),
    ("list_devices",               200, 200, 200),
    ("get_device",                 404, 200, 200),
    ("update_device",              404, 200, 200),
    ("patch_device",               404, 200, 200),
    ("delete_device",              404, 200, 200),
    ("check_device_version",       200, 200, 200),
    ("list_notifications",         200, 200, 200),
    ("create_notification",        403, 403, 201),
    ("mark_all_notifications_read", 200, 200, 200),
    ("mark_notification_read",     404, 200, 200),
    ("patch_notification",         404, 200, 200),
    ("delete_notification",        404, 200, 200),
    ("create_app_version",         403, 403, 201),
    ("update_app_version",         403, 403, 200),
    ("patch_app_version",          403, 403, 200),
    ("delete_app_version",         403, 403, 200),
    // The file is private.
    ("list_files",                 200, 200, 200),
    ("upload_file",                201, 201, 201),
    ("upload_file_legacy",         201, 201, 201),
    ("upload_base64",              201, 201, 201),
    ("upload_base64_legacy",       201, 201, 201),
    ("download_base64",            404, 200, 200),
    ("download_base64_legacy",     404, 200, 200),
    ("download_file",              404, 200, 200),
    ("delete_file",                404, 200, 200),
    ("download_file_legacy",       404, 200, 200),
    ("delete_file_legacy",         404, 200, 200),
    ("create_upload",              201, 201, 201),
    ("complete_upload",            404, 200, 200),
    ("get_file_url",               404, 200, 200),
];

/// What anybody gets of each public operation, whoever they are.
#[rustfmt::skip]
const PUBLIC: &[(&str, u16)] = &[
    ("register_user",              201),
    ("list_roles",                 200),
    ("sign_in",                    200),
    // Without `GOOGLE_CLIENT_ID`.
    ("sign_in_with_google",        503),
    ("refresh_session",            200),
    ("request_password_recovery",  200),
    ("complete_password_recovery", 200),
    ("list_app_versions",          200),
    ("get_app_version",            200),
    // By URLs that were signed for it.
    ("download_blob",              200),
    ("upload_blob",                200),
    ("check_health",               200),
    ("check_health_post",          200),
    ("get_jwks",                   200),
    ("get_discovery",              200),
    ("get_openapi",                200),
    ("get_docs",                   200),
];

/// A world in process, and what its store is asked.
struct Watched {
    lab: Arc<Lab>,
    store: Arc<CountingStore>,
    world: World,
}

impl Watched {
    async fn new() -> Self {
        let CountedLab { lab, store, .. } = CountedLab::new();
        let world = World::on(&lab.client()).await;
        // Another message may be asked for only after a while.
        lab.clock.advance(61);
        let _before = store.take();
        Self { lab, store, world }
    }

    async fn ask(&self, route: &Route, caller: &Client) -> Answer {
        let _before = self.store.take();
        caller.send(self.world.request(route, caller)).await
    }

    /// Asserts that the last request wrote nothing.
    fn assert_untouched(&self, what: &str) {
        let writes: Vec<_> =
            self.store.take().into_iter().filter(|call| call.starts_with("transact")).collect();
        assert!(writes.is_empty(), "{what} was refused, and wrote {writes:?}");
    }

    /// Everything that is stored about the owner, and every file's key.
    async fn state(&self) -> (Value, Vec<String>) {
        let mut export = self.world.owner.client.get("/v1/users/me/export").await.expect(200).json();
        export["exported_at"] = Value::Null;
        (export, self.lab.blobs.keys().iter().map(ToString::to_string).collect())
    }
}

fn route(operation: &str) -> &'static Route {
    ROUTES
        .iter()
        .find(|route| route.operation == operation)
        .unwrap_or_else(|| panic!("{operation} is no route"))
}

/// What the access class alone demands of a stranger's and the owner's column, if anything.
fn assert_consistent(operation: &str, stranger: u16, owner: u16, admin: u16) {
    let access = route(operation).access;
    match access {
        Access::Admin => assert_eq!((stranger, owner), (403, 403), "{operation}"),
        Access::SelfOrAdmin => assert_eq!(stranger, 403, "{operation}"),
        Access::OwnerOrAdmin => assert_eq!(stranger, 404, "{operation}"),
        Access::User | Access::Public => {}
    }
    let best = if access == Access::Admin { admin } else { owner };
    assert!(
        matches!(best, 200 | 201),
        "{operation}: whoever may must be served, or the matrix proves nothing"
    );
}

#[test]
fn a7_every_route_has_a_row() {
    let mut rows: Vec<&str> = PRIVATE.iter().map(|row| row.0).chain(PUBLIC.iter().map(|row| row.0)).collect();
    let mut routes: Vec<&str> = ROUTES.iter().map(|route| route.operation).collect();
    rows.sort_unstable();
    routes.sort_unstable();
    assert_eq!(rows, routes);
    for (operation, _) in PUBLIC {
        assert_eq!(route(operation).access, Access::Public, "{operation}");
    }
    for &(operation, stranger, owner, admin) in PRIVATE {
        assert_ne!(route(operation).access, Access::Public, "{operation}");
        assert_consistent(operation, stranger, owner, admin);
    }
}

#[tokio::test]
async fn a7_without_a_live_session_nothing_private_answers() {
    let watched = Watched::new().await;
    let world = &watched.world;
    let before = watched.state().await;
    for (operation, ..) in PRIVATE {
        let route = route(operation);
        let garbage = world.client.with_token(Some("not.a.token"));
        let callers = [
            ("nobody", &world.client, "unauthenticated"),
            ("whoever makes one up", &garbage, "invalid_token"),
            ("the disabled", &world.disabled.client, "session_ended"),
            ("the logged-out", &world.logged_out.client, "session_ended"),
            ("the deleted", &world.deleted.client, "session_ended"),
        ];
        for (who, caller, code) in callers {
            let answer = watched.ask(route, caller).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, code), "{operation} by {who}");
            watched.assert_untouched(&format!("{operation} by {who}"));
        }
    }
    assert_eq!(watched.state().await, before);
}

#[tokio::test]
async fn a7_who_may_not_is_refused_and_changes_nothing() {
    let watched = Watched::new().await;
    let before = watched.state().await;
    for &(operation, stranger, owner, _) in PRIVATE {
        for (who, user, status) in
            [("a stranger", &watched.world.stranger, stranger), ("the owner", &watched.world.owner, owner)]
        {
            if matches!(status, 403 | 404) {
                let answer = watched.ask(route(operation), &user.client).await;
                assert_eq!(answer.status, status, "{operation} by {who}: {}", answer.text());
                watched.assert_untouched(&format!("{operation} by {who}"));
            }
        }
    }
    assert_eq!(watched.state().await, before);
}

#[tokio::test]
async fn a7_who_may_is_served() {
    for &(operation, stranger, owner, admin) in PRIVATE {
        for (who, status) in [("stranger", stranger), ("owner", owner), ("admin", admin)] {
            if matches!(status, 403 | 404) {
                continue;
            }
            // A world for each, for what is deleted is gone.
            let watched = Watched::new().await;
            let before = watched.state().await;
            let world = &watched.world;
            let caller = match who {
                "stranger" => &world.stranger,
                "owner" => &world.owner,
                _ => &world.admin,
            };
            let answer = watched.ask(route(operation), &caller.client).await;
            assert_eq!(answer.status, status, "{operation} by {who}: {}", answer.text());
            if who == "stranger" {
                let after = watched.state().await;
                assert_eq!(after.0, before.0, "{operation} by a stranger changes something of the owner's");
            }
        }
    }
}

#[tokio::test]
async fn a7_public_operations_are_the_same_for_everybody() {
    for &(operation, status) in PUBLIC {
        let route = route(operation);
        let reads = route.method == Method::GET;
        let shared = if reads { Some(Watched::new().await) } else { None };
        for who in 0..7 {
            let own = if reads { None } else { Some(Watched::new().await) };
            let watched = shared.as_ref().or(own.as_ref()).unwrap();
            let world = &watched.world;
            let users = [
                None,
                Some(&world.stranger),
                Some(&world.owner),
                Some(&world.admin),
                Some(&world.disabled),
                Some(&world.logged_out),
                Some(&world.deleted),
            ];
            let caller = users[who].map_or(&world.client, |user| &user.client);
            let answer = watched.ask(route, caller).await;
            assert_eq!(answer.status, status, "{operation} by caller {who}: {}", answer.text());
        }
    }
}

/// Without the signature, or with one for something else, a URL of a file opens nothing.
#[tokio::test]
async fn a7_a_blob_is_nobodys_without_its_url() {
    let watched = Watched::new().await;
    let world = &watched.world;
    let before = watched.state().await;
    for (method, url, other) in
        [(Method::GET, &world.get_url, &world.put_url), (Method::PUT, &world.put_url, &world.get_url)]
    {
        let (path, query) = url.split_once('?').unwrap();
        let (other_path, other_query) = other.split_once('?').unwrap();
        for forged in [
            path.to_owned(),
            format!("{path}?{other_query}"),
            format!("{other_path}?{query}"),
            format!("{url}x"),
            format!("{path}?{}", query.replace("expires=1", "expires=2")),
            format!("{path}/../../x?{query}"),
        ] {
            for caller in [&world.client, &world.owner.client, &world.admin.client] {
                let answer = caller.call(method.clone(), &forged, None).await;
                assert!(matches!(answer.status, 403 | 404), "{method} {forged}: {}", answer.text());
            }
        }
    }
    assert_eq!(watched.state().await, before);
}
