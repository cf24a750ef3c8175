use std::cell::RefCell;
use std::collections::BTreeSet;

use portico_core::config::VARIABLES;

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(Vars::new(|name| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }))
}

fn problems(pairs: &[(&str, &str)]) -> Vec<&'static str> {
    match read(pairs) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(|problem| problem.variable).collect(),
    }
}

/// A production configuration that works, but for its key.
const PRODUCTION: [(&str, &str); 4] = [
    ("APP_ENV", "production"),
    ("ALLOWED_ORIGINS", "https://app.example.com"),
    ("SMTP_HOST", "mail.example.com"),
    ("SMS_SENDER", "none"),
];

fn production_with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let changed = |name: &str| more.iter().any(|(other, _)| *other == name);
    PRODUCTION.into_iter().filter(|(name, _)| !changed(name)).chain(more.iter().copied()).collect()
}

#[test]
fn nothing_set_listens_on_this_machine_with_outboxes() {
    let Config { host, .. } = read(&[]).unwrap();
    assert_eq!((host.listen_host.as_str(), host.listen_port), ("127.0.0.1", 3000));
    assert_eq!(host.data_dir, PathBuf::from("./data"));
    assert!(matches!(host.mail, MailChoice::Outbox(_)));
    assert_eq!(host.sms, SmsChoice::Outbox);
    assert!(matches!(host.keys, KeySource::Generate(..)));
    assert_eq!(host.log_level, LevelFilter::INFO);
}

#[test]
fn a_mail_server_implies_smtp_unless_told_otherwise() {
    let smtp =
        [("SMTP_HOST", "mail.example.com"), ("SMTP_TLS", "true"), ("SMTP_FROM", "Portico <a@example.com>")];
    match read(&smtp).unwrap().host.mail {
        MailChoice::Smtp(smtp) => {
            assert_eq!((smtp.host.as_str(), smtp.port, smtp.tls), ("mail.example.com", 1025, SmtpTls::Tls));
            assert!(smtp.credentials.is_none());
        }
        MailChoice::Outbox(_) => panic!("SMTP was asked for"),
    }
    let outbox = read(&[("SMTP_HOST", "mail.example.com"), ("MAILER", "outbox")]).unwrap();
    assert!(matches!(outbox.host.mail, MailChoice::Outbox(_)));
    let local = read(&[("MAILER", "smtp")]).unwrap();
    assert!(matches!(local.host.mail, MailChoice::Smtp(smtp) if smtp.host == "localhost"));
}

#[test]
fn l4_production_refuses_what_is_for_trying_out() {
    let missing = ["JWT_PRIVATE_KEY_PATH"];
    assert_eq!(problems(&PRODUCTION), missing, "all else is right");
    let refused = [("SMTP_HOST", ""), ("SMS_SENDER", "")];
    for (name, value) in refused {
        let reported = problems(&production_with(&[(name, value)]));
        let expected = if name == "SMTP_HOST" { "MAILER" } else { name };
        assert!(reported.contains(&expected) && reported.len() == 2, "{name}: {reported:?}");
    }
    assert_eq!(problems(&[("APP_ENV", "production")]).len(), 3);
    assert!(problems(&production_with(&[("MAILER", "outbox")])).contains(&"MAILER"));
}

#[test]
fn combinations_that_cannot_work_are_refused() {
    for (pairs, variable) in [
        (vec![("TLS_CERT_PATH", "x")], "TLS_KEY_PATH"),
        (vec![("TLS_KEY_PATH", "x")], "TLS_CERT_PATH"),
        (vec![("TLS_KEY_PATH", "/nowhere"), ("TLS_CERT_PATH", "/nowhere")], "TLS_CERT_PATH"),
        (vec![("SMTP_USERNAME", "x")], "SMTP_PASSWORD"),
        (vec![("ADMIN_EMAIL", "a@b.de")], "ADMIN_PASSWORD"),
        (vec![("ADMIN_PASSWORD", "x")], "ADMIN_EMAIL"),
        (vec![("JWT_PRIVATE_KEY_PATH", "/nowhere")], "JWT_PRIVATE_KEY_PATH"),
        (vec![("JWT_PUBLIC_KEY_PATH", "/nowhere")], "JWT_PUBLIC_KEY_PATH"),
        (vec![("JWT_PREVIOUS_PUBLIC_KEYS_PATH", "/nowhere")], "JWT_PREVIOUS_PUBLIC_KEYS_PATH"),
    ] {
        assert_eq!(problems(&pairs), [variable], "{pairs:?}");
    }
}

