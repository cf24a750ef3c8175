//! The command line.

mod admin;
mod backup;
mod doctor;
mod keys;
mod migrate;
mod relay;
mod serve;
mod serving;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portico_core::config::VARIABLES;

use crate::backup::Wish;

/// The user backend of an app: accounts, sign-in, sessions, verification codes, notifications.
///
/// Without a command it serves. It is configured by environment variables, which a file `.env` in the working
/// folder may set; without any it serves on http://127.0.0.1:3000 and keeps everything in ./data.
#[derive(Debug, Parser)]
#[command(name = "portico", version, after_help = "`portico --help` also lists every variable.")]
#[command(after_long_help = variables(), arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (what happens without a command too); SIGTERM or Ctrl-C stops it gracefully
    Serve,
    /// Manage administrators
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Manage the keys that sign access tokens
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Bring the DynamoDB tables of an older system up to date, while it or Portico serves
    ///
    /// Adds indexes, expiry, and what rows lack; removes nothing. It can be stopped and run again at any time. Fails if
    /// something is left that only an operator can mend: names that two users have, say.
    Migrate {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Take mail by HTTP and hand it on by SMTP, for a server that has no SMTP, as at the network's edge
    ///
    /// Messages are posted to /messages with MAIL_RELAY_TOKEN as bearer token, and wait in DATA_DIR/relay until the mail
    /// server has them. Configured by RELAY_ADDR, MAIL_RELAY_TOKEN, TOKEN_SECRET, SMTP_*, TLS_*, DATA_DIR, METRICS_ADDR and
    /// LOG_*.
    Relay,
    /// Check configuration, keys, storage, mail, SMS and clock, and say what to do
    Doctor,
    /// Copy the embedded store's database and files into a folder, consistently, even while Portico serves
    ///
    /// The folder has its name only once all of it is verified and on the disk. What is not in it: keys and `.env`.
    Backup {
        /// The folder to make; it must not exist
        to: PathBuf,
    },
    /// Put a backup in place of the embedded store's database and files; Portico must be stopped
    Restore {
        /// What `portico backup` wrote: a folder, or a file of the database alone
        from: PathBuf,
        /// Replace a database and files that are there; they are set aside
        #[arg(long)]
        force: bool,
        /// Restore the rest of a backup in which files are missing or damaged
        #[arg(long)]
        incomplete: bool,
    },
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Create an administrator; with the embedded store, Portico must be stopped
    ///
    /// The password is asked for twice on a terminal, else read from the first line of standard input.
    Create {
        /// How the administrator signs in
        #[arg(long, value_name = "NAME")]
        username: String,
        /// The administrator's e-mail address, taken as confirmed
        #[arg(long, value_name = "ADDRESS")]
        email: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make an RSA key pair: private_key.pem and public_key.pem
    Generate {
        /// The folder to write them to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// The size of the key
        #[arg(long, default_value = "2048", value_parser = ["2048", "3072", "4096"])]
        bits: String,
    },
}

/// Why a command did not do what it was asked, in words for whoever asked.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Does what the arguments ask.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(),
        Command::Admin(AdminCommand::Create { username, email }) => admin::create(&username, &email),
        Command::Keys(KeysCommand::Generate { out, bits }) => keys::generate(&out, &bits),
        Command::Migrate { dry_run } => migrate::run(dry_run),
        Command::Relay => relay::run(),
        Command::Doctor => doctor::run(),
        Command::Backup { to } => backup::backup(&to),
        Command::Restore { from, force, incomplete } => backup::restore(&from, Wish { force, incomplete }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            if !message.is_empty() {
                complain(message);
            }
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard output. That nobody reads it is no failure of the command.
fn say(line: impl fmt::Display) {
    let _written = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error; without one there is nowhere left to complain.
fn complain(line: impl fmt::Display) {
    let _written = writeln!(io::stderr(), "portico: {line}");
}

/// The variables, for `--help`.
fn variables() -> String {
    let mut text = "Variables:\n".to_owned();
    for variable in VARIABLES {
        let default = match variable.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        text.push_str(&format!("  {}{default}\n      {}\n", variable.name, variable.about));
    }
    text
}

/// A runtime for commands that need little of one.
fn small_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
