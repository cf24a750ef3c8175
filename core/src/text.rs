//! Small values that requests bring as text: parsed once, valid ever after.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::time::{Date, Timestamp};
use crate::validate::{Invalid, InvalidCode};

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// A username: 3 to 64 letters, digits, `.`, `_` or `-` after NFKC and case folding, in which form it
    /// is kept, so that it is unique ignoring case. (Stored text is trusted, not parsed again.)
    Username
}

text_type! {
    /// An e-mail address of at most 254 characters, lower-cased, in which form it is kept.
    Email
}

text_type! {
    /// A phone number in E.164 form: `+` and up to 15 digits.
    Phone
}

text_type! {
    /// A person's name: 1 to 100 characters, none of them a control character.
    Name
}

impl Username {
    /// Reads a username.
    ///
    /// # Errors
    /// `too_short`, `too_long`, `invalid_characters`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let folded = fold(text);
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !folded.chars().all(allowed) {
            return Err(Invalid::new(
                InvalidCode::InvalidCharacters,
                "a username has only letters, digits and . _ -",
            ));
        }
        length(&folded, 3, 64, "a username")?;
        Ok(Self(folded))
    }
}

impl Email {
    /// Reads an address by the grammar of HTML's `<input type=email>`, within RFC 5321's lengths
    /// (section 4.5.3.1): local part 64, whole 254, domain labels 63.
    ///
    /// # Errors
    /// `invalid_format`, `too_long`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::format("this is not an e-mail address");
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if text.len() > 254 {
            return Err(Invalid::new(InvalidCode::TooLong, "an e-mail address has at most 254 characters"));
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
        let local_byte = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
        let local_fits = (1..=64).contains(&local.len()) && local.bytes().all(local_byte);
        let dots_fit = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
        if !local_fits || !dots_fit || !domain.contains('.') || !domain.split('.').all(is_label) {
            return Err(malformed());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// Whether a text is a label of a domain name (RFC 5321, section 4.1.2).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Phone {
    /// Reads an international number; spaces, dots, hyphens and brackets are dropped, and a leading `00`
    /// stands for `+`.
    ///
    /// # Errors
    /// `invalid_format` unless the number is a possible one of its country (E.164).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || {
            Invalid::format("give the number in international form, with its country code: +49 30 1234567")
        };
        let compact: String =
            text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '.' | '-' | '(' | ')' | '/')).collect();
        let international = match compact.strip_prefix("00") {
            Some(rest) => format!("+{rest}"),
            None => compact,
        };
        let digits = international.strip_prefix('+').ok_or_else(malformed)?;
        if !is_e164(digits) {
            return Err(malformed());
        }
        // A zero that only callers within the country dial is dropped, which may leave too little.
        let normalized = phonelib::normalize_phone_number(&international);
        let fits = |number: &String| number.strip_prefix('+').is_some_and(is_e164);
        normalized.filter(fits).map(Self).ok_or_else(malformed)
    }
}

/// Whether a text can be the digits of an international number: 15 at most (E.164), and more than any country's code.
fn is_e164(digits: &str) -> bool {
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

impl Name {
    /// Reads a name; surrounding white space is dropped.
    ///
    /// # Errors
    /// `too_short`, `too_long`, `invalid_characters`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line(text, 100, "a name").map(Self)
    }

    /// A name for an account that came without one, cut to what a name may be.
    #[must_use]
    pub fn lenient(text: &str, fallback: &str) -> Self {
        let kept: String = text.trim().chars().filter(|c| !c.is_control()).take(100).collect();
        Self(if kept.is_empty() { fallback.to_owned() } else { kept })
    }
}

/// Reads a line of text: 1 to `max` characters without control characters; surrounding white space is dropped.
///
/// # Errors
/// `too_short`, `too_long`, `invalid_characters`.
pub fn line(text: &str, max: usize, what: &'static str) -> Result<String, Invalid> {
    if text.chars().any(is_unprintable) {
        return Err(Invalid::new(
            InvalidCode::InvalidCharacters,
            format!("{what} has no control characters"),
        ));
    }
    let text = text.trim();
    length(text, 1, max, what)?;
    Ok(text.to_owned())
}

/// Reads free text: 1 to `max` characters, without control characters other than line breaks and tabs.
///
/// # Errors
/// `too_short`, `too_long`, `invalid_characters`.
pub fn prose(text: &str, max: usize, what: &'static str) -> Result<String, Invalid> {
    if text.chars().any(|c| is_unprintable(c) && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Invalid::new(
            InvalidCode::InvalidCharacters,
            format!("{what} has no control characters"),
        ));
    }
    length(text.trim(), 1, max, what)?;
    Ok(text.to_owned())
}

