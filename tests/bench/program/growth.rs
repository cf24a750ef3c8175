//! How the native host grows with what it keeps: the same questions with more and more users stored.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use portico_bench::connection::Connection;
use portico_bench::scenario::Scenario;
use portico_bench::scenarios::{Read, Refresh};
use serde::Serialize;

use crate::cores::{Cores, on};
use crate::portico::{Person, exchange, make_key, person, serve, sign_in};
use crate::process::Process;
use crate::rounds::{CONNECTIONS, Contender, Rounds};
use crate::statistics::median;
use crate::table::{Figure, Row, Target, Unit};

/// How often a start is timed.
const STARTS: usize = 7;

/// The most users that are stored.
pub(crate) const MOST: u64 = 1_000_000;

/// What was measured with so many users stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// The users.
    pub(crate) users: u64,
    /// Start to first answer.
    pub(crate) start_ms: f64,
    /// Authenticated reads.
    pub(crate) read_p50_ms: f64,
    pub(crate) read_p99_ms: f64,
    /// Refreshes.
    pub(crate) refresh_p50_ms: f64,
    pub(crate) refresh_p99_ms: f64,
    /// Resident memory after all that.
    pub(crate) resident_mib: f64,
    /// The database.
    pub(crate) file_mib: f64,
}

/// Seeds a data directory for each size below `seeds` that has none, and measures on it.
///
/// # Errors
/// In words for whoever runs this.
pub(crate) async fn measure(
    binary: &Path,
    seeds: &Path,
    sizes: &[u64],
    cores: &Cores,
    rounds: &Rounds,
) -> Result<Vec<Point>, String> {
    let mut points = Vec::new();
    for users in sizes {
        eprintln!("growth: {users} users");
        let folder = seeds.join(users.to_string());
        on(&cores.all(), || seed(&folder.join("data"), *users))?;
        if !folder.join("private_key.pem").exists() {
            make_key(binary, &folder)?;
        }
        points.push(point(binary, &folder, *users, cores, rounds).await?);
    }
    Ok(points)
}

/// The row of the table that speaks of starting.
pub(crate) fn row(points: &Result<Vec<Point>, String>) -> Row {
    let last = points.as_ref().map_err(Clone::clone).and_then(|points| {
        points.last().filter(|point| point.users == MOST).ok_or_else(|| "left out by --quick".to_owned())
    });
    Row {
        what: "native: start to first answer, 1,000,000 users stored",
        measured: last
            .map(|point| Figure::new(point.start_ms, format!("database of {:.0} MiB", point.file_mib))),
        unit: Unit::Milliseconds,
        target: Some(Target::AtMost(100.0)),
    }
}

async fn point(
    binary: &Path,
    folder: &Path,
    users: u64,
    cores: &Cores,
    rounds: &Rounds,
) -> Result<Point, String> {
    // Before the log of what is written now is beside it.
    let file_mib = size(&folder.join("data"))? / 1024.0 / 1024.0;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let process = serve(binary, folder, &cores.servers, &[])?;
        starts.push(process.started_in.as_secs_f64() * 1e3);
    }
    let process = serve(binary, folder, &cores.servers, &[])?;
    let people = sign_in_some(&process, users).await?;
    let reads = people.iter().map(|person| Read { access_token: person.access_token.clone() });
    let [read_p50_ms, read_p99_ms] = latencies(&process, reads, rounds).await?;
    let refreshes = people.iter().map(|person| Refresh { refresh_token: person.refresh_token.clone() });
    let [refresh_p50_ms, refresh_p99_ms] = latencies(&process, refreshes, rounds).await?;
    Ok(Point {
        users,
        start_ms: median(starts).ok_or("it was never started")?,
        read_p50_ms,
        read_p99_ms,
        refresh_p50_ms,
        refresh_p99_ms,
        resident_mib: process.resident()? as f64 / 1024.0 / 1024.0,
        file_mib,
    })
}

/// Users from all over the table.
async fn sign_in_some(process: &Process, users: u64) -> Result<Vec<Person>, String> {
    let mut connection = Connection::new(process.address, Duration::from_secs(60));
    let mut people = Vec::new();
    for index in 0..CONNECTIONS {
        let username = format!("user-{}", users / CONNECTIONS as u64 * index as u64);
        let call = sign_in(username.clone(), index).next();
        people.push(person(username, &exchange(&mut connection, call).await?)?);
    }
    Ok(people)
}

async fn latencies<S: Scenario>(
    process: &Process,
    scenarios: impl Iterator<Item = S>,
    rounds: &Rounds,
) -> Result<[f64; 2], String> {
    let mut contender = Contender::new(process, 1, scenarios);
    for _ in 0..rounds.count {
        contender.take_turn(rounds, Duration::ZERO).await?;
    }
    let rates = contender.rates()?;
    Ok([rates.p50, rates.p99].map(|latency| latency.as_secs_f64() * 1e3))
}

/// Runs the example of the server's package that writes users straight to its store.
fn seed(data: &Path, users: u64) -> Result<(), String> {
    let mut cargo = cargo();
    cargo
        .args(["run", "--quiet", "--locked", "--release", "--package", "portico", "--no-default-features"])
        .args(["--example", "seed", "--"])
        .arg(data)
        .arg(users.to_string());
    run(cargo, "the example `seed`")
}

/// Cargo, in the working copy that this was built in.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root()).stdout(Stdio::null());
    command
}

/// Runs a command to its end.
///
/// # Errors
/// When it fails.
pub(crate) fn run(mut command: Command, what: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} ends with {status}: it says why above")),
        Err(error) => Err(format!("{what} does not start: {error}")),
    }
}

/// The size of the files of a folder, those in folders below it left out.
fn size(folder: &Path) -> Result<f64, String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let file: PathBuf = entry.map_err(told)?.path();
        let known = std::fs::metadata(file).map_err(told)?;
        bytes += if known.is_file() { known.len() } else { 0 };
    }
    Ok(bytes as f64)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn point(users: u64) -> Point {
        Point {
            users,
            start_ms: 40.0,
            read_p50_ms: 0.5,
            read_p99_ms: 1.0,
            refresh_p50_ms: 8.0,
            refresh_p99_ms: 16.0,
            resident_mib: 20.0,
            file_mib: users as f64 / 500.0,
        }
    }

    #[test]
    fn only_the_most_users_are_what_is_aimed_at() {
        let told = |points| row(&points).measured.map(|figure| figure.value);
        assert_eq!(told(Ok(vec![point(10_000), point(MOST)])), Ok(40.0));
        assert_eq!(told(Ok(vec![point(10_000)])), Err("left out by --quick".to_owned()));
        assert_eq!(told(Err("why".to_owned())), Err("why".to_owned()));
    }

    #[test]
    fn a_folder_is_as_large_as_its_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("one"), [0; 10]).expect("a file");
        std::fs::create_dir(folder.path().join("below")).expect("a folder");
        assert_eq!(size(folder.path()), Ok(10.0));
        assert!(size(&folder.path().join("absent")).is_err());
    }
}