#[cfg(not(feature = "aws"))]
#[test]
fn what_is_not_built_in_is_refused() {
    assert_eq!(problems(&[("STORAGE_BACKEND", "aws"), ("SMS_SENDER", "none")]), ["STORAGE_BACKEND"]);
    assert_eq!(
        problems(&[("AWS_ENDPOINT_URL", "http://localhost:4566"), ("SMS_SENDER", "none")]),
        ["STORAGE_BACKEND"]
    );
    assert_eq!(problems(&[("SMS_SENDER", "sns")]), ["SMS_SENDER"]);
}

#[cfg(feature = "aws")]
#[test]
fn aws_is_chosen_or_implied_and_sends_sms_too() {
    let key = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "canary")];
    let renamed = [("DYNAMO_TABLE_USERS", "prod-users"), ("S3_BUCKET_NAME", "prod-files")];
    let host = read(&[&key[..], &renamed[..]].concat()).unwrap().host;
    let Storage::Aws(storage) = host.storage else { panic!("a key implies it") };
    assert_eq!(storage.tables.of(&portico_core::schema::USERS), "prod-users");
    assert_eq!((storage.bucket.as_str(), host.sms), ("prod-files", SmsChoice::Sns));
    assert_eq!(host.aws.credentials.unwrap().access_key_id, "AKIDEXAMPLE");
    let chosen = read(&[("STORAGE_BACKEND", "aws"), ("SMS_SENDER", "none")]).unwrap().host;
    assert!(matches!(chosen.storage, Storage::Aws(_)) && chosen.aws.credentials.is_none());
    assert_eq!(problems(&key[..1]), ["AWS_SECRET_ACCESS_KEY"]);
    // Half a key that nothing uses is somebody else's.
    assert_eq!(problems(&[key[0], ("STORAGE_BACKEND", "embedded")]), [""; 0]);
    let apart = read(&[("SMS_SENDER", "sns"), key[0], key[1], ("STORAGE_BACKEND", "embedded")]).unwrap().host;
    assert!(matches!(apart.storage, Storage::Embedded) && apart.aws.credentials.is_some());
}

