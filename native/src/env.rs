//! Settings of the native host, read from the environment and from a `.env` file in the working folder.
//!
//! Everything that can be known to be wrong before serving is found here and reported in one message,
//! including files that cannot be used. Only generating keys waits until all else is right.

mod relay;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use lettre::message::Mailbox;
use portico_core::config::{
    ConfigError, Environment, Settings, StorageBackend, Variable, Vars, variables as v,
};
use portico_core::secret::Secret;
use tokio_rustls::rustls::ServerConfig;
use tracing::level_filters::LevelFilter;

use crate::keys::{self, KeySource};
use crate::mail::smtp::{SmtpSettings, SmtpTls};
use crate::server::tls;

pub use self::relay::RelayConfig;
pub use portico_core::config::aws::{AwsCredentials, AwsSettings, AwsStorage};

/// Stands for the file itself in problems about it.
static DOTENV: Variable = Variable { name: ".env", default: "", about: "", secret: false };

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds on every host.
    pub settings: Settings,
    /// What only this host needs.
    pub host: Host,
}

/// Settings of the native host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Address or name to listen on.
    pub listen_host: String,
    /// Port to listen on; 0 lets the system choose.
    pub listen_port: u16,
    /// Certificate and key, if the server speaks TLS itself.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where items and files are kept.
    pub storage: Storage,
    /// Folder of the embedded store, of a generated key and of the outbox.
    pub data_dir: PathBuf,
    /// The account and the address that whatever is at AWS is asked at.
    pub aws: AwsSettings,
    /// Where the signing keys come from.
    pub keys: KeySource,
    /// How e-mail leaves.
    pub mail: MailChoice,
    /// How SMS leave.
    pub sms: SmsChoice,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The administrator of an empty store.
    pub first_admin: Option<FirstAdmin>,
    /// The form of the log.
    pub log_format: Option<LogFormat>,
    /// How much is logged.
    pub log_level: LevelFilter,
}

/// Where items and files are kept.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In one SQLite file and one folder, under the data directory.
    Embedded,
    /// In DynamoDB and S3.
    Aws(AwsStorage),
}

/// How e-mail leaves.
#[derive(Clone, Debug)]
pub enum MailChoice {
    /// To a mail server.
    Smtp(SmtpSettings),
    /// To files, from this sender.
    Outbox(Mailbox),
}

/// How SMS leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsChoice {
    /// To files.
    Outbox,
    /// Through Amazon SNS.
    Sns,
    /// Not at all.
    None,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The administrator who is created when the store is empty (`ADMIN_EMAIL`, `ADMIN_PASSWORD`).
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: Secret,
}

impl Config {
    /// Reads the process's environment, over `.env`.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem.
    pub fn load() -> Result<Self, ConfigError> {
        Self::read(variables())
    }

    /// Reads all settings.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem.
    pub fn read(vars: Vars<'_>) -> Result<Self, ConfigError> {
        let settings = Settings::read(&vars);
        let host = Host::read(&vars, &settings);
        refuse_what_this_build_lacks(&vars, &settings, &host);
        vars.finish(Self { settings, host })
    }
}

impl Host {
    fn read(vars: &Vars<'_>, settings: &Settings) -> Self {
        let data_dir = PathBuf::from(vars.text(&v::DATA_DIR));
        let (on_aws, sms) = (settings.storage == StorageBackend::Aws, read_sms(vars, settings));
        Self {
            listen_host: read_listen_host(vars),
            listen_port: vars.number(&v::APP_PORT, 0, u16::MAX),
            tls: read_tls(vars),
            metrics: read_metrics(vars),
            storage: if on_aws { Storage::Aws(AwsStorage::read(vars)) } else { Storage::Embedded },
            keys: keys::find(vars, settings.environment, &data_dir),
            data_dir,
            aws: AwsSettings::read(vars, on_aws || sms == SmsChoice::Sns),
            mail: read_mail(vars, settings.environment),
            sms,
            trusted_proxies: read_trusted_proxies(vars),
            first_admin: read_first_admin(vars),
            log_format: read_log_format(vars),
            log_level: read_log_level(vars),
        }
    }
}

/// The process's environment, over `.env`.
fn variables() -> Vars<'static> {
    let (file, broken) = read_dotenv();
    let vars = Vars::new(move |name| match std::env::var_os(name) {
        Some(value) => Some(value.to_string_lossy().into_owned()),
        None => file.get(name).cloned(),
    });
    if let Some(message) = broken {
        vars.problem(&DOTENV, message);
    }
    vars
}

/// Reads `.env`; real variables win over it. Its content may be secret, so that problems give only the place.
fn read_dotenv() -> (HashMap<String, String>, Option<String>) {
    let mut variables = HashMap::new();
    let lines = match dotenvy::from_path_iter(".env") {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return (variables, None),
        Err(_) => return (variables, Some("the file cannot be read: check its permissions".to_owned())),
    };
    for (index, line) in lines.enumerate() {
        match line {
            // The first of two assignments wins, as it does for other readers of such files.
            Ok((name, value)) => drop(variables.entry(name).or_insert(value)),
            Err(_) => {
                let nth = index + 1;
                let message =
                    format!("assignment {nth} is not of the form NAME=value; quote values with spaces");
                return (variables, Some(message));
            }
        }
    }
    (variables, None)
}

fn read_listen_host(vars: &Vars<'_>) -> String {
    let parse = |text: &str| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let is_name = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        (is_name || bare.parse::<IpAddr>().is_ok()).then(|| bare.to_owned())
    };
    vars.parse(&v::APP_HOST, "an address such as 0.0.0.0, ::1 or localhost, without a port", parse)
        .unwrap_or_default()
}

