//! Texts that become values: usernames, addresses, numbers, versions, dates, ids, media types, names of files. What is
//! accepted has one form, in which it is accepted again as the same; no name leads out of its folder or its header.
#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use portico_core::app_versions::version::{self, VersionText};
use portico_core::files::{names, sniff};
use portico_core::http::disposition;
use portico_core::ports::blobs::BlobKey;
use portico_core::text::{Email, Name, Phone, Username, birthday, fold, is_id, line, prose};
use portico_core::time::{Date, Timestamp};

fuzz_target!(|text: &str| {
    people(text);
    times(text);
    versions(text);
    keys(text);
    file_names(text);
    media_types(text);
});

fn people(text: &str) {
    if let Ok(username) = Username::parse(text) {
        let shown = username.as_str();
        assert_eq!(Username::parse(shown).as_ref(), Ok(&username), "{shown:?}");
        assert_eq!(fold(shown), shown);
        assert!((3..=64).contains(&shown.chars().count()) && !shown.contains('#'), "{shown:?}");
    }
    if let Ok(email) = Email::parse(text) {
        assert_eq!(Email::parse(email.as_str()).as_ref(), Ok(&email));
        assert!(
            email.as_str().is_ascii() && !email.as_str().contains(['\r', '\n', ' ', '<', '>', ',']),
            "{email}"
        );
    }
    if let Ok(phone) = Phone::parse(text) {
        let digits = phone.as_str().strip_prefix('+').expect("E.164 begins with a plus");
        assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()), "{phone}");
        assert_eq!(Phone::parse(phone.as_str()).as_ref(), Ok(&phone));
    }
    if let Ok(name) = Name::parse(text) {
        assert_eq!(Name::parse(name.as_str()).as_ref(), Ok(&name));
    }
    let lenient = Name::lenient(text, "x");
    assert!((1..=100).contains(&lenient.as_str().chars().count()));
    if let Ok(line) = line(text, 50, "a line") {
        assert!(!line.contains(['\r', '\n', '\0']) && line.trim() == line && !line.is_empty());
    }
    if let Ok(prose) = prose(text, 50, "a text") {
        assert_eq!(prose, text);
    }
}

fn times(text: &str) {
    if let Ok(time) = Timestamp::parse(text) {
        let shown = time.to_string();
        assert_eq!(Timestamp::parse(&shown).ok().map(|again| again.to_string()), Some(shown));
        let _date = time.date();
    }
    if let Some(date) = Date::parse(text) {
        assert_eq!(date.to_string(), text);
    }
    if let Ok(date) = birthday(text, Timestamp::from_millis(1_771_581_600_000)) {
        assert!(("1900-01-02".."2026-02-20").contains(&date.to_string().as_str()), "{date}");
    }
}

fn versions(text: &str) {
    let read = serde_json::from_str::<VersionText>(text).ok().and_then(|text| text.parse().ok());
    for version in read.into_iter().chain(version::parse(text).ok()) {
        let shown = version.to_string();
        assert_eq!(version::parse(&shown).ok().as_ref(), Some(&version), "{shown}");
        let precedence = version::parse(&version::precedence_text(&version)).expect("a version");
        assert!(precedence.cmp_precedence(&version).is_eq() && precedence.build.is_empty());
    }
}

fn keys(text: &str) {
    if is_id(text) {
        assert!(!text.is_empty() && !text.contains(['#', '/', '.', '%', '\0']));
        assert!(BlobKey::parse(&format!("files/{text}/{text}/a")).is_some());
    }
    if let Some(key) = BlobKey::parse(text) {
        assert_eq!(key.as_str(), text);
        assert!(!text.starts_with('/') && !text.ends_with('/') && !text.contains("//"));
        assert!(text.split('/').all(|part| part != ".." && part != "."));
    }
}

fn file_names(text: &str) {
    let (shown, safe) = (names::clean(text), names::safe(text));
    assert!((1..=names::MAX_CHARS).contains(&shown.chars().count()), "{shown:?}");
    assert!(!shown.contains(['/', '\\']) && !shown.chars().any(char::is_control), "{shown:?}");
    assert!(!matches!(shown.as_str(), "." | ".."), "{shown:?}");
    assert!((1..=100).contains(&safe.len()), "{} bytes: {safe}", safe.len());
    assert!(!safe.starts_with('.') && !safe.ends_with('.'), "{safe:?}");
    assert!(BlobKey::parse(&format!("files/owner/id/{safe}")).is_some(), "{safe:?}");
    assert_eq!(names::safe(&safe), safe, "harmless names stay as they are");
    for name in [text, &shown] {
        let value = disposition::attachment(name);
        assert!(HeaderValue::from_str(&value).is_ok() && value.is_ascii(), "{value:?}");
        assert_eq!((value.matches('"').count(), value.matches(';').count()), (2, 2), "{value:?}");
        let (_, encoded) = value.rsplit_once("filename*=UTF-8''").expect("the name itself");
        assert_eq!(percent_decode_str(encoded).decode_utf8().as_deref(), Ok(name));
    }
}

fn media_types(text: &str) {
    if let Some(media) = sniff::media_type(text) {
        assert_eq!(sniff::media_type(&media).as_ref(), Some(&media));
        assert!(HeaderValue::from_str(&media).is_ok() && !media.contains([' ', ';', ',']), "{media:?}");
    }
    let (declared, head) = text.split_once('\n').unwrap_or((text, ""));
    for head in [head.as_bytes(), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"%PDF-1.7\n"] {
        match sniff::settle(declared, head) {
            Ok(kept) => {
                assert_eq!(sniff::media_type(&kept).as_ref(), Some(&kept));
                assert_eq!(sniff::settle(&kept, head).ok(), Some(kept), "what is kept would be refused");
            }
            Err(error) => assert_eq!((error.status.as_u16(), error.code), (415, "type_mismatch")),
        }
    }
}
