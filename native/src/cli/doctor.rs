//! `portico doctor`: everything that can be checked before serving, a line each.

mod files;

use std::path::Path;
use std::time::{Duration, SystemTime};

use portico_core::config::{Environment, Settings};
use portico_core::ports::clock::Clock;
use portico_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::{Failure, say, small_runtime};
use crate::clock::SystemClock;
use crate::env::{Config, Host, MailChoice, SmsChoice};
use crate::files::create_private_dir;
use crate::host::OUTBOX;
use crate::keys::KeySource;
use crate::mail::smtp::SmtpMailer;
use crate::store::sqlite::{DATABASE, is_interrupted};

/// Below this the database soon cannot grow.
const LITTLE_SPACE_MIB: u64 = 512;

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
    report.add("configuration", check_configuration(settings));
    report.add("keys", check_keys(&host.keys));
    report.add("data", check_data_dir(&host.data_dir));
    report.add("space", check_space(&host.data_dir));
    report.add("database", check_database(&host.data_dir));
    report.add("files", files::check(&host.data_dir));
    report.add("mail", small_runtime()?.block_on(check_mail(host.mail, &host.data_dir)));
    report.add("sms", check_sms(host.sms));
    report.add("clock", check_clock(&host.data_dir));
    Ok(())
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

fn check_space(path: &Path) -> Finding {
    match fs4::available_space(path).map(|bytes| bytes / (1024 * 1024)) {
        Ok(0..16) => Wrong("the disk is full: make space".to_owned()),
        Ok(free @ ..LITTLE_SPACE_MIB) => Warning(format!("{free} MiB free: make space soon")),
        Ok(free) => Fine(format!("{free} MiB free")),
        Err(error) => Warning(format!("not known: {error}")),
    }
}

/// Reads the database as it is, in use or not; opening it as the server does might change it.
fn check_database(data_dir: &Path) -> Finding {
    let file = data_dir.join(DATABASE);
    if is_interrupted(data_dir) {
        return Wrong(format!("a restore into {} was interrupted; run it again", data_dir.display()));
    }
    let Ok(metadata) = file.metadata() else {
        return Fine(format!("created at first start: {}", file.display()));
    };
    match quick_check(&file) {
        Ok(found) if found == "ok" => {
            Fine(format!("{} is sound, {} KiB", file.display(), metadata.len() / 1024))
        }
        Ok(found) => Wrong(format!("{} is damaged ({found}): keep it, and restore a backup", file.display())),
        Err(error) => Wrong(format!("{} cannot be read: {error}", file.display())),
    }
}

fn quick_check(file: &Path) -> rusqlite::Result<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))
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

fn check_sms(choice: SmsChoice) -> Finding {
    match choice {
        SmsChoice::Outbox => Fine("written beside the mail; none is sent".to_owned()),
        SmsChoice::None => Fine("none: phone numbers cannot be confirmed".to_owned()),
        SmsChoice::Sns => Wrong("SNS is not in this build".to_owned()),
    }
}

/// A clock that went back is seen by files from the future.
fn check_clock(data_dir: &Path) -> Finding {
    let now = SystemClock.now();
    let ahead = newest_file(data_dir).and_then(|newest| newest.duration_since(SystemTime::now()).ok());
    if now < NOT_BEFORE {
        return Wrong(format!("{now} cannot be right: set the system's time (NTP)"));
    }
    match ahead {
        Some(ahead) if ahead > Duration::from_secs(60) => Wrong(format!(
            "{now} is {} s behind the newest file in the data directory: set the system's time (NTP)",
            ahead.as_secs()
        )),
        _ => Fine(now.to_string()),
    }
}

fn newest_file(folder: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(folder).ok()?;
    files.filter_map(|file| file.ok()?.metadata().ok()?.modified().ok()).max()
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
