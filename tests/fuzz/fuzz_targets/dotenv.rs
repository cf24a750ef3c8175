//! Settings from a `.env` file, whatever is in it: each is used or told to be wrong, and what is told does not depend on
//! what a secret is.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use portico_core::config::aws::{AwsSettings, AwsStorage};
use portico_core::config::variables::VARIABLES;
use portico_core::config::{ConfigError, Settings, Vars};

fuzz_target!(|file: &[u8]| {
    let mut variables = HashMap::new();
    // Read as the server does: the first of two assignments wins, and what is after a broken one is not read.
    for line in dotenvy::from_read_iter(file) {
        let Ok((name, value)) = line else { break };
        variables.entry(name).or_insert(value);
    }
    let outcome = read(&variables);
    if let Err(error) = &outcome {
        assert!(!error.problems.is_empty());
        for problem in &error.problems {
            let known = VARIABLES.iter().any(|variable| variable.name == problem.variable);
            assert!(known && !problem.message.is_empty(), "{problem:?}");
        }
    }
    let disguised = read(&variables.into_iter().map(disguised).collect());
    assert_eq!(problems(&outcome), problems(&disguised), "a secret is told");
});

fn read(variables: &HashMap<String, String>) -> Result<Settings, ConfigError> {
    let vars = Vars::new(|name| variables.get(name).cloned());
    let settings = Settings::read(&vars);
    let _aws = (AwsSettings::read(&vars, true), AwsStorage::read(&vars));
    vars.finish(settings)
}

/// Another secret of the same length in place of each.
fn disguised((name, value): (String, String)) -> (String, String) {
    let is_secret = VARIABLES.iter().any(|variable| variable.secret && variable.name == name);
    if is_secret { (name, value.bytes().map(|_| 'x').collect()) } else { (name, value) }
}

fn problems(outcome: &Result<Settings, ConfigError>) -> String {
    outcome.as_ref().err().map(ToString::to_string).unwrap_or_default()
}
