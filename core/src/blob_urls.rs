//! Presigned URLs that the app answers itself, for blobs that no object store serves:
//! `/blobs/<key>?expires=<Unix seconds>&…&signature=<HMAC-SHA-256, base64url>`.
//!
//! The signature covers the method, the key and every parameter, so that a URL permits just what it was made for. It is
//! made under a key that nothing else uses.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use crate::App;
use crate::auth::mac;
use crate::error::Error;
use crate::files::refuse;
use crate::http::body::Body;
use crate::http::reply::Reply;
use crate::http::representation::{Representation, Selection};
use crate::http::request::Request;
use crate::ports::blobs::{
    BlobError, BlobErrorKind, BlobKey, Presigned, PresignedGetAnswer, PresignedPutTerms, PutTerms,
};
use crate::ports::blobs_ext::exists;
use crate::secret::SecretKey;
use crate::time::Timestamp;

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlRefusal {
    /// This server did not make it, or made it for something else.
    Invalid,
    /// Its time is over.
    Expired,
}

/// `GET /blobs/{key}`: the blob, or a part of it, to whoever has a URL for it.
pub async fn download(app: &Arc<App>, request: Request) -> Result<Reply, Error> {
    let (secret, path) = signed_path(app, &request)?;
    let (key, answer) = verify_get(secret, path, |name| request.query(name), app.now())?;
    let info = app.ports.blobs.head(&key).await.map_err(refuse)?.ok_or_else(Error::not_found)?;
    let etag = info.sha256.map(etag);
    let representation = Representation {
        length: info.length,
        content_type: &answer.content_type,
        disposition: &answer.content_disposition,
        etag: etag.as_deref(),
    };
    let part = match representation.select(&request) {
        Selection::Bytes(part) => part,
        Selection::Nothing(reply) => return Ok(reply),
    };
    let blob = app.ports.blobs.get(&key, part).await.map_err(refuse)?.ok_or_else(Error::not_found)?;
    if blob.info != info {
        return Err(Error::contended());
    }
    Ok(representation.reply(part, blob.body))
}

/// `PUT /blobs/{key}`: stores a body that is just what the URL was made for, once: as long as its bytes are there, the
/// URL brings no others.
pub async fn upload(app: &Arc<App>, mut request: Request) -> Result<Reply, Error> {
    let (secret, path) = signed_path(app, &request)?;
    let (key, terms) = verify_put(secret, path, |name| request.query(name), app.now())?;
    check_headers(&request.headers, &terms)?;
    let terms = PutTerms {
        length: Some(terms.length),
        sha256: terms.sha256,
        only_if_absent: true,
        ..PutTerms::up_to(terms.length, terms.content_type)
    };
    if app.ports.blobs.head(&key).await.map_err(refuse)?.is_some() {
        // Told before the body comes; of several that come at once, the put itself takes one.
        return Err(refuse(exists()));
    }
    let info = app.ports.blobs.put(&key, &terms, request.take_body()).await.map_err(refuse)?;
    let mut reply = Response::new(Body::empty());
    if let Some(etag) = info.sha256.and_then(|hash| HeaderValue::from_str(&etag(hash)).ok()) {
        reply.headers_mut().insert(header::ETAG, etag);
    }
    Ok(reply)
}

/// A URL for `PUT` of just these terms. It expires at a whole second, at most one before the instant asked for.
///
/// # Errors
/// `Unavailable` for a type that no header can hold.
pub fn presign_put(
    secret: &SecretKey,
    key: &BlobKey,
    terms: &PresignedPutTerms,
    expires_at: Timestamp,
) -> Result<Presigned, BlobError> {
    let content_type = HeaderValue::from_str(&terms.content_type).map_err(|error| {
        BlobError::new(BlobErrorKind::Unavailable, "the type cannot be sent").caused_by(error)
    })?;
    let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_LENGTH, terms.length.into())];
    let params = Params {
        length: terms.length.to_string().into(),
        content_type: terms.content_type.as_str().into(),
        sha256: terms.sha256.map(|hash| URL_SAFE_NO_PAD.encode(hash)).unwrap_or_default().into(),
        ..Params::until(expires_at)
    };
    Ok(params.presign(secret, "PUT", key, headers.into_iter().collect(), expires_at))
}

