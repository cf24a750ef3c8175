//! A deployment with something of everything, everybody who might ask for it, and a request that each operation grants.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request};
use portico_core::http::routes::Route;
use portico_tests::client::{Answer, Client, PASSWORD, User, registration};
use portico_tests::emulators;
use serde_json::{Value, json};

/// The owner's phone number.
pub const PHONE: &str = "+4915112345678";

/// The owner of things, everybody else, and the things.
#[derive(Debug)]
pub struct World {
    pub client: Client,
    pub owner: User,
    pub stranger: User,
    pub admin: User,
    pub disabled: User,
    pub logged_out: User,
    pub deleted: User,
    /// Another session of the owner's, on another device.
    pub other: User,
    pub notification_id: String,
    pub status_id: String,
    pub version_id: String,
    /// A private file of the owner's.
    pub file_id: String,
    /// An upload whose bytes are there.
    pub upload_id: String,
    /// URLs, from the path on, that permit an upload and a download.
    pub put_url: String,
    pub get_url: String,
    /// Codes that the owner was sent.
    pub email_code: String,
    pub phone_code: String,
    pub recovery_code: String,
}

impl World {
    /// Makes it, on any host.
    pub async fn on(client: &Client) -> Self {
        let admin = client.admin("root").await;
        let owner = client.register("owner").await;
        owner.client.put(&owner.path(), json!({ "phone": PHONE })).await.expect(200);
        owner.client.post_empty("/v1/confirm-phone/request").await.expect(200);
        client.post("/v1/password-recovery/request", json!({ "email": owner.email() })).await.expect(200);
        let other = client.sign_in("owner").await;
        let (stranger, disabled) = (client.register("stranger").await, client.register("disabled").await);
        let (logged_out, deleted) = (client.register("leaver").await, client.register("deleted").await);
        admin.client.put(&disabled.path(), json!({ "enable": 0 })).await.expect(200);
        logged_out.client.post_empty("/v1/sessions/logout").await.expect(200);
        deleted.client.delete(&deleted.path()).await.expect(200);
        let message = json!({ "user_id": owner.id, "message": "hello" });
        admin.client.post("/v1/notifications", message).await.expect(201);
        let notifications = owner.client.get("/v1/notifications").await.expect(200).json();
        let status = admin.client.post("/v1/statuses", json!({ "description": "away" })).await;
        let version = admin.client.post("/v1/app-versions", json!({ "version": "1.0.0" })).await;
        let file = json!({ "file_name": "a.txt", "base64": "aGVsbG8=", "private": true });
        let file_id = id(&owner.client.post("/v1/files/base64", file).await.expect(201));
        let upload = begin_upload(&owner).await;
        follow(client, &upload["upload"], b"hello").await;
        let link = owner.client.get(&format!("/v1/files/{file_id}/url")).await.expect(200).json();
        let newest = async |to: &str, subject: &str| code(client, to, subject).await;
        Self {
            email_code: newest(&owner.email(), "Confirm").await,
            recovery_code: newest(&owner.email(), "Recover").await,
            phone_code: newest(PHONE, "").await,
            notification_id: notifications[0]["id"].as_str().unwrap().to_owned(),
            status_id: id(&status.expect(201)),
            version_id: id(&version.expect(201)),
            put_url: own_path(&begin_upload(&owner).await["upload"]["url"]),
            get_url: own_path(&link["url"]),
            upload_id: upload["file"]["id"].as_str().unwrap().to_owned(),
            file_id,
            client: client.clone(),
            owner,
            stranger,
            admin,
            disabled,
            logged_out,
            deleted,
            other,
        }
    }

    /// A request that the operation grants to whoever may make it, about something of the owner's.
    pub fn request(&self, route: &Route, caller: &Client) -> Request<Bytes> {
        let body = self.body(route.operation);
        let mut request = caller.request(route.method.clone(), &self.path(route), body.as_ref());
        match route.operation {
            "upload_file" | "upload_file_legacy" => {
                let form = HeaderValue::from_static("multipart/form-data; boundary=edge");
                request.headers_mut().insert(CONTENT_TYPE, form);
                *request.body_mut() = form_of("c.txt", b"hello");
            }
            "upload_blob" => {
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                *request.body_mut() = Bytes::from_static(b"hello");
            }
            _ => {}
        }
        request
    }

