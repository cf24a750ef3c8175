//! Tables that behave as DynamoDB's do as far as a migration asks: for tests.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    dynamo::{
        attribute::{AttributeValue, Attributes},
        client::{Answer, Failure, IndexDescription, TableDescription, TimeToLiveDescription},
        request::{
            ConditionExpression, CreateTable, GlobalIndex, IndexUpdate, PutItem, Query, Request, Scan,
            TransactItem, TransactWriteItems, UpdateTable,
        },
        script::code,
        tables::{creation, global_index},
    },
    schema::{
        APP_VERSIONS, DEVICES, FILES, Index, NOTIFICATIONS, SESSIONS, STATUSES, Table, USER_VERIFICATIONS,
        USERS,
    },
};

/// How many rows a page has.
const PAGE: usize = 3;

/// How often a table is looked at until a change of it is done.
const SLOWNESS: u32 = 2;

#[derive(Clone, Debug, Default)]
struct FakeTable {
    description: TableDescription,
    expiry: TimeToLiveDescription,
    rows: BTreeMap<String, Attributes>,
    busy: u32,
}

/// A deployment's tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    tables: BTreeMap<String, FakeTable>,
    /// How many requests wrote something.
    pub(super) writes: usize,
}

impl Account {
    /// The eight tables of the older system, and their indexes.
    pub(super) fn older() -> Self {
        let mut account = Self::default();
        for table in [
            &USERS,
            &SESSIONS,
            &STATUSES,
            &DEVICES,
            &NOTIFICATIONS,
            &FILES,
            &USER_VERIFICATIONS,
            &APP_VERSIONS,
        ] {
            account.create(creation(table, table.name));
            let fake = account.table(table.name);
            fake.busy = 0;
            let added = ["list_shard-user_id-index", "unread_of-notification_id-index"];
            let indexes = &mut fake.description.global_secondary_indexes;
            indexes.retain(|index| !added.contains(&index.index_name.as_str()));
        }
        let enable = Index { name: "enable-index", hash: "enable", range: None };
        account.table("users").add_index(&global_index(&enable, None));
        account
    }

    pub(super) fn put(&mut self, table: &'static Table, row: Value) {
        let row: Attributes = serde_json::from_value(row).unwrap();
        let AttributeValue::S(key) = row[table.hash].clone() else { panic!("{row:?}") };
        self.table(table.name).rows.insert(key, row);
    }

    pub(super) fn row(&self, table: &'static Table, key: &str) -> Value {
        serde_json::to_value(self.tables[table.name].rows.get(key)).unwrap()
    }

    pub(super) fn keys(&self, table: &'static Table) -> Vec<&str> {
        self.tables[table.name].rows.keys().map(String::as_str).collect()
    }

    pub(super) fn description(&mut self, table: &'static Table) -> &mut TableDescription {
        &mut self.table(table.name).description
    }

    fn table(&mut self, name: &str) -> &mut FakeTable {
        self.tables.get_mut(name).unwrap()
    }

    pub(super) fn answer(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.writes += usize::from(request.writes());
        match request {
            Request::DescribeTable(table) => match self.tables.get_mut(&table.table_name) {
                Some(table) => Ok(Answer::Table(table.describe())),
                None => Err(code("ResourceNotFoundException")),
            },
            Request::DescribeTimeToLive(table) => {
                Ok(Answer::TimeToLive(self.table(&table.table_name).expiry.clone()))
            }
            Request::UpdateTimeToLive(update) => {
                let attribute_name = Some(update.time_to_live_specification.attribute_name.clone());
                let time_to_live_status = "ENABLING".to_owned();
                let expiry = TimeToLiveDescription { time_to_live_status, attribute_name };
                self.table(&update.table_name).expiry = expiry;
                Ok(Answer::Done)
            }
            Request::CreateTable(creation) => {
                self.create(creation.clone());
                Ok(Answer::Done)
            }
            Request::UpdateTable(update) => self.update(update),
            Request::GetItem(get) => {
                let key = get.key.values().next().unwrap();
                Ok(Answer::Item(self.table(&get.table_name).rows.get(text(key)).cloned()))
            }
            Request::Scan(scan) => Ok(self.scan(scan)),
            Request::Query(query) => self.query(query),
            Request::PutItem(put) => match self.holds(put) {
                true => Ok(self.store(put)),
                false => Err(code("ConditionalCheckFailedException")),
            },
            Request::TransactWriteItems(transaction) => self.transact(transaction),
            Request::DeleteItem(_) => panic!("nothing is to be deleted"),
        }
    }

    fn create(&mut self, creation: CreateTable) {
        let mut table = FakeTable { busy: SLOWNESS, ..FakeTable::default() };
        table.description.key_schema = creation.key_schema;
        table.description.attribute_definitions = creation.attribute_definitions;
        creation.global_secondary_indexes.iter().for_each(|index| table.add_index(index));
        self.tables.insert(creation.table_name, table);
    }

