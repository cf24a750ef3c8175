//! Values of headers, which the runtime has as text and core as bytes. Nothing that a client sent gets lost on the way: what is
//! left out could not be refused.

use http::header::{HeaderValue, InvalidHeaderValue};

/// Stands for a byte that no value may have. No syntax knows it, so that whoever reads the value refuses it.
const FORBIDDEN: u8 = 0xff;

/// A value as core takes it: of Latin-1, its bytes; of anything else, those of UTF-8. Control characters, which other hosts
/// refuse before core sees them, are replaced (RFC 9110, section 5.5).
///
/// # Errors
/// Never, in fact: what is left may stand in a header.
pub fn read(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    let bytes = latin.unwrap_or_else(|| text.as_bytes().to_vec());
    let is_forbidden = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    let kept: Vec<u8> =
        bytes.into_iter().map(|byte| if is_forbidden(byte) { FORBIDDEN } else { byte }).collect();
    HeaderValue::from_bytes(&kept)
}

/// A value as the runtime takes it: Latin-1.
#[must_use]
pub fn write(value: &HeaderValue) -> String {
    value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a5_no_value_gets_lost() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("a\tb c", b"a\tb c"),
            ("h\u{e9}", b"h\xe9"),
            ("\u{fffd}", "\u{fffd}".as_bytes()),
            ("a\u{1}b\u{7f}\0", b"a\xffb\xff\xff"),
            ("h\u{e9}\u{1f600}", "h\u{e9}\u{1f600}".as_bytes()),
        ] {
            assert_eq!(read(text).unwrap().as_bytes(), bytes, "{text:?}");
        }
        assert_eq!(write(&read("h\u{e9}").unwrap()), "h\u{e9}");
    }
}
