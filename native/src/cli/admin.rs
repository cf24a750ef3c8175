//! `portico admin create`.

use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use portico_core::secret::Secret;

use super::{Failure, say, small_runtime};
use crate::env::Config;
use crate::host::{self, StartError};
use crate::store::sqlite::DatabaseError;

/// Creates an administrator in the store; no other process may have an embedded one open.
pub(super) fn create(username: &str, email: &str) -> Result<(), Failure> {
    let Config { settings, mut host } = Config::load()?;
    // This one is asked for; that one is not.
    host.first_admin = None;
    let password = read_password()?;
    small_runtime()?.block_on(async {
        let running = host::start(settings, host).await.map_err(explain)?;
        let created = running.app.create_admin(username, email, password).await;
        running.background.finish(Duration::from_secs(10)).await;
        let closed = running.close().await;
        let user = created?;
        closed?;
        say(format_args!("administrator {} created; sign in with that name or {email}", user.username()));
        Ok(())
    })
}

fn explain(error: StartError) -> Failure {
    match error {
        StartError::Database(in_use @ DatabaseError::InUse { .. }) => Failure(format!(
            "{in_use}.\nAn administrator is created while Portico is stopped: stop it, run this again, start it."
        )),
        other => other.into(),
    }
}

fn read_password() -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return read_line();
    }
    let password = Secret::new(rpassword::prompt_password("Password: ")?);
    let again = Secret::new(rpassword::prompt_password("Again: ")?);
    if password == again { Ok(password) } else { Err(Failure("the two passwords differ".to_owned())) }
}

fn read_line() -> Result<Secret, Failure> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(Failure("no password: give it on the first line of standard input".to_owned()));
    }
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(Secret::new(line))
}