    fn update(&mut self, update: &UpdateTable) -> Result<Answer, Failure> {
        let table = self.table(&update.table_name);
        if table.busy > 0 {
            return Err(code("ResourceInUseException"));
        }
        let [IndexUpdate::Create(index)] = &update.global_secondary_index_updates[..] else {
            panic!("one index is added at a time")
        };
        table.add_index(index);
        table.busy = SLOWNESS;
        Ok(Answer::Done)
    }

    fn scan(&mut self, scan: &Scan) -> Answer {
        let rows = &self.table(&scan.table_name).rows;
        let after = scan.exclusive_start_key.as_ref().map(|key| text(key.values().next().unwrap()));
        let items: Vec<(&String, &Attributes)> = rows
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after))
            .take(PAGE)
            .collect();
        let full = items.len() == PAGE;
        let last = items.last().filter(|_| full).map(|(key, _)| AttributeValue::string(*key));
        let last_evaluated_key = last.map(|key| [("key".to_owned(), key)].into());
        Answer::Page { items: items.into_iter().map(|(_, row)| row.clone()).collect(), last_evaluated_key }
    }

    fn query(&mut self, query: &Query) -> Result<Answer, Failure> {
        let table = self.table(&query.table_name);
        let mut indexes = table.description.global_secondary_indexes.iter();
        if !indexes.any(|index| index.index_name == query.index_name) {
            return Err(code("ValidationException"));
        }
        let (name, value) =
            (&query.expression_attribute_names["#hash"], &query.expression_attribute_values[":hash"]);
        let found = table.rows.values().filter(|row| row.get(name) == Some(value));
        Ok(Answer::Page { items: found.cloned().collect(), last_evaluated_key: None })
    }

    fn transact(&mut self, transaction: &TransactWriteItems) -> Result<Answer, Failure> {
        let puts: Vec<&PutItem> = transaction.transact_items.iter().map(only_put).collect();
        let holds: Vec<bool> = puts.iter().map(|put| self.holds(put)).collect();
        if holds.contains(&false) {
            let reason = |holds: bool| (!holds).then(|| "ConditionalCheckFailed".to_owned());
            return Err(code("TransactionCanceledException").because(holds.into_iter().map(reason)));
        }
        puts.into_iter().for_each(|put| drop(self.store(put)));
        Ok(Answer::Done)
    }

    fn store(&mut self, put: &PutItem) -> Answer {
        let (key, _) = self.place(put);
        self.table(&put.table_name).rows.insert(key, put.item.clone());
        Answer::Done
    }

    fn holds(&mut self, put: &PutItem) -> bool {
        let (_, present) = self.place(put);
        let condition = put.condition.as_ref().unwrap();
        condition.condition_expression.split(" AND ").all(|term| holds(term, condition, &present))
    }

    fn place(&mut self, put: &PutItem) -> (String, Attributes) {
        let table = self.table(&put.table_name);
        let key = text(&put.item[&table.description.key_schema[0].attribute_name]).to_owned();
        let present = table.rows.get(&key).cloned().unwrap_or_default();
        (key, present)
    }
}

impl FakeTable {
    fn add_index(&mut self, index: &GlobalIndex) {
        self.description.global_secondary_indexes.push(IndexDescription {
            index_name: index.index_name.clone(),
            index_status: String::new(),
            key_schema: index.key_schema.clone(),
            projection: index.projection.clone(),
        });
    }

    fn describe(&mut self) -> TableDescription {
        let (table, index) = if self.busy > 0 { ("UPDATING", "CREATING") } else { ("ACTIVE", "ACTIVE") };
        self.busy = self.busy.saturating_sub(1);
        self.description.table_status = table.to_owned();
        let indexes = &mut self.description.global_secondary_indexes;
        indexes.iter_mut().for_each(|one| one.index_status = index.to_owned());
        self.description.clone()
    }
}

/// Whether a term of a condition holds: an equality, or that there is no such attribute.
fn holds(term: &str, condition: &ConditionExpression, present: &Attributes) -> bool {
    let name = |alias: &str| condition.expression_attribute_names[alias].as_str();
    if let Some((alias, value)) = term.split_once(" = ") {
        return present.get(name(alias)) == Some(&condition.expression_attribute_values[value]);
    }
    let alias = term.strip_prefix("attribute_not_exists(").and_then(|rest| rest.strip_suffix(')'));
    !present.contains_key(name(alias.unwrap()))
}

fn only_put(item: &TransactItem) -> &PutItem {
    let TransactItem::Put(put) = item else { panic!("{item:?}") };
    put
}

fn text(value: &AttributeValue) -> &str {
    let AttributeValue::S(text) = value else { panic!("{value:?}") };
    text
}