/// A URL for `GET` with this answer. It expires at a whole second, at most one before the instant asked for.
#[must_use]
pub fn presign_get(
    secret: &SecretKey,
    key: &BlobKey,
    answer: &PresignedGetAnswer,
    expires_at: Timestamp,
) -> Presigned {
    let params = Params {
        content_type: answer.content_type.as_str().into(),
        disposition: answer.content_disposition.as_str().into(),
        ..Params::until(expires_at)
    };
    params.presign(secret, "GET", key, HeaderMap::new(), expires_at)
}

/// What a URL permits to put, by its path behind `/blobs/` and its query parameters, decoded.
///
/// # Errors
/// [`UrlRefusal`].
pub fn verify_put<'a>(
    secret: &SecretKey,
    path: &str,
    param: impl Fn(&str) -> Option<Cow<'a, str>>,
    now: Timestamp,
) -> Result<(BlobKey, PresignedPutTerms), UrlRefusal> {
    let (key, params) = Params::verified(secret, "PUT", path, param, now)?;
    let terms = PresignedPutTerms {
        length: params.length.parse().map_err(|_| UrlRefusal::Invalid)?,
        sha256: decode_hash(&params.sha256)?,
        content_type: params.content_type.into_owned(),
    };
    Ok((key, terms))
}

/// What a URL permits to get, and how it is answered; the parameters are those of [`verify_put`].
///
/// # Errors
/// [`UrlRefusal`].
pub fn verify_get<'a>(
    secret: &SecretKey,
    path: &str,
    param: impl Fn(&str) -> Option<Cow<'a, str>>,
    now: Timestamp,
) -> Result<(BlobKey, PresignedGetAnswer), UrlRefusal> {
    let (key, params) = Params::verified(secret, "GET", path, param, now)?;
    let answer = PresignedGetAnswer {
        content_type: params.content_type.into_owned(),
        content_disposition: params.disposition.into_owned(),
    };
    Ok((key, answer))
}

/// The parameters of a URL as they stand in it; what is signed is their text. Absent ones are empty.
#[derive(Debug, Default)]
struct Params<'a> {
    expires: Cow<'a, str>,
    length: Cow<'a, str>,
    content_type: Cow<'a, str>,
    sha256: Cow<'a, str>,
    disposition: Cow<'a, str>,
}

impl<'a> Params<'a> {
    fn until(expires_at: Timestamp) -> Self {
        Self { expires: expires_at.as_seconds().to_string().into(), ..Self::default() }
    }

    fn verified(
        secret: &SecretKey,
        method: &str,
        path: &str,
        param: impl Fn(&str) -> Option<Cow<'a, str>>,
        now: Timestamp,
    ) -> Result<(BlobKey, Self), UrlRefusal> {
        let text = |name| param(name).unwrap_or_default();
        let params = Self {
            expires: text("expires"),
            length: text("length"),
            content_type: text("type"),
            sha256: text("sha256"),
            disposition: text("disposition"),
        };
        let key = BlobKey::parse(path).ok_or(UrlRefusal::Invalid)?;
        let signature =
            URL_SAFE_NO_PAD.decode(text("signature").as_bytes()).map_err(|_| UrlRefusal::Invalid)?;
        if !mac::equal(&params.tag(secret, method, &key), &signature) {
            return Err(UrlRefusal::Invalid);
        }
        let expires: i64 = params.expires.parse().map_err(|_| UrlRefusal::Invalid)?;
        if now >= Timestamp::default().plus_seconds(expires) {
            return Err(UrlRefusal::Expired);
        }
        Ok((key, params))
    }

