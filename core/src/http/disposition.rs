//! `Content-Disposition` of downloads (RFC 6266): always `attachment`, with the name in a form for every client.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but `attr-char` (RFC 8187, section 3.2.1).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The header's value for a file of this name.
///
/// # Behavior
/// The value is visible ASCII and spaces, whatever the name holds. `filename` has `_` for what some clients read
/// otherwise than others (RFC 6266, appendix D); `filename*` has the name itself.
#[must_use]
pub fn attachment(name: &str) -> String {
    let fallback: String = name.chars().map(plain).collect();
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ENCODED))
}

fn plain(c: char) -> char {
    let kept = c == ' ' || c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | '/' | ';');
    if kept { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn x3_names_keep_their_meaning() {
        for (name, expected) in [
            ("a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
            ("my file.pdf", "attachment; filename=\"my file.pdf\"; filename*=UTF-8''my%20file.pdf"),
            ("Übung.txt", "attachment; filename=\"_bung.txt\"; filename*=UTF-8''%C3%9Cbung.txt"),
            ("€ 100%.txt", "attachment; filename=\"_ 100_.txt\"; filename*=UTF-8''%E2%82%AC%20100%25.txt"),
            ("it's (1).txt", "attachment; filename=\"it's (1).txt\"; filename*=UTF-8''it%27s%20%281%29.txt"),
        ] {
            assert_eq!(attachment(name), expected);
        }
    }

    #[test]
    fn x3_no_name_breaks_out() {
        for name in
            ["a\"; filename=\"b.exe", "a\\\"b", "a\r\nSet-Cookie: x=1", "a\0b", "a;b=c", "\u{7f}", "🦀"]
        {
            let value = attachment(name);
            assert!(HeaderValue::from_str(&value).is_ok() && value.is_ascii(), "{value}");
            assert_eq!(value.matches('"').count(), 2, "{value}");
            assert_eq!(value.matches(';').count(), 2, "{value}");
            assert!(!value.contains(['\\', '\r', '\n', '\0']), "{value}");
        }
    }
}