#[test]
fn every_problem_is_reported_and_no_secret_shown() {
    let wrong = [
        ("APP_PORT", "65536"),
        ("APP_HOST", "a b"),
        ("METRICS_ADDR", "9090"),
        ("MAILER", "pigeon"),
        ("SMTP_PORT", "0"),
        ("SMTP_FROM", "nobody"),
        ("SMTP_TLS", "maybe"),
        ("SMS_SENDER", "x"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("TOKEN_SECRET", "canary"),
    ];
    let error = read(&wrong).unwrap_err();
    for (name, _) in wrong {
        assert!(error.problems.iter().any(|problem| problem.variable == name), "{name}: {error}");
    }
    assert!(!error.to_string().contains("canary"));
}

#[test]
fn secrets_do_not_show_in_debug() {
    let config = read(&[
        ("SMTP_HOST", "x"),
        ("SMTP_USERNAME", "x"),
        ("SMTP_PASSWORD", "canary"),
        ("ADMIN_EMAIL", "a@b.de"),
        ("ADMIN_PASSWORD", "canary"),
        ("TOKEN_SECRET", "canary-canary-canary-canary-canary"),
    ]);
    assert!(!format!("{:?}", config.unwrap()).contains("canary"));
}

#[test]
fn every_variable_of_the_table_is_read_and_no_other() {
    let read = RefCell::new(BTreeSet::new());
    // Values that lead down every branch.
    let given = [
        ("TLS_CERT_PATH", "x"),
        ("TLS_KEY_PATH", "x"),
        ("SMTP_USERNAME", "x"),
        ("ADMIN_EMAIL", "x"),
        ("STORAGE_BACKEND", "aws"),
    ];
    let vars = || {
        Vars::new(|name| {
            read.borrow_mut().insert(name.to_owned());
            given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let _both = (Config::read(vars()), RelayConfig::read(vars()));
    let read = read.into_inner();
    let listed: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert!(read.is_subset(&listed), "{:?}", read.difference(&listed));
    // The edge's own.
    let elsewhere = ["JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY", "JWT_PREVIOUS_PUBLIC_KEYS", "MAIL_RELAY_URL"];
    let unread: Vec<_> =
        listed.difference(&read).filter(|name| !elsewhere.contains(&name.as_str())).collect();
    assert_eq!(unread, [""; 0]);
}

fn read_relay(pairs: &[(&str, &str)]) -> Result<RelayConfig, ConfigError> {
    RelayConfig::read(Vars::new(|name| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }))
}

const RELAY_TOKEN: (&str, &str) = ("MAIL_RELAY_TOKEN", "canary-canary-canary-canary-canary");

#[test]
fn a_relay_needs_no_more_than_its_token() {
    let relay = read_relay(&[RELAY_TOKEN]).unwrap();
    assert_eq!(relay.address, "127.0.0.1:8025".parse().unwrap());
    assert_eq!((relay.smtp.host.as_str(), relay.data_dir), ("localhost", PathBuf::from("./data")));
    let chosen = read_relay(&[RELAY_TOKEN, ("RELAY_ADDR", "[::]:0")]).unwrap();
    assert_eq!(chosen.address, "[::]:0".parse().unwrap());
}

#[test]
fn a_relay_lists_every_problem_and_shows_no_secret() {
    let wrong = [
        ("MAIL_RELAY_TOKEN", "canary"),
        ("RELAY_ADDR", "8025"),
        ("SMTP_TLS", "maybe"),
        ("SMTP_USERNAME", "x"),
        ("TLS_CERT_PATH", "x"),
        ("TOKEN_SECRET", "canary"),
    ];
    let error = read_relay(&wrong).unwrap_err();
    let variables: BTreeSet<_> = error.problems.iter().map(|problem| problem.variable).collect();
    let expected =
        ["MAIL_RELAY_TOKEN", "RELAY_ADDR", "SMTP_PASSWORD", "SMTP_TLS", "TLS_KEY_PATH", "TOKEN_SECRET"];
    assert_eq!(variables, BTreeSet::from(expected));
    assert!(!error.to_string().contains("canary"), "{error}");
    for token in
        ["", "canary canary canary canary canary canary", "kanari\u{e4}nvogelkanari\u{e4}nvogelkanari"]
    {
        let error = read_relay(&[("MAIL_RELAY_TOKEN", token)]).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        assert_eq!(error.problems[0].variable, "MAIL_RELAY_TOKEN");
    }
    assert!(!format!("{:?}", read_relay(&[RELAY_TOKEN]).unwrap()).contains("canary"));
}

#[test]
fn a_relay_seals_under_the_token_unless_there_is_a_secret() {
    let other = ("MAIL_RELAY_TOKEN", "other-other-other-other-other-other");
    let secret = ("TOKEN_SECRET", "secret-secret-secret-secret-secret");
    let key = |pairs: &[(&str, &str)]| *read_relay(pairs).unwrap().key.expose();
    assert_ne!(key(&[RELAY_TOKEN]), key(&[other]));
    assert_eq!(key(&[RELAY_TOKEN, secret]), key(&[other, secret]));
    assert_ne!(key(&[RELAY_TOKEN, secret]), key(&[RELAY_TOKEN]));
}
