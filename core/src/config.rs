//! Settings that hold on every host, read from variables at start-up.
//!
//! A host reads its own settings with the same [`Vars`] and then calls [`Vars::finish`], so that one
//! message lists every problem. Nothing here is read again while the app runs.

pub mod aws;
pub mod variables;
mod vars;

pub use variables::{VARIABLES, Variable};
pub use vars::{ConfigError, Problem, Vars};

use crate::auth::password::HashParams;
use crate::secret::Secret;
use variables as v;

const DAY: i64 = 24 * 60 * 60;

/// What is not specific to one host.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the deployment is for.
    pub environment: Environment,
    /// Where items are kept.
    pub storage: StorageBackend,
    /// The address under which clients reach the server, without a trailing slash.
    pub public_url: Option<String>,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// How long an access token is valid.
    pub access_token_seconds: i64,
    /// How many access tokens are remembered as verified; 0 verifies them every time.
    pub access_token_cache: usize,
    /// How long an unused refresh token is valid.
    pub refresh_token_seconds: i64,
    /// How long the refresh token before the present one still works.
    pub refresh_grace_seconds: i64,
    /// How long a session lasts at most.
    pub session_max_seconds: i64,
    /// How stale a revocation may be; 0 reads the store every time.
    pub session_cache_seconds: i64,
    /// The server's own secret; derived from the private key if absent.
    pub token_secret: Option<Secret>,
    /// The OAuth client id for Google sign-in.
    pub google_client_id: Option<String>,
    /// Whose browsers may call.
    pub allowed_origins: AllowedOrigins,
    /// The limit on sensitive public routes.
    pub rate_limit: RateLimit,
    /// How new passwords are hashed.
    pub password_hash: HashParams,
    /// Whether leaked passwords are asked for at api.pwnedpasswords.com.
    pub hibp: bool,
    /// The largest multipart upload.
    pub max_upload_bytes: u64,
    /// How much the files of one user may be.
    pub user_quota: UserQuota,
    /// ISO 3166 codes, upper case, of the countries that SMS may go to; empty: all.
    pub sms_countries: Vec<String>,
    /// The most SMS sent in one day.
    pub sms_daily_limit: u32,
}

/// What a deployment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Trying out: works without any configuration.
    Development,
    /// Serving people: refuses what is only good for trying out.
    Production,
}

impl Environment {
    /// Reads `APP_ENV`.
    pub fn read(vars: &Vars<'_>) -> Self {
        let choices = [("development", Self::Development), ("production", Self::Production)];
        vars.choice(&v::APP_ENV, &choices).unwrap_or(Self::Development)
    }
}

/// Where items are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageBackend {
    /// SQLite and a folder.
    Embedded,
    /// DynamoDB and S3.
    Aws,
}

impl StorageBackend {
    /// Reads `STORAGE_BACKEND`, or infers it from the AWS variables.
    pub fn read(vars: &Vars<'_>) -> Self {
        let inferred = if vars.is_set(&v::AWS_ENDPOINT_URL) || vars.is_set(&v::AWS_ACCESS_KEY_ID) {
            Self::Aws
        } else {
            Self::Embedded
        };
        let choices = [("embedded", Self::Embedded), ("aws", Self::Aws)];
        vars.choice(&v::STORAGE_BACKEND, &choices).unwrap_or(inferred)
    }
}

/// Whose browsers may call (CORS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Anyone's.
    Any,
    /// Those of these origins, in the form in which browsers send them.
    List(Vec<String>),
}

/// How much the files of one user may be, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserQuota {
    /// Their bytes.
    pub bytes: u64,
    /// Their number.
    pub files: u64,
}

/// A token bucket per client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Permits that come back in a second.
    pub per_second: u32,
    /// Permits that can be saved up.
    pub burst: u32,
}

impl Settings {
    /// Reads the settings; problems stay in `vars`.
    pub fn read(vars: &Vars<'_>) -> Self {
        let environment = Environment::read(vars);
        let storage = StorageBackend::read(vars);
        Self {
            environment,
            storage,
            public_url: read_public_url(vars),
            issuer: vars.text(&v::JWT_ISSUER),
            audience: vars.text(&v::JWT_AUDIENCE),
            access_token_seconds: read_access_token_seconds(vars),
            access_token_cache: vars.number(&v::ACCESS_TOKEN_CACHE, 0, 1_000_000),
            refresh_token_seconds: vars.number(&v::REFRESH_TOKEN_EXPIRY_DAYS, 1, 3650) * DAY,
            refresh_grace_seconds: vars.number(&v::REFRESH_GRACE_SECONDS, 0, 3600),
            session_max_seconds: vars.number(&v::SESSION_MAX_DAYS, 1, 3650) * DAY,
            session_cache_seconds: read_session_cache_seconds(vars, storage),
            token_secret: read_strong_secret(vars, &v::TOKEN_SECRET),
            google_client_id: vars.optional(&v::GOOGLE_CLIENT_ID),
            allowed_origins: read_allowed_origins(vars),
            rate_limit: RateLimit {
                per_second: vars.number(&v::RATE_LIMIT_PER_SECOND, 1, 1_000_000),
                burst: vars.number(&v::RATE_LIMIT_BURST, 1, 1_000_000),
            },
            password_hash: read_password_hash(vars, environment),
            hibp: vars.switch(&v::HIBP),
            max_upload_bytes: vars.number(&v::MAX_UPLOAD_BYTES, 1, 1 << 40),
            user_quota: UserQuota {
                bytes: vars.number(&v::USER_QUOTA_BYTES, 0, 1 << 50),
                files: vars.number(&v::USER_QUOTA_FILES, 0, 1 << 40),
            },
            sms_countries: read_sms_countries(vars),
            sms_daily_limit: vars.number(&v::SMS_DAILY_LIMIT, 0, 1_000_000_000),
        }
    }
}

