//! Settings of the Worker, read from its variables and secrets.

use portico_core::auth::keys::{KeyError, PrivateKey, PublicKey, SigningKeys};
use portico_core::config::aws::{AwsCredentials, AwsSettings, AwsStorage};
use portico_core::config::{
    ConfigError, Environment, Settings, StorageBackend, Variable, Vars, variables as v,
};
use portico_core::secret::Secret;
use portico_core::text::Email;

use crate::mail::{Api, MailSettings};

/// Where Resend takes mail.
const RESEND: &str = "https://api.resend.com/emails";

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Config {
    /// What holds on every host.
    pub settings: Settings,
    /// The keys of access tokens.
    pub keys: SigningKeys,
    /// Where AWS is.
    pub aws: AwsSettings,
    /// The account at AWS.
    pub credentials: AwsCredentials,
    /// What items and files are kept in.
    pub storage: AwsStorage,
    /// How mail leaves.
    pub mail: MailSettings,
    /// Whether SMS leave, through SNS.
    pub sends_sms: bool,
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem.
    pub fn read(vars: Vars<'_>) -> Result<Self, ConfigError> {
        let mut settings = Settings::read(&vars);
        refuse_embedded(&vars);
        settings.storage = StorageBackend::Aws;
        let aws = AwsSettings::read(&vars, true);
        let storage = AwsStorage::read(&vars);
        let mail = read_mail(&vars, settings.environment);
        let sends_sms = read_sms(&vars);
        let (keys, credentials) = (read_keys(&vars), read_credentials(&vars, &aws));
        let missing = || ConfigError { problems: Vec::new() };
        match (keys, credentials, mail) {
            (Some(keys), Some(credentials), Some(mail)) => {
                vars.finish(Self { settings, keys, aws, credentials, storage, mail, sends_sms })
            }
            // Whatever is missing has left a problem.
            _ => Err(vars.finish(()).err().unwrap_or_else(missing)),
        }
    }
}

fn refuse_embedded(vars: &Vars<'_>) {
    if vars.is_set(&v::STORAGE_BACKEND) && StorageBackend::read(vars) == StorageBackend::Embedded {
        vars.problem(&v::STORAGE_BACKEND, "the edge keeps nothing itself: set `aws`, or nothing");
    }
}

fn read_credentials(vars: &Vars<'_>, aws: &AwsSettings) -> Option<AwsCredentials> {
    if aws.credentials.is_none() {
        vars.problem(
            &v::AWS_ACCESS_KEY_ID,
            "needed on the edge, with AWS_SECRET_ACCESS_KEY: set both as secrets",
        );
    }
    aws.credentials.clone()
}

fn read_keys(vars: &Vars<'_>) -> Option<SigningKeys> {
    let Some(pem) = vars.secret(&v::JWT_PRIVATE_KEY) else {
        vars.problem(
            &v::JWT_PRIVATE_KEY,
            "needed on the edge: set the PEM text that `portico keys generate` makes as a secret",
        );
        return None;
    };
    let private = parse_key(vars, &v::JWT_PRIVATE_KEY, unfold(pem.expose()).expose(), PrivateKey::from_pem)?;
    let public = read_public(vars, &v::JWT_PUBLIC_KEY, PublicKey::from_pem);
    if public.is_some_and(|public| public != *private.public()) {
        vars.problem(&v::JWT_PUBLIC_KEY, KeyError::Mismatch.to_string());
    }
    let previous = read_public(vars, &v::JWT_PREVIOUS_PUBLIC_KEYS, PublicKey::all_from_pem);
    Some(SigningKeys { private, previous: previous.unwrap_or_default() })
}

fn read_public<K>(
    vars: &Vars<'_>,
    variable: &Variable,
    parse: impl Fn(&str) -> Result<K, KeyError>,
) -> Option<K> {
    parse_key(vars, variable, unfold(&vars.optional(variable)?).expose(), parse)
}

fn parse_key<K>(
    vars: &Vars<'_>,
    variable: &Variable,
    pem: &str,
    parse: impl Fn(&str) -> Result<K, KeyError>,
) -> Option<K> {
    parse(pem).map_err(|error| vars.problem(variable, error.to_string())).ok()
}

/// A PEM text whose line breaks may have been written as `\n`, as dashboards and `.dev.vars` files want them.
fn unfold(pem: &str) -> Secret {
    Secret::new(pem.replace("\\n", "\n"))
}

fn read_mail(vars: &Vars<'_>, environment: Environment) -> Option<MailSettings> {
    let apis = [("relay", Api::Relay), ("resend", Api::Resend)];
    let api = vars.choice(&v::MAILER, &apis).unwrap_or(Api::Relay);
    let expected = "an address such as https://relay.example.com/messages; in production it must be HTTPS";
    let is_fit = |text: &str| {
        let uri: http::Uri = text.parse().ok()?;
        let clean = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let safe = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => environment == Environment::Development,
            _ => false,
        };
        (clean && safe).then(|| text.to_owned())
    };
    let url = vars.parse(&v::MAIL_RELAY_URL, expected, is_fit);
    if url.is_none() && api == Api::Relay && !vars.is_set(&v::MAIL_RELAY_URL) {
        vars.problem(
            &v::MAIL_RELAY_URL,
            "needed on the edge, which speaks no SMTP: where is `portico relay`?",
        );
    }
    let token = vars.secret(&v::MAIL_RELAY_TOKEN);
    if token.is_none() {
        vars.problem(&v::MAIL_RELAY_TOKEN, "needed on the edge: set it as a secret");
    }
    let url = url.or_else(|| (api == Api::Resend).then(|| RESEND.to_owned()));
    Some(MailSettings { api, url: url?, token: token?, from: read_sender(vars)? })
}

fn read_sender(vars: &Vars<'_>) -> Option<String> {
    vars.parse(&v::SMTP_FROM, "an e-mail address, or `Name <address>`", |text| {
        let address = match text.split_once('<') {
            Some((_, rest)) => rest.strip_suffix('>')?,
            None => text,
        };
        let plain = !text.contains(char::is_control) && text.matches(['<', '>']).count() <= 2;
        (plain && Email::parse(address).is_ok()).then(|| text.to_owned())
    })
}

fn read_sms(vars: &Vars<'_>) -> bool {
    vars.choice(&v::SMS_SENDER, &[("sns", true), ("none", false)]).unwrap_or(true)
}

#[cfg(test)]
mod tests;
