//! Reads every row of a table, and writes those that lack something.

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Migration, another_answer, notifications,
    report::{Duplicate, Report, Step, Tally, Unfinished, Unusable},
    users,
};
use crate::{
    dynamo::{
        attribute::{AttributeValue, Attributes},
        client::Answer,
        failure::Meaning,
        item::VERSION,
        request::{ConditionExpression, GetItem, PutItem, Request, Scan, TransactItem, TransactWriteItems},
        tables::describe,
    },
    ports::store::{StoreError, Version},
    ports::store_index::new_versions,
    schema::{Table, USERS},
};

/// How many rows are read at once.
const PAGE: i32 = 200;

/// How many rows are looked at side by side: few, for those whom the tables serve come first.
const PARALLEL: usize = 8;

/// How often a row that others keep changing is looked at anew.
const TRIES: usize = 8;

/// At most so many attributes are compared before a row is written; DynamoDB bounds the length of a condition.
const MAX_COMPARED: usize = 100;

/// What a row needs.
#[derive(Debug)]
pub(super) enum Decision {
    /// Nothing, or nothing that can be done; and what is to be told of it.
    Leave(Vec<Finding>),
    /// To be stored so, along with other items that must not exist yet.
    Write { row: Attributes, new: Vec<Attributes>, findings: Vec<Finding> },
}

/// Something to report of a row.
#[derive(Debug)]
pub(super) enum Finding {
    Duplicate(Duplicate),
    Unusable(Unusable),
    Unfinished(Unfinished),
}

/// What came of a row.
#[derive(Debug, Default)]
struct Visit {
    migrated: bool,
    findings: Vec<Finding>,
}

