//! Who may call what: every route against everybody who might try.

use std::sync::Arc;

use http::Method;
use portico_core::http::routes::{Access, ROUTES, Route};
use portico_tests::client::{Answer, Client, User};
use portico_tests::lab::Lab;
use serde_json::{Value, json};

/// A deployment with something of everything, and everybody who might ask for it.
struct World {
    client: Client,
    owner: User,
    stranger: User,
    admin: User,
    disabled: User,
    logged_out: User,
    session_id: String,
    device_id: String,
    notification_id: String,
    status_id: String,
    version_id: String,
    file_id: String,
    upload_id: String,
}

impl World {
    async fn new() -> Self {
        let client = Arc::new(Lab::new()).client();
        let owner = client.register("owner").await;
        let other = client.sign_in("owner").await;
        let (stranger, admin) = (client.register("stranger").await, client.admin("root").await);
        let (disabled, logged_out) = (client.register("disabled").await, client.register("leaver").await);
        admin.client.put(&disabled.path(), json!({"enable": 0})).await.expect(200);
        logged_out.client.post_empty("/v1/sessions/logout").await.expect(200);
        let notice = json!({"user_id": owner.id, "message": "hello"});
        admin.client.post("/v1/notifications", notice).await.expect(201);
        let notification_id = first_id(&owner.client.get("/v1/notifications").await.expect(200).json());
        let status = admin.client.post("/v1/statuses", json!({"description": "away"})).await.expect(201);
        let version = admin.client.post("/v1/app-versions", json!({"version": "1.0.0"})).await.expect(201);
        let file = json!({"file_name": "a.txt", "base64": "aGVsbG8="});
        let file = owner.client.post("/v1/files/base64", file).await.expect(201);
        let upload = json!({"file_name": "b.txt", "content_type": "text/plain", "size": 5});
        let upload = owner.client.post("/v1/files/uploads", upload).await.expect(201).json();
        let id = |answer: &Answer| answer.json()["id"].as_str().unwrap().to_owned();
        Self {
            file_id: id(&file),
            upload_id: upload["file"]["id"].as_str().unwrap().to_owned(),
            session_id: other.session_id,
            device_id: other.device_id,
            notification_id,
            status_id: id(&status),
            version_id: id(&version),
            client,
            owner,
            stranger,
            admin,
            disabled,
            logged_out,
        }
    }

    /// The route's path, about something of the owner's.
    fn path(&self, route: &Route) -> String {
        let id = match route.path.split('/').nth(2) {
            Some("users") => &self.owner.id,
            Some("sessions") => &self.session_id,
            Some("devices") => &self.device_id,
            Some("notifications") => &self.notification_id,
            Some("statuses") => &self.status_id,
            Some("app-versions") => &self.version_id,
            Some("files") if route.path.contains("/uploads/") => &self.upload_id,
            Some("files") => &self.file_id,
            _ => "",
        };
        route.path.replace("{id}", id)
    }

    async fn ask(&self, caller: &Client, route: &Route) -> Answer {
        let body = json!({});
        let body = (route.method != Method::GET).then_some(&body);
        caller.call(route.method.clone(), &self.path(route), body).await
    }

    /// Everything that is stored about the owner, as long as they are signed in.
    async fn owners_data(&self) -> Value {
        let mut export = self.owner.client.get("/v1/users/me/export").await.expect(200).json();
        export["exported_at"] = Value::Null;
        export
    }
}

fn first_id(list: &Value) -> String {
    list[0]["id"].as_str().unwrap().to_owned()
}

fn private_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.access != Access::Public)
}

/// What a signed-in caller who is neither the owner nor an Admin is answered; `None`: they are admitted.
fn refusal_of_strangers(access: Access) -> Option<u16> {
    match access {
        Access::Public | Access::User => None,
        Access::SelfOrAdmin | Access::Admin => Some(403),
        Access::OwnerOrAdmin => Some(404),
    }
}

fn assert_admitted(route: &Route, who: &str, answer: &Answer) {
    assert!(!matches!(answer.status, 401 | 403 | 404), "{} by {who}: {}", route.operation, answer.text());
}

#[tokio::test]
async fn a7_without_a_live_session_nothing_private_answers() {
    let world = World::new().await;
    for route in private_routes() {
        world.ask(&world.client, route).await.expect_problem(401, "unauthenticated");
        let garbage = world.client.with_token(Some("not.a.token"));
        world.ask(&garbage, route).await.expect_problem(401, "invalid_token");
        for user in [&world.disabled, &world.logged_out] {
            world.ask(&user.client, route).await.expect_problem(401, "session_ended");
        }
    }
}

#[tokio::test]
async fn a7_a_stranger_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let before = world.owners_data().await;
    for route in private_routes().filter(|route| route.path.contains("{id}")) {
        let answer = world.ask(&world.stranger.client, route).await;
        match refusal_of_strangers(route.access) {
            Some(status) => assert_eq!(answer.status, status, "{}: {}", route.operation, answer.text()),
            None => assert_admitted(route, "a stranger", &answer),
        }
        assert_eq!(world.owners_data().await, before, "{}", route.operation);
    }
}

#[tokio::test]
async fn a7_what_is_for_admins_is_for_admins_only() {
    for route in private_routes().filter(|route| route.access == Access::Admin) {
        let world = World::new().await;
        for user in [&world.owner, &world.stranger] {
            world.ask(&user.client, route).await.expect_problem(403, "forbidden");
        }
        assert_admitted(route, "an Admin", &world.ask(&world.admin.client, route).await);
    }
}

#[tokio::test]
async fn a7_owners_and_admins_are_admitted() {
    for route in private_routes().filter(|route| route.access != Access::Admin) {
        for by_admin in [false, true] {
            // A world for each, for what is deleted is gone.
            let world = World::new().await;
            let caller = if by_admin { &world.admin } else { &world.owner };
            assert_admitted(route, &caller.username, &world.ask(&caller.client, route).await);
        }
    }
}
