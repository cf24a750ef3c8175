//! Settings of `portico relay`: a few of the server's, and its own address and token.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use portico_core::auth::keys::subkey;
use portico_core::config::{ConfigError, Vars, read_strong_secret, variables as v};
use portico_core::secret::{Secret, SecretKey};
use tokio_rustls::rustls::ServerConfig;
use tracing::level_filters::LevelFilter;

use super::{LogFormat, read_log_format, read_log_level, read_metrics, read_smtp, read_tls, variables};
use crate::mail::smtp::SmtpSettings;

/// A configuration of a mail relay without problems.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Where it listens; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Certificate and key, if it speaks TLS itself.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// The folder below which messages wait.
    pub data_dir: PathBuf,
    /// What clients must know.
    pub token: Secret,
    /// Seals messages that wait.
    pub key: SecretKey,
    /// Where mail is handed over, and from whom.
    pub smtp: SmtpSettings,
    /// The form of the log.
    pub log_format: Option<LogFormat>,
    /// How much is logged.
    pub log_level: LevelFilter,
}

impl RelayConfig {
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
        let token = read_token(&vars);
        let sealing = read_strong_secret(&vars, &v::TOKEN_SECRET);
        let config = Self {
            address: read_address(&vars),
            tls: read_tls(&vars),
            metrics: read_metrics(&vars),
            data_dir: PathBuf::from(vars.text(&v::DATA_DIR)),
            key: subkey(sealing.as_ref().unwrap_or(&token).expose().as_bytes(), "relay"),
            token,
            smtp: read_smtp(&vars),
            log_format: read_log_format(&vars),
            log_level: read_log_level(&vars),
        };
        vars.finish(config)
    }
}

#[expect(clippy::expect_used, reason = "after a problem the default is read, and a test reads it too")]
fn read_address(vars: &Vars<'_>) -> SocketAddr {
    let expected = "an address and a port, such as 127.0.0.1:8025 or [::1]:8025";
    vars.parse(&v::RELAY_ADDR, expected, |text| text.parse().ok()).expect("the default is an address")
}

/// Anybody who knows the token sends mail in the operator's name: none, or a weak one, stops the start.
fn read_token(vars: &Vars<'_>) -> Secret {
    let Some(token) = read_strong_secret(vars, &v::MAIL_RELAY_TOKEN) else {
        vars.problem(&v::MAIL_RELAY_TOKEN, "needed: `openssl rand -base64 48` makes a good one");
        return Secret::new("");
    };
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        vars.problem(
            &v::MAIL_RELAY_TOKEN,
            "expected only visible ASCII characters, as it goes into a header",
        );
    }
    token
}