/// Reads a day of birth: in the past, after 1900-01-01.
///
/// # Errors
/// `invalid_format`, `in_the_future`, `too_early`.
pub fn birthday(text: &str, now: Timestamp) -> Result<Date, Invalid> {
    let date = Date::parse(text)
        .ok_or_else(|| Invalid::format("a birthday has the form YYYY-MM-DD and is on the calendar"))?;
    if date >= now.date() {
        return Err(Invalid::new(InvalidCode::InTheFuture, "a birthday lies in the past"));
    }
    if Some(date) <= Date::new(1900, 1, 1) {
        return Err(Invalid::new(InvalidCode::TooEarly, "a birthday lies after 1900-01-01"));
    }
    Ok(date)
}

/// Whether a text can be an id: 1 to 64 letters, digits, `-` or `_`. Keys that are not ids (claims, what is kept of
/// deleted devices) hold a `#` and are out of reach.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The form in which names are compared: NFKC, case folded, NFKC again.
#[must_use]
pub fn fold(text: &str) -> String {
    let composed: String = text.nfkc().collect();
    unicase::UniCase::unicode(composed).to_folded_case().nfkc().collect()
}

/// Control characters, and those invisible ones that reorder or hide text.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

fn length(text: &str, min: usize, max: usize, what: &str) -> Result<(), Invalid> {
    let chars = text.chars().count();
    if chars < min {
        return Err(Invalid::new(InvalidCode::TooShort, format!("{what} has at least {min} characters")));
    }
    if chars > max {
        return Err(Invalid::new(InvalidCode::TooLong, format!("{what} has at most {max} characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_fold_and_are_bounded() {
        assert_eq!(Username::parse("Ａda.Ｌovelace").unwrap().as_str(), "ada.lovelace");
        assert_eq!(Username::parse("STRAẞE").unwrap(), Username::parse("strasse").unwrap());
        assert_eq!(Username::parse("ab").unwrap_err().code, InvalidCode::TooShort);
        assert_eq!(Username::parse(&"a".repeat(65)).unwrap_err().code, InvalidCode::TooLong);
        for wrong in ["ada lovelace", "ada@home", "ada\u{0}", "ada#1", "a/../b", "ada\u{200d}x", "🦀🦀🦀"]
        {
            assert_eq!(Username::parse(wrong).unwrap_err().code, InvalidCode::InvalidCharacters, "{wrong:?}");
        }
    }

    #[test]
    fn emails_follow_the_practical_grammar() {
        assert_eq!(Email::parse(" Ada+x@Example.COM ").unwrap().as_str(), "ada+x@example.com");
        let long = format!("{}@example.com", "a".repeat(65));
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a@b@c.de",
            "a..b@c.de",
            ".a@c.de",
            "a.@c.de",
            "a@-b.de",
            "a@b-.de",
            "a@b..de",
            "a@.de",
            "a b@c.de",
            "a@c.de\nBcc: x@y.z",
            "ä@c.de",
            &long,
        ] {
            assert!(Email::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            Email::parse(&format!("a@{}.de", "b.".repeat(130))).unwrap_err().code,
            InvalidCode::TooLong
        );
    }

    #[test]
    fn s1_phones_become_e164() {
        assert_eq!(Phone::parse("+49 (151) 234-567 89").unwrap().as_str(), "+4915123456789");
        assert_eq!(Phone::parse("0049 151 23456789").unwrap().as_str(), "+4915123456789");
        assert_eq!(Phone::parse("+1 415 555 2671").unwrap().as_str(), "+14155552671");
        for wrong in [
            "",
            "015123456789",
            "+",
            "+49",
            "+999123456789",
            "+49151abc45678",
            "+49 (015.00",
            "+1234567890123456",
            "٠٠٤٩١٥١٢٣٤٥٦",
        ] {
            assert!(Phone::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_hold_no_control_characters() {
        assert_eq!(Name::parse(" Ada ").unwrap().as_str(), "Ada");
        assert_eq!(Name::parse("   ").unwrap_err().code, InvalidCode::TooShort);
        assert_eq!(Name::parse(&"ä".repeat(101)).unwrap_err().code, InvalidCode::TooLong);
        for wrong in ["a\nb", "a\u{0}", "a\u{202e}b", "\u{85}"] {
            assert_eq!(Name::parse(wrong).unwrap_err().code, InvalidCode::InvalidCharacters, "{wrong:?}");
        }
    }

    #[test]
    fn birthdays_are_past_and_after_1900() {
        let now = Timestamp::parse("2026-02-20T10:00:00Z").unwrap();
        assert!(birthday("2026-02-19", now).is_ok());
        assert_eq!(birthday("2026-02-20", now).unwrap_err().code, InvalidCode::InTheFuture);
        assert_eq!(birthday("1900-01-01", now).unwrap_err().code, InvalidCode::TooEarly);
        assert!(birthday("1900-01-02", now).is_ok());
        assert_eq!(birthday("2025-02-30", now).unwrap_err().code, InvalidCode::InvalidFormat);
    }
}