impl Migration<'_> {
    /// Visits every row of a table. One that is missing, as it may be in a dry run, has none.
    pub(super) async fn pass(&self, table: &'static Table, report: &mut Report) -> Result<(), StoreError> {
        let name = self.names.of(table);
        let Some(found) = describe(self.sender, name).await? else { return Ok(()) };
        let mut tally = Tally { table: name.to_owned(), read: 0, migrated: 0 };
        let (mut after, mut items) = (None, 0);
        loop {
            self.progress.step(&Step::Read { table: name, items, about: found.item_count });
            let (mut rows, last) = self.page(name, after).await?;
            items += rows.len() as u64;
            rows.retain(|row| is_row(table, row));
            tally.read += rows.len() as u64;
            let visits = stream::iter(rows).map(|row| self.visit(table, row)).buffered(PARALLEL);
            for visit in visits.try_collect::<Vec<Visit>>().await? {
                tally.migrated += u64::from(visit.migrated);
                visit.findings.into_iter().for_each(|finding| record(report, finding));
            }
            after = last;
            if after.is_none() {
                self.progress.step(&Step::Read { table: name, items, about: Some(items) });
                report.tallies.push(tally);
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        name: &str,
        exclusive_start_key: Option<Attributes>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), StoreError> {
        let table_name = name.to_owned();
        let scan = Scan { table_name, consistent_read: false, limit: PAGE, exclusive_start_key };
        match self.send(&Request::Scan(scan)).await? {
            Answer::Page { items, last_evaluated_key } => Ok((items, last_evaluated_key)),
            _ => Err(another_answer()),
        }
    }

    async fn visit(&self, table: &'static Table, row: Attributes) -> Result<Visit, StoreError> {
        let key = key_of(table, &row);
        let mut present = Some(row);
        for _ in 0..TRIES {
            // It may be deleted by now.
            let Some(row) = present else { return Ok(Visit::default()) };
            let (row, new, findings) = match self.decide(table, &row).await? {
                Decision::Leave(findings) => return Ok(Visit { migrated: false, findings }),
                Decision::Write { row: written, new, findings } => ((row, written), new, findings),
            };
            if self.is_dry() || self.write(table, row, new).await? {
                return Ok(Visit { migrated: true, findings });
            }
            present = self.read(table, key.clone()).await?;
        }
        let why = "it is being changed all the time; run again later";
        Ok(Visit { migrated: false, findings: vec![self.unfinished(table, &key, why)] })
    }

    async fn decide(&self, table: &'static Table, row: &Attributes) -> Result<Decision, StoreError> {
        if table == &USERS { users::decide(self, row).await } else { Ok(notifications::decide(self, row)) }
    }

    pub(super) async fn read(
        &self,
        table: &'static Table,
        key: Attributes,
    ) -> Result<Option<Attributes>, StoreError> {
        let table_name = self.names.of(table).to_owned();
        match self.send(&Request::GetItem(GetItem { table_name, key, consistent_read: true })).await? {
            Answer::Item(found) => Ok(found),
            _ => Err(another_answer()),
        }
    }

    /// Stores a row if it still is as it was read, along with new items; says whether that was so.
    async fn write(
        &self,
        table: &'static Table,
        (read, written): (Attributes, Attributes),
        new: Vec<Attributes>,
    ) -> Result<bool, StoreError> {
        let versions = new_versions(self.sender.entropy, 1 + new.len())?;
        let conditions = std::iter::once(as_read(&read)).chain(new.iter().map(|_| absent(table)));
        let items = std::iter::once(written).chain(new.iter().cloned());
        let mut puts =
            items.zip(conditions).zip(versions).map(|((mut item, condition), Version(version))| {
                item.insert(VERSION.to_owned(), AttributeValue::number(version));
                PutItem { table_name: self.names.of(table).to_owned(), item, condition: Some(condition) }
            });
        let request = match (new.is_empty(), puts.next()) {
            (true, Some(put)) => Request::PutItem(put),
            (_, first) => Request::TransactWriteItems(TransactWriteItems {
                transact_items: first.into_iter().chain(puts).map(TransactItem::Put).collect(),
                client_request_token: self.sender.token()?,
            }),
        };
        match self.send(&request).await {
            Ok(_) => Ok(true),
            // Even if an earlier attempt was what did it, whose answer was lost: it is read again in any case.
            Err(refusal) if matches!(refusal.meaning, Meaning::Conflict { .. }) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    pub(super) fn unfinished(&self, table: &'static Table, row: &Attributes, why: &str) -> Finding {
        let key = match row.get(table.hash) {
            Some(AttributeValue::S(text)) => format!("{} {text}", table.hash),
            _ => format!("a row whose {} is no string", table.hash),
        };
        Finding::Unfinished(Unfinished { table: self.names.of(table).to_owned(), key, why: why.to_owned() })
    }
}

/// Whether an item is a row, and nothing that stands beside the rows, as claims do. Ids have no `#`.
fn is_row(table: &'static Table, item: &Attributes) -> bool {
    !matches!(item.get(table.hash), Some(AttributeValue::S(key)) if key.contains('#'))
}

fn record(report: &mut Report, finding: Finding) {
    match finding {
        Finding::Duplicate(duplicate) => report.duplicates.push(duplicate),
        Finding::Unusable(unusable) => report.unusable.push(unusable),
        Finding::Unfinished(unfinished) => report.unfinished.push(unfinished),
    }
}

fn key_of(table: &'static Table, row: &Attributes) -> Attributes {
    let parts = [Some(table.hash), table.range].into_iter().flatten();
    parts.filter_map(|name| Some((name.to_owned(), row.get(name)?.clone()))).collect()
}

/// That a row is as it was read. Its version does not tell: the older system has none, and changes rows without
/// changing it.
pub(super) fn as_read(row: &Attributes) -> ConditionExpression {
    let mut condition = ConditionExpression::default();
    let mut terms = Vec::new();
    // What compares to null is not the same everywhere.
    let comparable = row.iter().filter(|(_, value)| !matches!(value, AttributeValue::Null(_)));
    for (n, (name, value)) in comparable.take(MAX_COMPARED).enumerate() {
        terms.push(format!("#a{n} = :a{n}"));
        condition.expression_attribute_names.insert(format!("#a{n}"), name.clone());
        condition.expression_attribute_values.insert(format!(":a{n}"), value.clone());
    }
    if !row.contains_key(VERSION) {
        terms.push("attribute_not_exists(#version)".to_owned());
        condition.expression_attribute_names.insert("#version".to_owned(), VERSION.to_owned());
    }
    condition.condition_expression = terms.join(" AND ");
    condition
}

fn absent(table: &'static Table) -> ConditionExpression {
    ConditionExpression {
        condition_expression: "attribute_not_exists(#key)".to_owned(),
        expression_attribute_names: [("#key".to_owned(), table.hash.to_owned())].into(),
        ..ConditionExpression::default()
    }
}
