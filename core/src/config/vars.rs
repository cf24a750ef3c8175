//! Reading variables: each parsed once, every problem kept until all are known.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use super::variables::Variable;
use crate::secret::Secret;

/// A value that does not parse, or a combination that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable to change.
    pub variable: &'static str,
    /// What to do about it; never repeats a secret.
    pub message: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot work:")?;
        self.problems.iter().try_for_each(|p| write!(f, "\n  {}: {}", p.variable, p.message))
    }
}

/// Looks variables up and collects problems. An empty or blank value counts as absent.
///
/// Readers return a usable value even after a problem, so that one pass finds everything;
/// [`Vars::finish`] decides whether any of it may be used.
pub struct Vars<'a> {
    lookup: Box<dyn Fn(&str) -> Option<String> + 'a>,
    problems: RefCell<Vec<Problem>>,
}

impl fmt::Debug for Vars<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vars").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl<'a> Vars<'a> {
    /// Reads through the given lookup.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { lookup: Box::new(lookup), problems: RefCell::default() }
    }

    /// Notes a problem.
    pub fn problem(&self, variable: &Variable, message: impl Into<String>) {
        let problem = Problem { variable: variable.name, message: message.into() };
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Hands the value out if there was no problem.
    ///
    /// # Errors
    /// [`ConfigError`] with all of them.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        match self.problems.into_inner() {
            problems if problems.is_empty() => Ok(value),
            problems => Err(ConfigError { problems }),
        }
    }

    /// Whether the variable is set to something.
    #[must_use]
    pub fn is_set(&self, variable: &Variable) -> bool {
        self.optional(variable).is_some()
    }

    /// The value as it is, if there is one.
    #[must_use]
    pub fn optional(&self, variable: &Variable) -> Option<String> {
        (self.lookup)(variable.name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The value or its default.
    #[must_use]
    pub fn text(&self, variable: &Variable) -> String {
        self.optional(variable).unwrap_or_else(|| variable.default.to_owned())
    }

    /// A secret value, if there is one; white space around it belongs to it.
    #[must_use]
    pub fn secret(&self, variable: &Variable) -> Option<Secret> {
        (self.lookup)(variable.name).filter(|value| !value.is_empty()).map(Secret::new)
    }

    /// The value or its default, parsed; `expected` completes the sentence "expected …".
    pub fn parse<T>(
        &self,
        variable: &Variable,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(variable);
        let value = if text.is_empty() { None } else { parse(&text) };
        if value.is_some() || text.is_empty() {
            return value;
        }
        self.problem(variable, refusal(variable, &text, expected));
        // With its default in place of the value, what depends on it is checked all the same.
        parse(variable.default)
    }

    /// A whole number between two bounds.
    pub fn number<T>(&self, variable: &Variable, min: T, max: T) -> T
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let expected = format!("a whole number from {min} to {max}");
        self.parse(variable, &expected, |text| text.parse().ok().filter(|n| (min..=max).contains(n)))
            .unwrap_or(min)
    }

    /// One of several words, given with what each stands for.
    pub fn choice<T: Copy>(&self, variable: &Variable, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.parse(variable, &format!("one of {}", words.join(", ")), |text| {
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
        })
    }

    /// A switch.
    pub fn switch(&self, variable: &Variable) -> bool {
        let choices = [("on", true), ("off", false), ("true", true), ("false", false)];
        self.choice(variable, &choices).unwrap_or(false)
    }

    /// The members of a comma-separated list, each parsed.
    pub fn list<T>(&self, variable: &Variable, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let text = self.text(variable);
        let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
        let parsed = members.filter_map(|member| {
            let value = parse(member);
            if value.is_none() {
                self.problem(variable, refusal(variable, member, expected));
            }
            value
        });
        parsed.collect()
    }
}

fn refusal(variable: &Variable, value: &str, expected: &str) -> String {
    // An address may hold a password before its host (RFC 3986, section 3.2.1).
    if variable.secret || value.contains("://") && value.contains('@') {
        return format!("expected {expected}");
    }
    format!("`{}` is not usable: expected {expected}", value.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::super::variables::{APP_PORT, LOG_LEVEL, TOKEN_SECRET, TRUSTED_PROXIES};
    use super::*;

    #[test]
    fn blank_is_absent_and_defaults_come_from_the_table() {
        let vars = Vars::new(|_| Some("  ".to_owned()));
        assert_eq!(vars.number(&APP_PORT, 0, u16::MAX), 3000);
        assert_eq!(vars.text(&LOG_LEVEL), "info");
        assert!(!vars.is_set(&TRUSTED_PROXIES));
        assert_eq!(vars.finish(1), Ok(1));
    }

    #[test]
    fn every_problem_is_kept_once_and_secrets_are_not_repeated() {
        let vars = Vars::new(|name| Some(format!("bad\n{name}")));
        let _port: u16 = vars.number(&APP_PORT, 0, u16::MAX);
        let _port: u16 = vars.number(&APP_PORT, 0, u16::MAX);
        assert_eq!(vars.parse(&TOKEN_SECRET, "32 bytes", |_| None::<()>), None);
        let error = vars.finish(()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration cannot work:\
             \n  APP_PORT: `bad\\nAPP_PORT` is not usable: expected a whole number from 0 to 65535\
             \n  TOKEN_SECRET: expected 32 bytes"
        );
    }
}