    fn named(&self) -> [(&'static str, &str); 5] {
        [
            ("expires", &self.expires),
            ("length", &self.length),
            ("type", &self.content_type),
            ("sha256", &self.sha256),
            ("disposition", &self.disposition),
        ]
    }

    fn tag(&self, secret: &SecretKey, method: &str, key: &BlobKey) -> [u8; 32] {
        let [expires, length, content_type, sha256, disposition] =
            self.named().map(|(_, text)| text.as_bytes());
        let (method, key) = (method.as_bytes(), key.as_str().as_bytes());
        mac::tag(secret, &[method, key, expires, length, content_type, sha256, disposition])
    }

    fn presign(
        &self,
        secret: &SecretKey,
        method: &'static str,
        key: &BlobKey,
        headers: HeaderMap,
        expires_at: Timestamp,
    ) -> Presigned {
        let signature = URL_SAFE_NO_PAD.encode(self.tag(secret, method, key));
        let query = Serializer::new(String::new())
            .extend_pairs(self.named().into_iter().filter(|(_, text)| !text.is_empty()))
            .append_pair("signature", &signature)
            .finish();
        Presigned {
            method,
            url: format!("/blobs/{key}?{query}"),
            headers,
            expires_at: Timestamp::default().plus_seconds(expires_at.as_seconds()),
        }
    }
}

fn decode_hash(text: &str) -> Result<Option<[u8; 32]>, UrlRefusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| UrlRefusal::Invalid)?;
    bytes.try_into().map(Some).map_err(|_| UrlRefusal::Invalid)
}

/// What verifies the URL, and its path behind `/blobs/`. Where an object store answers URLs, none of this app's was ever made.
fn signed_path<'a>(app: &'a App, request: &'a Request) -> Result<(&'a SecretKey, &'a str), Error> {
    match request.param("key") {
        Some(path) if app.ports.presigner.is_none() => Ok((&app.server_keys.blobs, path)),
        _ => Err(UrlRefusal::Invalid.into()),
    }
}

/// Refuses what announces itself as something else, before any of it is read. A length that is not announced is
/// counted.
fn check_headers(headers: &HeaderMap, terms: &PresignedPutTerms) -> Result<(), Error> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default().trim());
    if text(header::CONTENT_TYPE) != Some(&terms.content_type) {
        return Err(mismatch("send the `Content-Type` that the URL was made for"));
    }
    if text(header::CONTENT_LENGTH).is_some_and(|length| length.parse() != Ok(terms.length)) {
        return Err(mismatch("send as many bytes as the URL was made for"));
    }
    Ok(())
}

fn mismatch(detail: &'static str) -> Error {
    Error::new(StatusCode::UNPROCESSABLE_ENTITY, "upload_mismatch", detail)
}

/// The strong entity tag of bytes with this hash.
fn etag(sha256: [u8; 32]) -> String {
    format!("\"{}\"", base16ct::lower::encode_string(&sha256))
}

impl From<UrlRefusal> for Error {
    fn from(refusal: UrlRefusal) -> Self {
        let (code, detail) = match refusal {
            UrlRefusal::Invalid => ("invalid_url", "use the URL just as it was given, with its method"),
            UrlRefusal::Expired => ("url_expired", "the URL is no longer valid: ask for another"),
        };
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_771_581_600_500);

    fn secret() -> SecretKey {
        SecretKey::new([7; 32])
    }

    fn key() -> BlobKey {
        BlobKey::parse("files/01A/01B/a.txt").unwrap()
    }

    fn terms() -> PresignedPutTerms {
        PresignedPutTerms {
            length: 5,
            content_type: "text/plain; charset=utf-8".into(),
            sha256: Some([9; 32]),
        }
    }