fn read_tls(vars: &Vars<'_>) -> Option<Arc<ServerConfig>> {
    match (vars.optional(&v::TLS_CERT_PATH), vars.optional(&v::TLS_KEY_PATH)) {
        (None, None) => None,
        (Some(certificate), Some(key)) => match tls::load(certificate.as_ref(), key.as_ref()) {
            Ok(config) => Some(config),
            Err((variable, message)) => {
                vars.problem(variable, message);
                None
            }
        },
        (Some(_), None) => {
            vars.problem(&v::TLS_KEY_PATH, "needed with TLS_CERT_PATH");
            None
        }
        (None, Some(_)) => {
            vars.problem(&v::TLS_CERT_PATH, "needed with TLS_KEY_PATH");
            None
        }
    }
}

fn read_mail(vars: &Vars<'_>, environment: Environment) -> MailChoice {
    let host_is_set = vars.is_set(&v::SMTP_HOST);
    let smtp = read_smtp(vars);
    let wants_smtp = vars.choice(&v::MAILER, &[("smtp", true), ("outbox", false)]).unwrap_or(host_is_set);
    if wants_smtp {
        return MailChoice::Smtp(smtp);
    }
    if environment == Environment::Production {
        let message =
            "the outbox sends nothing and is refused in production: set SMTP_HOST and its companions";
        vars.problem(&v::MAILER, message);
    }
    MailChoice::Outbox(smtp.from)
}

fn read_smtp(vars: &Vars<'_>) -> SmtpSettings {
    let tls = [
        ("none", SmtpTls::None),
        ("starttls", SmtpTls::StartTls),
        ("tls", SmtpTls::Tls),
        ("false", SmtpTls::None),
        ("true", SmtpTls::Tls),
    ];
    SmtpSettings {
        host: vars.text(&v::SMTP_HOST),
        port: vars.number(&v::SMTP_PORT, 1, u16::MAX),
        from: read_sender(vars),
        credentials: read_credentials(vars),
        tls: vars.choice(&v::SMTP_TLS, &tls).unwrap_or(SmtpTls::None),
    }
}

#[expect(clippy::expect_used, reason = "after a problem the default is read, and a test reads it too")]
fn read_sender(vars: &Vars<'_>) -> Mailbox {
    let parse = |text: &str| text.parse().ok();
    vars.parse(&v::SMTP_FROM, "an e-mail address, or `Name <address>`", parse)
        .expect("the default is an address")
}

fn read_credentials(vars: &Vars<'_>) -> Option<(String, Secret)> {
    let user = vars.optional(&v::SMTP_USERNAME)?;
    match vars.secret(&v::SMTP_PASSWORD) {
        Some(password) => Some((user, password)),
        None => {
            vars.problem(&v::SMTP_PASSWORD, "needed with SMTP_USERNAME");
            None
        }
    }
}

fn read_sms(vars: &Vars<'_>, settings: &Settings) -> SmsChoice {
    let inferred = match settings.storage {
        StorageBackend::Embedded => SmsChoice::Outbox,
        StorageBackend::Aws => SmsChoice::Sns,
    };
    let choices = [("sns", SmsChoice::Sns), ("outbox", SmsChoice::Outbox), ("none", SmsChoice::None)];
    let choice = vars.choice(&v::SMS_SENDER, &choices).unwrap_or(inferred);
    if choice == SmsChoice::Outbox && settings.environment == Environment::Production {
        let message = "the outbox sends nothing and is refused in production: set `none` to do without SMS \
                       (phone numbers then cannot be confirmed)";
        vars.problem(&v::SMS_SENDER, message);
    }
    choice
}

fn read_trusted_proxies(vars: &Vars<'_>) -> Vec<IpNet> {
    vars.list(&v::TRUSTED_PROXIES, "an address or a network such as 10.0.0.0/8", |text| {
        text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| IpNet::from(address)))
    })
}

fn read_first_admin(vars: &Vars<'_>) -> Option<FirstAdmin> {
    match (vars.optional(&v::ADMIN_EMAIL), vars.secret(&v::ADMIN_PASSWORD)) {
        (Some(email), Some(password)) => Some(FirstAdmin { email, password }),
        (None, None) => None,
        (Some(_), None) => {
            vars.problem(&v::ADMIN_PASSWORD, "needed with ADMIN_EMAIL");
            None
        }
        (None, Some(_)) => {
            vars.problem(&v::ADMIN_EMAIL, "needed with ADMIN_PASSWORD");
            None
        }
    }
}

fn read_metrics(vars: &Vars<'_>) -> Option<SocketAddr> {
    vars.parse(&v::METRICS_ADDR, "an address and a port, such as 127.0.0.1:9090", |text| text.parse().ok())
}

fn read_log_format(vars: &Vars<'_>) -> Option<LogFormat> {
    vars.choice(&v::LOG_FORMAT, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn read_log_level(vars: &Vars<'_>) -> LevelFilter {
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    vars.choice(&v::LOG_LEVEL, &levels).unwrap_or(LevelFilter::INFO)
}

/// Refuses settings that are understood but not built in.
fn refuse_what_this_build_lacks(vars: &Vars<'_>, settings: &Settings, host: &Host) {
    if cfg!(feature = "aws") {
        return;
    }
    if settings.storage == StorageBackend::Aws {
        let message = "`aws` is not in this build: set STORAGE_BACKEND=embedded (AWS_ENDPOINT_URL and \
                       AWS_ACCESS_KEY_ID imply `aws`), or build with the feature `aws`";
        vars.problem(&v::STORAGE_BACKEND, message);
    }
    if host.sms == SmsChoice::Sns {
        let message = "`sns` is not in this build: set `none` or, in development, `outbox`, or build with the \
                       feature `aws`";
        vars.problem(&v::SMS_SENDER, message);
    }
}

#[cfg(test)]
mod tests;
