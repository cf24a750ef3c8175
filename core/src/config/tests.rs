use std::collections::BTreeMap;

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let vars = Vars::new(|name| {
        assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name} is not in the table");
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    });
    let settings = Settings::read(&vars);
    vars.finish(settings)
}

fn problems(pairs: &[(&str, &str)]) -> Vec<&'static str> {
    read(pairs)
        .map_or_else(|error| error.problems.iter().map(|problem| problem.variable).collect(), |_| vec![])
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!(settings.storage, StorageBackend::Embedded);
    assert_eq!(settings.access_token_seconds, 7 * DAY);
    assert_eq!(settings.access_token_cache, 10_000);
    assert_eq!(settings.refresh_token_seconds, 30 * DAY);
    assert_eq!(settings.session_max_seconds, 365 * DAY);
    assert_eq!(settings.session_cache_seconds, 0);
    assert_eq!(settings.allowed_origins, AllowedOrigins::Any);
    assert_eq!(settings.password_hash, HashParams::default());
    assert_eq!(settings.max_upload_bytes, 32 * 1024 * 1024);
    assert_eq!(settings.user_quota, UserQuota { bytes: 1 << 30, files: 1000 });
    assert_eq!((settings.sms_countries.len(), settings.sms_daily_limit), (0, 1000));
}

#[test]
fn aws_variables_imply_the_backend_and_its_cache() {
    let settings = read(&[("AWS_ENDPOINT_URL", "http://localhost:4566")]).unwrap();
    assert_eq!((settings.storage, settings.session_cache_seconds), (StorageBackend::Aws, 5));
    let settings = read(&[("AWS_ACCESS_KEY_ID", "x"), ("STORAGE_BACKEND", "embedded")]).unwrap();
    assert_eq!((settings.storage, settings.session_cache_seconds), (StorageBackend::Embedded, 0));
}

#[test]
fn durations_have_a_unit() {
    for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 7 * DAY)] {
        assert_eq!(
            read(&[("JWT_EXPIRY", text), ("JWT_EXPIRY_DAYS", "2")]).unwrap().access_token_seconds,
            seconds
        );
    }
    for wrong in ["0s", "1", "h", "-1h", "366d", "1.5h", "1h30m", "1é", "99999999999d"] {
        assert_eq!(problems(&[("JWT_EXPIRY", wrong)]), ["JWT_EXPIRY"], "{wrong}");
    }
}

#[test]
fn a6_origins_are_listed_in_the_form_that_browsers_send() {
    let settings = read(&[(
        "ALLOWED_ORIGINS",
        "https://App.example.com:443/, http://localhost:5173, capacitor://localhost",
    )]);
    assert_eq!(
        settings.unwrap().allowed_origins,
        AllowedOrigins::List(
            ["https://app.example.com", "http://localhost:5173", "capacitor://localhost"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    for wrong in [
        "app.example.com",
        "https://a/b",
        "https://u@a",
        "https://*.a.b",
        "*, https://a.b",
        "https://a:x",
        "null",
    ] {
        assert_eq!(problems(&[("ALLOWED_ORIGINS", wrong)]), ["ALLOWED_ORIGINS"], "{wrong}");
    }
}

#[test]
fn l4_production_refuses_weak_hashing() {
    let wrong = [("APP_ENV", "production"), ("PASSWORD_HASH", "argon2id,m=7168,t=4")];
    assert_eq!(problems(&wrong), ["PASSWORD_HASH"]);
    for strong in ["argon2id", "argon2id,m=7168,t=5", "argon2id,m=47104,t=1,p=2"] {
        let right = [("APP_ENV", "production"), ("PASSWORD_HASH", strong)];
        assert_eq!(problems(&right), [""; 0], "{strong}");
    }
    assert_eq!(problems(&[("PASSWORD_HASH", "argon2id,m=64,t=1")]), [""; 0]);
}

#[test]
fn hash_parameters_must_work() {
    for wrong in
        ["bcrypt", "argon2id,m=1", "argon2id,t=0", "argon2id,x=1", "argon2id,m", "argon2id,m=4294967295"]
    {
        assert_eq!(problems(&[("PASSWORD_HASH", wrong)]), ["PASSWORD_HASH"], "{wrong}");
    }
}

#[test]
fn every_problem_is_reported_and_no_secret_shown() {
    let wrong = [
        ("APP_ENV", "prod"),
        ("STORAGE_BACKEND", "mysql"),
        ("PUBLIC_URL", "https://me:canary-password@api.example.com"),
        ("JWT_EXPIRY_DAYS", "0"),
        ("ACCESS_TOKEN_CACHE", "1000001"),
        ("SESSION_CACHE_SECONDS", "x"),
        ("TOKEN_SECRET", "canary-secret"),
        ("SMS_COUNTRIES", "DE,XX"),
        ("HIBP", "maybe"),
    ];
    let error = read(&wrong).unwrap_err();
    let names: Vec<_> = error.problems.iter().map(|problem| problem.variable).collect();
    for (name, _) in wrong {
        assert!(names.contains(&name), "{name}: {error}");
    }
    assert!(!error.to_string().contains("canary"));
}

#[test]
fn the_table_is_complete_and_without_doubles() {
    let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(VARIABLES.iter().all(|variable| variable.about.ends_with('.') && !variable.about.contains('\n')));
}

#[test]
fn the_example_file_lists_every_variable_with_its_default() {
    let example = include_str!("../../../.env.example");
    let assignments = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let listed: BTreeMap<_, _> = assignments
        .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
        .collect();
    let wanted: BTreeMap<_, _> = VARIABLES.iter().map(|variable| (variable.name, variable.default)).collect();
    assert_eq!(listed, wanted);
    for variable in VARIABLES {
        assert!(
            example.contains(&format!("# {}\n#{}={}\n", variable.about, variable.name, variable.default))
        );
    }
    assert!(
        example.lines().all(|line| line.is_empty() || line.starts_with('#')),
        "it must change nothing as it is"
    );
}
