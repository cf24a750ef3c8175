//! Brings the tables of an older system to what the schema and the rules of accounts want, while they are in use.
//!
//! - [`tables`]: indexes and TTL that are missing are added, one at a time
//! - [`rows`]: every row is read, and written if it lacks something
//! - [`users`]: names are claimed, accounts listed · [`notifications`]: unread ones are listed
//! - [`report`]: what was found and done, and how far it is
//!
//! Nothing is removed, and a row is written only if it still is as it was read: no change of either system is lost. How
//! far a migration is stands nowhere but in the rows: it can be stopped at any moment and run again, and another run
//! finds what the older system wrote meanwhile, which a record of progress would pass over.

#[cfg(test)]
mod fake;
mod notifications;
mod report;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod users;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{
    client::Answer,
    failure::Meaning,
    names::TableNames,
    request::Request,
    retry::{Refusal, Sender},
};
use crate::{
    ports::store::{StoreError, StoreErrorKind},
    schema::{NOTIFICATIONS, TABLES, USERS},
};

pub use report::{Duplicate, Progress, Report, Silent, Step, Tally, Unfinished, Unusable};

/// How long to wait, in milliseconds, each time that DynamoDB asks for patience beyond what [`Sender`] has.
const PATIENCE_MS: [u64; 6] = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000];

/// Says what [`run`] would do, and writes nothing.
///
/// # Errors
/// As [`run`].
pub async fn plan(
    sender: Sender<'_>,
    names: &TableNames,
    progress: &dyn Progress,
) -> Result<Report, StoreError> {
    Migration::new(sender, names, progress, Mode::DryRun).all().await
}

/// Migrates.
///
/// # Behavior
/// - Tables first. If one needs what only an operator can do, no row is touched.
/// - Waits for as long as DynamoDB takes to fill an index.
/// - Names that two accounts have are reported, and those accounts not touched but for the one that holds the name.
/// - Whatever ends it, it can be run again.
///
/// # Errors
/// As [`super::store::DynamoStore`]'s; `Throttled` when DynamoDB keeps asking for patience for some minutes.
pub async fn run(
    sender: Sender<'_>,
    names: &TableNames,
    progress: &dyn Progress,
) -> Result<Report, StoreError> {
    Migration::new(sender, names, progress, Mode::Apply).all().await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    DryRun,
    Apply,
}

/// A migration on its way.
#[derive(Debug)]
struct Migration<'ports> {
    sender: Sender<'ports>,
    names: &'ports TableNames,
    progress: &'ports dyn Progress,
    mode: Mode,
    /// The claims that a dry run would have made, by key, with their owners; only those that no index shows.
    promised: Mutex<BTreeMap<String, String>>,
}

impl<'ports> Migration<'ports> {
    fn new(
        sender: Sender<'ports>,
        names: &'ports TableNames,
        progress: &'ports dyn Progress,
        mode: Mode,
    ) -> Self {
        Self { sender, names, progress, mode, promised: Mutex::default() }
    }

    async fn all(&self) -> Result<Report, StoreError> {
        let mut report = Report::default();
        for table in TABLES {
            self.mend(table, &mut report).await?;
        }
        if report.remaining.is_empty() {
            for table in [&USERS, &NOTIFICATIONS] {
                self.pass(table, &mut report).await?;
            }
        }
        Ok(report)
    }

    fn is_dry(&self) -> bool {
        self.mode == Mode::DryRun
    }

    /// Promises a claim in a dry run; returns to whom it is promised already.
    fn promise(&self, claim: &str, user_id: &str) -> Option<String> {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = promised.entry(claim.to_owned()).or_insert_with(|| user_id.to_owned());
        (*owner != user_id).then(|| owner.clone())
    }

    /// Sends a request with more patience than a client's request has.
    async fn send(&self, request: &Request) -> Result<Answer, Refusal> {
        for pause in PATIENCE_MS {
            match self.sender.send(request).await {
                Err(refusal) if refusal.meaning == Meaning::Throttled => {
                    self.sender.clock.sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
        self.sender.send(request).await
    }
}

fn another_answer() -> StoreError {
    StoreError::new(StoreErrorKind::Unexpected, "the client answered another operation than was asked")
}
