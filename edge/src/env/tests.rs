use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};

use super::*;

/// A key pair in PEM form.
fn pair() -> (String, String) {
    let private = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let public = private.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    (private.to_pkcs8_pem(LineEnding::LF).unwrap().to_string(), public)
}

/// What a Worker needs, with other values or, by an empty one, without.
fn read(changes: &[(&str, &str)]) -> Result<Config, Vec<&'static str>> {
    let key = pair().0;
    let needed = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
        ("JWT_PRIVATE_KEY", &key),
        ("MAIL_RELAY_URL", "https://relay.example.com/messages"),
        ("MAIL_RELAY_TOKEN", "canary"),
    ];
    let vars = Vars::new(|name| {
        let found = changes.iter().chain(&needed).find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    Config::read(vars).map_err(|error| error.problems.iter().map(|problem| problem.variable).collect())
}

#[test]
fn what_is_needed_is_enough() {
    let config = read(&[]).unwrap();
    assert_eq!(config.settings.storage, StorageBackend::Aws);
    assert_eq!(config.settings.session_cache_seconds, 5);
    assert_eq!((config.mail.api, config.sends_sms), (Api::Relay, true));
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn whatever_is_missing_is_named() {
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "JWT_PRIVATE_KEY",
        "MAIL_RELAY_URL",
        "MAIL_RELAY_TOKEN",
    ] {
        let problems = read(&[(name, "")]).unwrap_err();
        assert!(problems.contains(&name), "{name}: {problems:?}");
    }
    let nothing: Vec<_> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "JWT_PRIVATE_KEY", "MAIL_RELAY_URL"]
        .map(|name| (name, ""))
        .to_vec();
    assert_eq!(read(&nothing).unwrap_err().len(), 3, "credentials are one problem");
}

#[test]
fn what_cannot_work_is_refused() {
    for (name, value) in [
        ("STORAGE_BACKEND", "embedded"),
        ("MAILER", "smtp"),
        ("SMS_SENDER", "outbox"),
        ("JWT_PRIVATE_KEY", "no key"),
        ("JWT_PUBLIC_KEY", &pair().1),
        ("JWT_PREVIOUS_PUBLIC_KEYS", "no key"),
        ("MAIL_RELAY_URL", "relay.example.com"),
        ("SMTP_FROM", "nobody"),
        ("SMTP_FROM", "A <a@example.com> B"),
        ("SMTP_FROM", "A <a@example.com>\nBcc: b@example.com"),
    ] {
        assert_eq!(read(&[(name, value)]).unwrap_err(), [name], "{value}");
    }
    let production = [("APP_ENV", "production"), ("MAIL_RELAY_URL", "http://relay.example.com/")];
    assert_eq!(read(&production).unwrap_err(), ["MAIL_RELAY_URL"]);
}

#[test]
fn keys_may_be_written_in_one_line() {
    let (key, _) = pair();
    let folded = key.replace('\n', "\\n");
    let previous = format!("{}{}", pair().1, pair().1).replace('\n', "\\n");
    let config = read(&[("JWT_PRIVATE_KEY", &folded), ("JWT_PREVIOUS_PUBLIC_KEYS", &previous)]).unwrap();
    assert_eq!(config.keys.private.public(), PrivateKey::from_pem(&key).unwrap().public());
    assert_eq!(config.keys.previous.len(), 2);
}

#[test]
fn resend_needs_no_address() {
    let config = read(&[("MAILER", "resend"), ("MAIL_RELAY_URL", "")]).unwrap();
    assert_eq!((config.mail.api, config.mail.url.as_str()), (Api::Resend, RESEND));
}
