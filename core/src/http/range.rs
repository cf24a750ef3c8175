//! Conditional and partial downloads: `If-None-Match`, `Range` and `If-Range` (RFC 9110, sections 13.1 and 14).
//!
//! One range is answered; several at once, and whatever else the server need not understand, are answered with the
//! whole, as section 14.2 allows.

use http::header::{self, HeaderMap, HeaderName};

use crate::ports::blobs::ByteRange;

/// What a request wants of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// A part that there is.
    Part(ByteRange),
    /// A part that there is not: 416.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range` for a representation of `length` bytes with this strong entity tag, if it has one.
#[must_use]
pub fn wanted(headers: &HeaderMap, length: u64, etag: Option<&str>) -> Wanted {
    let Some(range) = only(headers, header::RANGE) else { return Wanted::Whole };
    // A weak tag, and any date, matches nothing (section 13.1.5): the client then needs the whole.
    let unchanged = match (headers.contains_key(header::IF_RANGE), etag) {
        (false, _) => true,
        (true, Some(etag)) => only(headers, header::IF_RANGE) == Some(etag),
        (true, None) => false,
    };
    if unchanged { parse(range, length).unwrap_or(Wanted::Whole) } else { Wanted::Whole }
}

/// Whether `If-None-Match` says that the client has this representation already (section 13.1.2; weak comparison).
#[must_use]
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// `Content-Range` of a part (section 14.4).
#[must_use]
pub fn content_range(part: ByteRange, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.first, part.last)
}

/// `Content-Range` of a 416.
#[must_use]
pub fn no_range(length: u64) -> String {
    format!("bytes */{length}")
}

/// The value of a header that stands once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok().map(str::trim)
}

/// Reads one range of bytes; `None` for anything else.
fn parse(text: &str, length: u64) -> Option<Wanted> {
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    match set.trim().split_once('-')? {
        ("", suffix) => Some(last_bytes(number(suffix)?, length)),
        (first, "") => Some(between(number(first)?, u64::MAX, length)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| between(first, last, length))
        }
    }
}

/// The last bytes; of an empty representation, for which there is no `Content-Range`, all of it.
fn last_bytes(count: u64, length: u64) -> Wanted {
    match (count, length) {
        (0, _) => Wanted::Unsatisfiable,
        (_, 0) => Wanted::Whole,
        _ => between(length.saturating_sub(count), u64::MAX, length),
    }
}

fn between(first: u64, last: u64, length: u64) -> Wanted {
    match length.checked_sub(1) {
        Some(end) if first <= end => Wanted::Part(ByteRange { first, last: last.min(end) }),
        _ => Wanted::Unsatisfiable,
    }
}

/// A number of digits alone; one that is too large stands for the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(range: &str, if_range: Option<&str>, length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        if let Some(condition) = if_range {
            headers.insert(header::IF_RANGE, HeaderValue::from_str(condition).unwrap());
        }
        wanted(&headers, length, Some("\"abc\""))
    }

    fn part(first: u64, last: u64) -> Wanted {
        Wanted::Part(ByteRange { first, last })
    }

    #[test]
    fn one_range_is_read_in_each_of_its_forms() {
        for (range, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-9", part(0, 9)),
            ("bytes=3-5", part(3, 5)),
            ("Bytes= 3-5", part(3, 5)),
            ("bytes=9-9", part(9, 9)),
            ("bytes=5-", part(5, 9)),
            ("bytes=5-100", part(5, 9)),
            ("bytes=0-99999999999999999999999", part(0, 9)),
            ("bytes=-1", part(9, 9)),
            ("bytes=-10", part(0, 9)),
            ("bytes=-11", part(0, 9)),
        ] {
            assert_eq!(asked(range, None, 10), expected, "{range}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_satisfied() {
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(asked(range, None, 10), Wanted::Unsatisfiable, "{range}");
        }
        assert_eq!(asked("bytes=0-", None, 0), Wanted::Unsatisfiable);
        assert_eq!(asked("bytes=-5", None, 0), Wanted::Whole);
    }

    #[test]
    fn what_need_not_be_understood_gives_the_whole() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=a-b",
            "bytes=1-2,4-5",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=1 - 2",
            "items=0-1",
            "bytes=--1",
            "bytes=1-2-3",
        ] {
            assert_eq!(asked(range, None, 10), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn a_part_is_given_only_of_what_the_client_already_has_a_part_of() {
        assert_eq!(asked("bytes=0-1", Some("\"abc\""), 10), part(0, 1));
        for other in ["\"abd\"", "W/\"abc\"", "abc", "Sat, 29 Oct 1994 19:43:31 GMT", ""] {
            assert_eq!(asked("bytes=0-1", Some(other), 10), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn a_known_tag_is_found_in_any_form() {
        let known = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&headers, "\"abc\"")
        };
        for yes in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\"", "\"x\",W/\"abc\""] {
            assert!(known(yes), "{yes}");
        }
        for no in ["", "abc", "\"abcd\"", "\"x\", \"y\""] {
            assert!(!known(no), "{no}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"abc\""));
    }
}