fn read_public_url(vars: &Vars<'_>) -> Option<String> {
    vars.parse(&v::PUBLIC_URL, "an address such as https://api.example.com", |text| {
        let uri: http::Uri = text.trim_end_matches('/').parse().ok()?;
        let known = matches!(uri.scheme_str(), Some("https" | "http"));
        let clean = uri.query().is_none() && !uri.authority()?.as_str().contains('@');
        (known && clean).then(|| text.trim_end_matches('/').to_owned())
    })
}

fn read_access_token_seconds(vars: &Vars<'_>) -> i64 {
    let days = vars.number(&v::JWT_EXPIRY_DAYS, 1, 365) * DAY;
    vars.parse(&v::JWT_EXPIRY, "a duration from 1s to 365d, such as 30m or 1h", parse_duration)
        .unwrap_or(days)
}

/// Reads `90s`, `30m`, `1h` or `7d` into seconds.
fn parse_duration(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        _ => return None,
    };
    let seconds = count.parse::<u32>().ok().map(i64::from)?.checked_mul(unit)?;
    (1..=365 * DAY).contains(&seconds).then_some(seconds)
}

fn read_session_cache_seconds(vars: &Vars<'_>, storage: StorageBackend) -> i64 {
    if vars.is_set(&v::SESSION_CACHE_SECONDS) {
        return vars.number(&v::SESSION_CACHE_SECONDS, 0, 300);
    }
    match storage {
        StorageBackend::Embedded => 0,
        StorageBackend::Aws => 5,
    }
}

/// Reads a secret that nobody may guess, if there is one.
pub fn read_strong_secret(vars: &Vars<'_>, variable: &Variable) -> Option<Secret> {
    let secret = vars.secret(variable)?;
    if secret.expose().len() < 32 {
        vars.problem(variable, "expected 32 bytes or more; `openssl rand -base64 48` makes a good one");
    }
    Some(secret)
}

fn read_allowed_origins(vars: &Vars<'_>) -> AllowedOrigins {
    let text = vars.text(&v::ALLOWED_ORIGINS);
    if text == "none" {
        return AllowedOrigins::List(Vec::new());
    }
    if text != "*" {
        let expected = "an origin such as https://app.example.com (scheme, host and port, nothing more)";
        return AllowedOrigins::List(vars.list(&v::ALLOWED_ORIGINS, expected, parse_origin));
    }
    // Harmless even in production: no answer ever allows credentials, and tokens are no cookies.
    AllowedOrigins::Any
}

/// Reads an origin in the form in which browsers send it (RFC 6454, section 6.2).
fn parse_origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let authority: http::uri::Authority = authority.parse().ok()?;
    let plain = !authority.host().is_empty() && !authority.as_str().contains(['@', '*']);
    let port_fits = authority.as_str() == authority.host() || authority.port_u16().is_some();
    (scheme_fits && plain && port_fits).then(|| {
        let implied = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return text.clone(),
        };
        text.strip_suffix(implied).unwrap_or(&text).to_owned()
    })
}

fn read_password_hash(vars: &Vars<'_>, environment: Environment) -> HashParams {
    let expected = "`argon2id`, or with parameters that Argon2 accepts, `argon2id,m=19456,t=2,p=1`";
    let params = vars.parse(&v::PASSWORD_HASH, expected, parse_hash_params).unwrap_or_default();
    if environment == Environment::Production && !is_strong(params) {
        vars.problem(
            &v::PASSWORD_HASH,
            "too weak for production: at least m=19456,t=2 or m=12288,t=3 or m=9216,t=4 or m=7168,t=5",
        );
    }
    params
}

fn parse_hash_params(text: &str) -> Option<HashParams> {
    let mut parts = text.split(',').map(str::trim);
    if parts.next() != Some("argon2id") {
        return None;
    }
    let mut params = HashParams::default();
    for part in parts {
        match part.split_once('=')? {
            ("m", number) => params.memory_kib = number.parse().ok()?,
            ("t", number) => params.passes = number.parse().ok()?,
            ("p", number) => params.lanes = number.parse().ok()?,
            _ => return None,
        }
    }
    let bounded = params.memory_kib <= 4 * 1024 * 1024 && params.passes <= 1000;
    (bounded && params.are_valid()).then_some(params)
}

/// Whether parameters reach one of OWASP's minimums (Password Storage Cheat Sheet, Argon2id).
fn is_strong(params: HashParams) -> bool {
    [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)]
        .iter()
        .any(|(memory_kib, passes)| params.memory_kib >= *memory_kib && params.passes >= *passes)
}

fn read_sms_countries(vars: &Vars<'_>) -> Vec<String> {
    vars.list(&v::SMS_COUNTRIES, "a country's ISO 3166 code of two letters, such as DE", |text| {
        let code = text.to_ascii_uppercase();
        (code.len() == 2 && phonelib::country_by_code(&code).is_some()).then_some(code)
    })
}

#[cfg(test)]
mod tests;
