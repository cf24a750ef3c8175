//! `portico doctor`: everything that can be checked before serving, a line each.
//!
//! Where items and files are decides between [`embedded`] and `aws`; the rest is here.

#[cfg(feature = "aws")]
mod aws;
mod embedded;
mod files;

use std::path::Path;
use std::time::{Duration, SystemTime};

use portico_core::config::{Environment, Settings};
use portico_core::ports::clock::Clock;
use portico_core::time::Timestamp;

use super::{Failure, say, small_runtime};
use crate::clock::SystemClock;
use crate::env::{AwsSettings, Config, Host, MailChoice, SmsChoice, Storage};
use crate::files::create_private_dir;
use crate::host::OUTBOX;
use crate::keys::KeySource;
use crate::mail::smtp::SmtpMailer;

/// No clock is right that shows an earlier time: this program is younger.
const NOT_BEFORE: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// What a check came to, with what to do about it.
enum Finding {
    Fine(String),
    Warning(String),
    Wrong(String),
}

use Finding::{Fine, Warning, Wrong};

/// Checks everything; fails if anything is wrong.
pub(super) fn run() -> Result<(), Failure> {
    let mut report = Report { wrong: 0 };
    match Config::load() {
        Ok(Config { settings, host }) => check(&mut report, &settings, host)?,
        Err(error) => {
            for problem in error.problems {
                report.add("configuration", Wrong(format!("{}: {}", problem.variable, problem.message)));
            }
        }
    }
    report.finish()
}

fn check(report: &mut Report, settings: &Settings, host: Host) -> Result<(), Failure> {
    let runtime = small_runtime()?;
    report.add("configuration", check_configuration(settings));
    report.add("keys", check_keys(&host.keys));
    match &host.storage {
        Storage::Embedded => embedded::check(report, &host.data_dir),
        Storage::Aws(storage) => {
            if keeps_files(&host) {
                report.add("data", check_data_dir(&host.data_dir));
            }
            #[cfg(feature = "aws")]
            runtime.block_on(aws::check(report, &host.aws, storage));
            // `env` refuses it, so that this is never reached.
            #[cfg(not(feature = "aws"))]
            report.add("storage", Wrong(format!("{storage:?} is not in this build")));
        }
    }
    report.add("mail", runtime.block_on(check_mail(host.mail, &host.data_dir)));
    report.add("sms", runtime.block_on(check_sms(host.sms, &host.aws)));
    Ok(())
}

/// Whether anything is written to the data directory though items and files are elsewhere.
fn keeps_files(host: &Host) -> bool {
    matches!(host.mail, MailChoice::Outbox(_))
        || host.sms == SmsChoice::Outbox
        || matches!(host.keys, KeySource::Generate(..))
}

fn check_configuration(settings: &Settings) -> Finding {
    match settings.environment {
        Environment::Production => Fine("production".to_owned()),
        Environment::Development => Fine("development; set APP_ENV=production to serve people".to_owned()),
    }
}

fn check_keys(keys: &KeySource) -> Finding {
    match keys {
        KeySource::Files(keys) => {
            let (public, previous) = (keys.private.public(), keys.previous.len());
            let bits = public.modulus.len() * 8;
            Fine(format!("RSA {bits} bits, kid {}, and {previous} previous", public.kid))
        }
        KeySource::Generate(path, _) => Fine(format!("generated at first start: {}", path.display())),
        KeySource::Missing => Wrong("none: make them with `portico keys generate`".to_owned()),
    }
}

fn check_data_dir(path: &Path) -> Finding {
    let shown = path.display();
    if let Err(error) = create_private_dir(path).and_then(|()| tempfile::tempfile_in(path)) {
        return Wrong(format!("{shown} cannot be written: {error}; change its owner, or set DATA_DIR"));
    }
    if is_open_to_others(path) {
        return Warning(format!("{shown} can be read by other users: chmod 700 {shown}"));
    }
    Fine(format!("{shown} can be written"))
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

async fn check_mail(choice: MailChoice, data_dir: &Path) -> Finding {
    match choice {
        MailChoice::Outbox(_) => {
            Fine(format!("written to {}; none is sent", data_dir.join(OUTBOX).display()))
        }
        MailChoice::Smtp(smtp) => {
            let server = format!("{}:{}", smtp.host, smtp.port);
            let tested = match SmtpMailer::new(smtp) {
                Ok(mailer) => mailer.test().await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match tested {
                Ok(()) => Fine(format!("{server} answers")),
                Err(reason) => Wrong(format!("{server}: {reason}; check SMTP_HOST, SMTP_PORT and SMTP_TLS")),
            }
        }
    }
}

async fn check_sms(choice: SmsChoice, settings: &AwsSettings) -> Finding {
    match choice {
        SmsChoice::Outbox => Fine("written beside the mail; none is sent".to_owned()),
        SmsChoice::None => Fine("none: phone numbers cannot be confirmed".to_owned()),
        #[cfg(feature = "aws")]
        SmsChoice::Sns => aws::check_sms(settings).await,
        #[cfg(not(feature = "aws"))]
        SmsChoice::Sns => Wrong(format!("SNS in {} is not in this build", settings.sns_region)),
    }
}

/// Compares the clock with a time that has been, by whatever knows it.
fn check_clock(been: Option<SystemTime>, whose: &str) -> Finding {
    let now = SystemClock.now();
    let behind = been.and_then(|been| been.duration_since(SystemTime::now()).ok());
    if now < NOT_BEFORE {
        return Wrong(format!("{now} cannot be right: set the system's time (NTP)"));
    }
    match behind {
        Some(behind) if behind > Duration::from_secs(60) => {
            Wrong(format!("{now} is {} s behind {whose}: set the system's time (NTP)", behind.as_secs()))
        }
        _ => Fine(now.to_string()),
    }
}

struct Report {
    wrong: usize,
}

impl Report {
    fn add(&mut self, what: &str, finding: Finding) {
        self.wrong += usize::from(matches!(finding, Wrong(_)));
        say(format_args!("{:<8} {what:<14} {}", finding.word(), finding.text()));
    }

    fn finish(self) -> Result<(), Failure> {
        match self.wrong {
            0 => Ok(()),
            1 => Err(Failure("1 problem found".to_owned())),
            wrong => Err(Failure(format!("{wrong} problems found"))),
        }
    }
}

impl Finding {
    fn word(&self) -> &'static str {
        match self {
            Fine(_) => "ok",
            Warning(_) => "warning",
            Wrong(_) => "PROBLEM",
        }
    }

    fn text(&self) -> &str {
        let (Fine(text) | Warning(text) | Wrong(text)) = self;
        text
    }
}
