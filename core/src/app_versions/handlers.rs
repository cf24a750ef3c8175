//! What requests about app versions bring and get.

use std::sync::Arc;

use http::Uri;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::app_versions::model::{AppVersion, AppVersionView};
use crate::app_versions::{repo, version};
use crate::error::Error;
use crate::http::cursor;
use crate::http::paging::{Envelope, PageRequest};
use crate::http::patch::Patch;
use crate::http::reply::{self, Reply};
use crate::http::request::Request;
use crate::text::{line, prose};
use crate::time::Timestamp;
use crate::validate::{Invalid, InvalidCode, Validator};

/// The list's name in its cursors.
const SCOPE: &str = "app-versions";

#[derive(Deserialize)]
struct Input {
    version: Option<String>,
    #[serde(default)]
    platform: Patch<String>,
    mandatory: Option<bool>,
    enable: Option<bool>,
    #[serde(default)]
    url: Patch<String>,
    #[serde(default)]
    notes: Patch<String>,
}

/// Where a page of the list ended.
#[derive(Deserialize, Serialize)]
struct Place {
    version: String,
    id: String,
}

/// `GET /v1/app-versions`
///
/// # Errors
/// 400 for a bad page, 503.
pub async fn list(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let page = PageRequest::of(&request)?;
    let versions = repo::list(&*app.ports.store).await?;
    if !page.asked {
        return reply::ok(&versions.iter().map(AppVersion::view).collect::<Vec<_>>());
    }
    let start = start_of(app, &page, &versions)?;
    let rest = versions.get(start..).unwrap_or_default();
    let shown: Vec<AppVersionView<'_>> = rest.iter().take(page.limit).map(AppVersion::view).collect();
    let last = rest.get(page.limit - 1).filter(|_| rest.len() > page.limit);
    reply::ok(&Envelope::new(shown, last.and_then(|last| seal(app, last))))
}

fn start_of(app: &App, page: &PageRequest, versions: &[AppVersion]) -> Result<usize, Error> {
    let Some(text) = page.cursor.as_deref() else { return Ok(0) };
    let place: Place = cursor::open(&app.server_keys.cursors, SCOPE, text)?;
    let after = version::parse(&place.version).map_err(|_| {
        Error::bad_request("invalid_cursor", "use `next_cursor` of the page before, unchanged")
    })?;
    Ok(versions.partition_point(|version| version.order_against(&after, &place.id).is_le()))
}

fn seal(app: &App, last: &AppVersion) -> Option<String> {
    let place = Place { version: last.version.to_string(), id: last.version_id.clone() };
    cursor::seal(&app.server_keys.cursors, SCOPE, &place)
}

/// `POST /v1/app-versions`
///
/// # Errors
/// 409 `version_exists`, 422, 503.
pub async fn create(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let input: Input = request.json().await?;
    let mut check = Validator::new();
    let number = check.required("/version", input.version.clone(), |text| version::parse(&text));
    let changes = Changes::check(&mut check, input);
    let (number, changes) = check.finish_with(number.zip(changes))?;
    let mut version = blank(app.new_id()?, number, app.now());
    changes.apply(&mut version);
    let stored = repo::create(&*app.ports.store, &version).await;
    app.version_cache.forget();
    stored?;
    reply::created(&version.view())
}

/// `GET /v1/app-versions/{id}`
///
/// # Errors
/// 404, 503.
pub async fn show(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let version = repo::get(&*app.ports.store, request.id_param()?).await?;
    reply::ok(&version.value.view())
}

/// `PUT` and `PATCH /v1/app-versions/{id}`
///
/// # Errors
/// 404, 409, 422, 503.
pub async fn update(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let input: Input = request.json().await?;
    let mut check = Validator::new();
    let number = check.optional("/version", input.version.clone(), |text| version::parse(&text));
    let changes = Changes::check(&mut check, input);
    let changes = check.finish_with(changes)?;
    let store = &*app.ports.store;
    let old = repo::get(store, request.id_param()?).await?;
    let mut version = AppVersion { updated_at: app.now(), ..old.value.clone() };
    version.version = number.unwrap_or(version.version);
    changes.apply(&mut version);
    let stored = repo::update(store, &old, &version).await;
    app.version_cache.forget();
    stored?;
    reply::ok(&version.view())
}

/// `DELETE /v1/app-versions/{id}`
///
/// # Errors
/// 404, 409, 503.
pub async fn remove(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let store = &*app.ports.store;
    let old = repo::get(store, request.id_param()?).await?;
    let removed = repo::remove(store, &old).await;
    app.version_cache.forget();
    removed?;
    reply::message("deleted")
}

/// What a request wants of all but the version itself.
struct Changes {
    platform: Patch<String>,
    mandatory: Option<bool>,
    enable: Option<bool>,
    url: Patch<String>,
    notes: Patch<String>,
}

impl Changes {
    fn check(check: &mut Validator, input: Input) -> Option<Self> {
        let platform = input.platform.parse(|text| line(&text, 32, "a platform"));
        let platform = check.check("/platform", platform);
        let url = check.check("/url", input.url.parse(web_url));
        let notes = check.check("/notes", parse_notes(input.notes));
        let (mandatory, enable) = (input.mandatory, input.enable);
        Some(Self { platform: platform?, mandatory, enable, url: url?, notes: notes? })
    }

    fn apply(self, version: &mut AppVersion) {
        self.platform.apply(&mut version.platform);
        self.url.apply(&mut version.url);
        self.notes.apply(&mut version.notes);
        version.mandatory = self.mandatory.unwrap_or(version.mandatory);
        version.enable = self.enable.unwrap_or(version.enable);
    }
}

/// A release of which nothing but the version is known.
fn blank(version_id: String, version: Version, now: Timestamp) -> AppVersion {
    AppVersion {
        version_id,
        version,
        platform: None,
        mandatory: false,
        enable: true,
        url: None,
        notes: None,
        created_at: now,
        updated_at: now,
        rest: serde_json::Map::new(),
    }
}

/// Empty notes are none.
fn parse_notes(notes: Patch<String>) -> Result<Patch<String>, Invalid> {
    match notes {
        Patch::Set(text) if text.trim().is_empty() => Ok(Patch::Clear),
        notes => notes.parse(|text| prose(&text, 4000, "the notes")),
    }
}

/// Reads an absolute `http` or `https` address (RFC 3986) of at most 2048 characters.
fn web_url(text: String) -> Result<String, Invalid> {
    let text = text.trim();
    if text.len() > 2048 {
        return Err(Invalid::new(InvalidCode::TooLong, "an address has at most 2048 characters"));
    }
    let schemed = text.starts_with("https://") || text.starts_with("http://");
    let legible = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    let hosted = text.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if schemed && legible && hosted && is_percent_encoded(text) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::format("give an address that begins with https:// or http://"))
    }
}

/// Whether each `%` begins an octet.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|part| part.get(..2).is_some_and(|octet| octet.bytes().all(|digit| digit.is_ascii_hexdigit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_absolute_and_of_the_web() {
        for right in ["https://example.com/app", "http://a.b:8080/x?y=%20#z", "https://[::1]/"] {
            assert_eq!(web_url(right.to_owned()).unwrap(), right);
        }
        let long = format!("https://example.com/{}", "a".repeat(2048));
        for wrong in [
            "",
            "/app",
            "example.com",
            "ftp://a.b",
            "https://",
            "https:///x",
            "javascript:alert(1)",
            "https://a b",
            "https://a.b/<x>",
            "https://a.b/%zz",
            "https://a.b/%4",
            "https://ä.de",
            &long,
        ] {
            assert!(web_url(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }
}
