//! Adds to tables what they lack: indexes, TTL, and tables themselves.

use std::iter;

use super::{
    Migration,
    report::{Report, Step},
};
use crate::{
    dynamo::{
        client::{IndexDescription, TableDescription, TimeToLiveDescription},
        mismatch::{self, Mismatch, Remedy},
        request::{IndexUpdate, Request},
        tables::{describe, describe_expiry},
    },
    ports::store::{StoreError, StoreErrorKind},
    schema::Table,
};

/// How long to wait, in milliseconds, before asking anew whether a table is ready.
const PAUSE_MS: u64 = 5_000;

/// How often a table is looked at for a change that DynamoDB accepted: it may answer from before.
const LOOKS: usize = 24;

impl Migration<'_> {
    /// Adds what a table lacks, one thing at a time as DynamoDB wants it, and waits until each is there.
    pub(super) async fn mend(&self, table: &'static Table, report: &mut Report) -> Result<(), StoreError> {
        if self.is_dry() {
            let (additions, others) = self.compare(table).await?.into_iter().partition(is_addition);
            report.added.extend::<Vec<_>>(additions);
            report.remaining.extend::<Vec<_>>(others);
            return Ok(());
        }
        let mut done: Vec<Mismatch> = Vec::new();
        loop {
            self.wait_until_idle(table).await?;
            let mismatches = self.compare(table).await?;
            let Some(next) = mismatches.iter().find(|mismatch| is_addition(mismatch)) else {
                report.added.extend(done);
                report.remaining.extend(mismatches);
                return Ok(());
            };
            self.add(table, next).await?;
            done.push(next.clone());
        }
    }

    async fn compare(&self, table: &'static Table) -> Result<Vec<Mismatch>, StoreError> {
        let name = self.names.of(table);
        let Some(found) = describe(self.sender, name).await? else {
            let no_expiry = mismatch::compare_expiry(table, name, &TimeToLiveDescription::default());
            return Ok(iter::once(Mismatch::missing(table, name)).chain(no_expiry).collect());
        };
        let expiry = describe_expiry(self.sender, name).await?;
        Ok(mismatch::compare(table, name, &found, &expiry))
    }

    async fn add(&self, table: &'static Table, missing: &Mismatch) -> Result<(), StoreError> {
        let Remedy::Request(request) = &missing.remedy else { return Ok(()) };
        self.progress.step(&Step::Changing { table: &missing.table, what: &missing.what });
        let refused = self.send(request).await.err();
        for _ in 0..LOOKS {
            self.wait_until_idle(table).await?;
            if !self.compare(table).await?.contains(missing) {
                return Ok(());
            }
            // A refusal is none if somebody else was faster, or an attempt of ours whose answer was lost.
            if let Some(refusal) = refused {
                return Err(refusal.into());
            }
            self.sender.clock.sleep(PAUSE_MS).await;
        }
        Err(StoreError::new(
            StoreErrorKind::Unavailable,
            format!(
                "table {}: {}, although DynamoDB accepted to add it; run again later",
                missing.table, missing.what
            ),
        ))
    }

    /// Waits while a table or an index of it is being made. That an index is filled may take hours.
    async fn wait_until_idle(&self, table: &'static Table) -> Result<(), StoreError> {
        let name = self.names.of(table);
        while let Some(found) = describe(self.sender, name).await?.filter(is_busy) {
            let index = found.global_secondary_indexes.iter().find(|index| is_index_busy(index));
            let index = index.map(|index| index.index_name.as_str());
            self.progress.step(&Step::Waiting { table: name, index });
            self.sender.clock.sleep(PAUSE_MS).await;
        }
        Ok(())
    }
}

/// Whether a mismatch is mended by adding something. What must be removed first an operator has to remove.
fn is_addition(mismatch: &Mismatch) -> bool {
    let Remedy::Request(request) = &mismatch.remedy else { return false };
    match &**request {
        Request::CreateTable(_) => true,
        Request::UpdateTable(update) => {
            let mut changes = update.global_secondary_index_updates.iter();
            changes.all(|change| matches!(change, IndexUpdate::Create(_)))
        }
        Request::UpdateTimeToLive(update) => update.time_to_live_specification.enabled,
        _ => false,
    }
}

fn is_busy(found: &TableDescription) -> bool {
    matches!(found.table_status.as_str(), "CREATING" | "UPDATING")
        || found.global_secondary_indexes.iter().any(is_index_busy)
}

fn is_index_busy(index: &IndexDescription) -> bool {
    matches!(index.index_status.as_str(), "CREATING" | "UPDATING" | "DELETING")
}
