//! Well-formed but invalid: collecting everything that is wrong with a request, so that the client learns of
//! it at once (422, RFC 9457 with JSON Pointers).

use std::borrow::Cow;

use serde::Serialize;

use crate::error::Error;

/// Why a value is refused; the stable `code` of a field error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidCode {
    Required,
    TooShort,
    TooLong,
    InvalidFormat,
    InvalidCharacters,
    TooCommon,
    SameAsIdentity,
    InTheFuture,
    TooEarly,
    NotAllowed,
    OutOfRange,
    InvalidCode,
    WrongPassword,
}

/// A refused value: a stable code, and a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The reason.
    pub code: InvalidCode,
    /// What to do, for people; never repeats the value.
    pub message: Cow<'static, str>,
}

impl Invalid {
    /// A refusal.
    pub fn new(code: InvalidCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// The value is of no acceptable form.
    pub fn format(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(InvalidCode::InvalidFormat, message)
    }
}

/// One member of the `errors` of a 422 answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where, as a JSON Pointer (RFC 6901) into the request's body.
    pub pointer: Cow<'static, str>,
    /// The reason.
    pub code: InvalidCode,
    /// What to do.
    pub message: Cow<'static, str>,
}

/// Turns the refusal of a single value into an answer.
///
/// # Errors
/// 422 `validation_failed`.
pub fn one<T>(pointer: &'static str, value: Result<T, Invalid>) -> Result<T, Error> {
    let mut check = Validator::new();
    let value = check.check(pointer, value);
    check.finish_with(value)
}

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct Validator {
    errors: Vec<FieldError>,
}

impl Validator {
    /// Starts without errors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a good value, notes a bad one.
    pub fn check<T>(&mut self, pointer: &'static str, value: Result<T, Invalid>) -> Option<T> {
        value.map_err(|invalid| self.refuse(pointer, invalid)).ok()
    }

    /// Parses a value that must be there.
    pub fn required<V, T>(
        &mut self,
        pointer: &'static str,
        value: Option<V>,
        parse: impl FnOnce(V) -> Result<T, Invalid>,
    ) -> Option<T> {
        match value {
            Some(value) => self.check(pointer, parse(value)),
            None => {
                self.refuse(pointer, Invalid::new(InvalidCode::Required, "this member is required"));
                None
            }
        }
    }

    /// Parses a value that may be there.
    pub fn optional<V, T>(
        &mut self,
        pointer: &'static str,
        value: Option<V>,
        parse: impl FnOnce(V) -> Result<T, Invalid>,
    ) -> Option<T> {
        value.and_then(|value| self.check(pointer, parse(value)))
    }

    /// Notes a refusal.
    pub fn refuse(&mut self, pointer: impl Into<Cow<'static, str>>, invalid: Invalid) {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            code: invalid.code,
            message: invalid.message,
        });
    }

    /// Ends the validation with the values that it was about.
    ///
    /// # Errors
    /// 422 `validation_failed` with every error noted.
    pub fn finish_with<T>(self, values: Option<T>) -> Result<T, Error> {
        match values {
            Some(values) if self.errors.is_empty() => Ok(values),
            _ => Err(Error::validation(self.errors)),
        }
    }

    /// Ends the validation.
    ///
    /// # Errors
    /// 422 `validation_failed` with every error noted.
    pub fn finish(self) -> Result<(), Error> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::validation(self.errors)) }
    }
}
