//! What the server gives out and takes back: refresh tokens, access tokens, URLs of blobs. What it did not make is
//! refused, and so is what it made once a bit of it is changed.
#![no_main]

use std::borrow::Cow;
use std::cell::LazyCell;

use arbitrary::Arbitrary;
use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portico_core::auth::refresh_token::{RefreshToken, derive};
use portico_core::blob_urls::{presign_get, presign_put, verify_get, verify_put};
use portico_core::http::body::Body;
use portico_core::ports::blobs::{BlobKey, PresignedGetAnswer, PresignedPutTerms};
use portico_core::secret::{Secret, SecretKey};
use portico_core::text::is_id;
use portico_core::time::Timestamp;
use portico_fuzz::world::{Options, World};

const NOW: Timestamp = Timestamp::from_millis(1_771_581_600_000);

#[derive(Debug, Arbitrary)]
enum Input<'input> {
    Refresh { text: &'input str, session: &'input str, user: &'input str, counter: u64, at: u16, by: u8 },
    Access { header: &'input [u8] },
    Url { path: &'input str, query: &'input [u8] },
    OwnUrl { name: &'input str, length: u64, media: &'input str, hash: Option<[u8; 32]>, at: u16, by: u8 },
}

thread_local! {
    static WORLD: LazyCell<World> = LazyCell::new(|| World::new(Options::default()));
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Refresh { text, session, user, counter, at, by } => {
        made_up(text);
        if is_id(session) && is_id(user) && counter < 10_u64.pow(19) {
            own(session, user, counter, at, by);
        }
    }
    Input::Access { header } => access(header),
    Input::Url { path, query } => {
        made_up_url(path, &form_urlencoded::parse(query).into_owned().collect::<Vec<_>>());
    }
    Input::OwnUrl { name, length, media, hash, at, by } => {
        let Some(blob) = BlobKey::parse(name) else { return };
        let terms = PresignedPutTerms { length, content_type: media.to_owned(), sha256: hash };
        put_url(&blob, &terms, at, by);
        get_url(&blob, media);
    }
});

fn key() -> SecretKey {
    SecretKey::new([7; 32])
}

fn made_up(text: &str) {
    let Some(token) = RefreshToken::parse(&Secret::new(text)) else { return };
    assert!(is_id(&token.session_id) && is_id(&token.user_id), "what is no id could name another record");
    if token.is_genuine(&key(), &[9; 32]) {
        let RefreshToken { session_id, user_id, counter, .. } = &token;
        // The fuzzer sees what tags are compared with, and learns them.
        let made = derive(&key(), session_id, user_id, *counter, &[9; 32]);
        let tag = |text: &str| text.rsplit_once('.').map(|(_, tag)| tag.to_owned());
        assert_eq!(tag(made.expose()), tag(text), "not the server's");
    }
}

fn own(session: &str, user: &str, counter: u64, at: u16, by: u8) {
    let token = derive(&key(), session, user, counter, &[9; 32]);
    let parsed = RefreshToken::parse(&token).expect("a token of the server's");
    assert_eq!(
        (parsed.session_id.as_str(), parsed.user_id.as_str(), parsed.counter),
        (session, user, counter)
    );
    assert!(parsed.is_genuine(&key(), &[9; 32]));
    assert!(!parsed.is_genuine(&key(), &[8; 32]));
    let mut changed = token.expose().as_bytes().to_vec();
    let at = usize::from(at) % changed.len();
    changed[at] ^= by;
    let Ok(changed) = String::from_utf8(changed) else { return };
    let is_same = changed == token.expose();
    let genuine = RefreshToken::parse(&Secret::new(changed)).is_some_and(|t| t.is_genuine(&key(), &[9; 32]));
    assert_eq!(genuine, is_same, "a changed token is genuine");
}

fn access(header: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(header) else { return };
    let answer = WORLD.with(|world| {
        let given = value.to_str().unwrap_or_default().split_once(' ').map(|(_, token)| token.trim());
        assert_ne!(given, Some(world.named("{user}")), "nobody guesses a token");
        world.answer(
            Request::get("/v1/sessions").header(AUTHORIZATION, value).body(Body::empty()).expect("a request"),
        )
    });
    assert_eq!(answer.status, 401);
    assert!(answer.headers.contains_key("www-authenticate"));
}

/// What is permitted by a URL that the fuzzer made is what the server's own URL, of the same signature, permits.
fn made_up_url(path: &str, params: &[(String, String)]) {
    let expires = find(params, "expires").and_then(|text| text.parse().ok()).unwrap_or_default();
    let expires_at = Timestamp::default().plus_seconds(expires);
    let is_same = |url: &str| find(&parts(url).1, "signature") == find(params, "signature");
    if let Ok((blob, terms)) = verify_put(&key(), path, |name| find(params, name), NOW) {
        let own = presign_put(&key(), &blob, &terms, expires_at).expect("what was permitted");
        assert!(is_same(&own.url) && blob.as_str() == path, "not the server's");
    }
    if let Ok((blob, answer)) = verify_get(&key(), path, |name| find(params, name), NOW) {
        let own = presign_get(&key(), &blob, &answer, expires_at);
        assert!(is_same(&own.url) && blob.as_str() == path, "not the server's");
    }
}

fn put_url(blob: &BlobKey, terms: &PresignedPutTerms, at: u16, by: u8) {
    let Ok(made) = presign_put(&key(), blob, terms, NOW.plus_seconds(60)) else { return };
    let (path, params) = parts(&made.url);
    let permitted = verify_put(&key(), &path, |name| find(&params, name), NOW);
    assert_eq!(permitted, Ok((blob.clone(), terms.clone())));
    assert!(
        verify_put(&key(), &path, |name| find(&params, name), made.expires_at).is_err(),
        "it never expires"
    );
    assert!(verify_get(&key(), &path, |name| find(&params, name), NOW).is_err(), "it is good for reading");
    let mut changed = made.url.clone().into_bytes();
    let at = usize::from(at) % changed.len();
    changed[at] ^= by;
    let Some(changed) = String::from_utf8(changed).ok().filter(|url| well_formed(url)) else { return };
    let (path, params) = parts(&changed);
    if let Ok(permitted) = verify_put(&key(), &path, |name| find(&params, name), NOW) {
        assert_eq!(permitted, (blob.clone(), terms.clone()), "a changed URL permits something else");
    }
}

fn get_url(blob: &BlobKey, media: &str) {
    let answer = PresignedGetAnswer { content_type: media.to_owned(), content_disposition: media.to_owned() };
    let made = presign_get(&key(), blob, &answer, NOW.plus_seconds(60));
    let (path, params) = parts(&made.url);
    assert_eq!(verify_get(&key(), &path, |name| find(&params, name), NOW), Ok((blob.clone(), answer)));
}

fn well_formed(url: &str) -> bool {
    url.strip_prefix("/blobs/").is_some_and(|rest| rest.contains('?'))
}

/// The path behind `/blobs/`, and the parameters.
fn parts(url: &str) -> (String, Vec<(String, String)>) {
    let rest = url.strip_prefix("/blobs/").expect("a URL of blobs");
    let (path, query) = rest.split_once('?').expect("a query");
    (path.to_owned(), form_urlencoded::parse(query.as_bytes()).into_owned().collect())
}

fn find<'a>(params: &'a [(String, String)], name: &str) -> Option<Cow<'a, str>> {
    params.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str().into())
}