    /// The path behind `/blobs/`, and the parameters.
    fn parts(url: &str) -> (String, Vec<(String, String)>) {
        let (path, query) = url.strip_prefix("/blobs/").unwrap().split_once('?').unwrap();
        (path.to_owned(), form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn find<'a>(params: &'a [(String, String)], name: &str) -> Option<Cow<'a, str>> {
        params.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str().into())
    }

    fn put(path: &str, params: &[(String, String)], now: Timestamp) -> Result<PresignedPutTerms, UrlRefusal> {
        verify_put(&secret(), path, |name| find(params, name), now).map(|(_, terms)| terms)
    }

    #[test]
    fn x4_a_url_permits_what_it_was_made_for_until_it_expires() {
        let expires_at = NOW.plus_seconds(60);
        for terms in [terms(), PresignedPutTerms { sha256: None, length: 0, ..terms() }] {
            let url = presign_put(&secret(), &key(), &terms, expires_at).unwrap();
            let (path, params) = parts(&url.url);
            assert_eq!((url.method, url.expires_at), ("PUT", Timestamp::from_millis(1_771_581_660_000)));
            assert_eq!(put(&path, &params, NOW), Ok(terms.clone()));
            assert_eq!(put(&path, &params, Timestamp::from_millis(1_771_581_659_999)), Ok(terms));
            assert_eq!(put(&path, &params, url.expires_at), Err(UrlRefusal::Expired));
        }
        let answer = PresignedGetAnswer {
            content_type: "image/png".into(),
            content_disposition: "attachment; filename*=UTF-8''%C3%A9%20%26.png".into(),
        };
        let url = presign_get(&secret(), &key(), &answer, expires_at);
        let (path, params) = parts(&url.url);
        let verified = verify_get(&secret(), &path, |name| find(&params, name), NOW);
        assert_eq!(verified, Ok((key(), answer)));
        assert_eq!(put(&path, &params, NOW), Err(UrlRefusal::Invalid), "another method");
    }

    #[test]
    fn x4_an_altered_url_is_refused() {
        let url = presign_put(&secret(), &key(), &terms(), NOW.plus_seconds(60)).unwrap();
        let (path, params) = parts(&url.url);
        let other_hash = URL_SAFE_NO_PAD.encode([8; 32]);
        for (name, values) in [
            ("expires", &["1771581661", "+1771581660", " 1771581660", "99999999999999999999", ""][..]),
            ("length", &["6", "05", "+5", ""]),
            ("type", &["text/html", "text/plain", ""]),
            ("sha256", &[&other_hash, "x", ""]),
            ("disposition", &["inline"]),
            ("signature", &["", "A", &other_hash, "%%%"]),
        ] {
            for value in values {
                let mut altered = params.clone();
                altered.retain(|(own, _)| own != name);
                altered.push((name.to_owned(), (*value).to_owned()));
                assert_eq!(put(&path, &altered, NOW), Err(UrlRefusal::Invalid), "{name}={value}");
            }
        }
        for other in ["files/01A/01B/a.tx", "files/01A/01B/b.txt", "files/01A/01B/../01B/a.txt", ""] {
            assert_eq!(put(other, &params, NOW), Err(UrlRefusal::Invalid), "{other}");
        }
        let foreign = verify_put(&SecretKey::new([8; 32]), &path, |name| find(&params, name), NOW)
            .map(|(_, terms)| terms);
        assert_eq!(foreign, Err(UrlRefusal::Invalid));
        let other_method = verify_get(&secret(), &path, |name| find(&params, name), NOW).map(|(key, _)| key);
        assert_eq!(other_method, Err(UrlRefusal::Invalid));
    }

    #[test]
    fn x4_headers_that_announce_something_else_are_refused() {
        let with = |content_type: &'static str, length: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            if let Some(length) = length {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            check_headers(&headers, &terms()).map_err(|error| error.code)
        };
        assert_eq!(with("text/plain; charset=utf-8", Some("5")), Ok(()));
        assert_eq!(with("text/plain; charset=utf-8", None), Ok(()));
        assert_eq!(with("text/plain", Some("5")), Err("upload_mismatch"));
        for length in ["4", "6", "", "x"] {
            assert_eq!(with("text/plain; charset=utf-8", Some(length)), Err("upload_mismatch"));
        }
        assert!(check_headers(&HeaderMap::new(), &terms()).is_err());
    }
}