    /// The route's path.
    pub fn path(&self, route: &Route) -> String {
        let id = match (route.operation, route.path.split('/').nth(2)) {
            ("download_blob", _) => return self.get_url.clone(),
            ("upload_blob", _) => return self.put_url.clone(),
            // Of those who are gone, only the deleted can be brought back.
            ("restore_user", _) => &self.deleted.id,
            ("complete_upload", _) => &self.upload_id,
            (_, Some("users")) => &self.owner.id,
            (_, Some("sessions")) => &self.other.session_id,
            (_, Some("devices")) => &self.other.device_id,
            (_, Some("notifications")) => &self.notification_id,
            (_, Some("statuses")) => &self.status_id,
            (_, Some("app-versions")) => &self.version_id,
            _ => &self.file_id,
        };
        route.path.replace("{id}", id).replace("{action}", "ready")
    }

    /// The body in JSON that the operation takes.
    pub fn body(&self, operation: &str) -> Option<Value> {
        let new_password = "another good one";
        Some(match operation {
            "register_user" => registration("eve"),
            "sign_in" => json!({ "username": "owner", "password": PASSWORD }),
            "sign_in_with_google" => json!({ "credential": "a.b.c" }),
            "refresh_session" => json!({ "refresh_token": self.owner.refresh_token }),
            "update_user" | "patch_user" => json!({ "first_name": "Augusta" }),
            "change_password" | "change_password_legacy" => {
                json!({ "current_password": PASSWORD, "new_password": new_password })
            }
            "request_password_recovery" => json!({ "email": self.owner.email() }),
            "complete_password_recovery" => {
                json!({ "email": self.owner.email(), "otp": self.recovery_code, "new_password": new_password })
            }
            "confirm_email" => json!({ "token": self.email_code }),
            "confirm_phone" => json!({ "otp": self.phone_code }),
            "create_status" | "update_status" | "patch_status" => json!({ "description": "busy" }),
            "update_device" | "patch_device" => json!({ "token": "push" }),
            "check_device_version" => json!({ "device_version": "1.0.0" }),
            "create_notification" => json!({ "user_id": self.owner.id, "message": "hello again" }),
            "create_app_version" => json!({ "version": "2.0.0" }),
            "update_app_version" | "patch_app_version" => json!({ "notes": "better" }),
            "upload_base64" | "upload_base64_legacy" => {
                json!({ "file_name": "d.txt", "base64": "aGVsbG8=" })
            }
            "create_upload" => json!({ "file_name": "e.txt", "content_type": "text/plain", "size": 5 }),
            _ => return None,
        })
    }
}

/// A form with one file.
pub fn form_of(name: &str, bytes: &[u8]) -> Bytes {
    let head =
        format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat().into()
}

/// Does what a presigned upload permits; whoever keeps the bytes answers.
pub async fn follow(client: &Client, upload: &Value, bytes: &'static [u8]) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in upload["headers"].as_object().unwrap() {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.as_str().unwrap().parse().unwrap());
    }
    let url = own_path(&upload["url"]);
    let mut request = Request::builder().method(Method::PUT).uri(&url).body(bytes.into()).unwrap();
    *request.headers_mut() = headers;
    if url.starts_with('/') { client.host().send(request).await } else { emulators::send(request).await }
}

/// A URL from its path on, if the host itself answers it; one of an object store as it is.
fn own_path(url: &Value) -> String {
    let url = url.as_str().unwrap();
    url.find("/blobs/").map_or(url, |at| &url[at..]).to_owned()
}

async fn begin_upload(owner: &User) -> Value {
    let body = json!({ "file_name": "b.txt", "content_type": "text/plain", "size": 5 });
    let request = owner.client.request(Method::POST, "/v1/files/uploads", Some(&body));
    owner.client.host().send(request).await.expect(201).json()
}

/// The code in the newest message to somebody whose subject begins so; waits for it.
async fn code(client: &Client, to: &str, subject: &str) -> String {
    for at_least in 1..10 {
        let messages = client.messages_to(to, at_least).await;
        if let Some(found) = messages.iter().rev().find(|message| message.subject.starts_with(subject)) {
            return found.code();
        }
    }
    panic!("no message {subject:?} to {to}");
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}
