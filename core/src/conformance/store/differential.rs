//! Random transactions and queries, on the store under test and on the model: the answers must agree.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Harness, check, delete, item};
use crate::{
    memory::{entropy::SeededEntropy, store::MemoryStore},
    ports::{
        entropy::Entropy,
        store::{Condition, Item, Key, Query, RangeBound, Store, Version, Versioned, Write},
    },
    schema::{NOTIFICATIONS, STATUSES, Table, USER_VERIFICATIONS, USERS},
};

/// Takes so many random steps on the store and on a [`MemoryStore`], and compares every answer: results and
/// conflicting writes, items, the moments at which versions change, queries in their order.
///
/// # Panics
/// When they differ; the message has the seed and the step, and both repeat.
pub async fn behaves_like_the_model(h: &Harness, seed: u64, steps: usize) {
    let model = MemoryStore::new(h.clock.clone(), Arc::new(SeededEntropy::new(!seed)));
    let mut run =
        Run { h, model, random: Random(SeededEntropy::new(seed)), seen: BTreeMap::new(), at: String::new() };
    for step in 0..steps {
        run.at = format!("seed {seed}, step {step}");
        match run.random.below(10) {
            0..6 => run.transact().await,
            6..8 => run.query().await,
            8 => run.compare_items().await,
            _ => h.clock.advance_ms(i64::from(run.random.below(1500))),
        }
    }
    run.at = format!("seed {seed}, at the end");
    run.compare_items().await;
}

struct Run<'h> {
    h: &'h Harness,
    model: MemoryStore,
    random: Random,
    /// The versions that a key has had, as both sides name them.
    seen: BTreeMap<Place, Vec<(Version, Version)>>,
    at: String,
}

type Place = (&'static str, String, Option<String>);

impl Run<'_> {
    async fn transact(&mut self) {
        let count = [1, 1, 1, 2, 3, 6][self.random.below(6) as usize];
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let key = self.random.key(self.h);
            // Duplicates are to happen, but not in most of the larger transactions.
            if ours.iter().any(|write: &Write| *write.key() == key) && self.random.below(8) > 0 {
                continue;
            }
            let (our, their) = self.condition(&key);
            let kind = self.random.below(8);
            let item = self.random.item(self.h, &key);
            let write = |when| match kind {
                0 => check(&key, when),
                1 | 2 => delete(&key, when),
                _ => Write::Put { key: key.clone(), item: item.clone(), when },
            };
            ours.push(write(our));
            theirs.push(write(their));
        }
        let expected = self.model.transact(&ours).await.map_err(|error| error.kind);
        let found = self.h.transact(&theirs).await.map_err(|error| error.kind);
        assert_eq!(found, expected, "{}: {theirs:?}", self.at);
        for write in &ours {
            self.compare_item(write.key()).await;
        }
    }

    /// A condition in the versions of the model, and the same in those of the store.
    fn condition(&mut self, key: &Key) -> (Condition, Condition) {
        let both = |when| (when, when);
        match self.random.below(8) {
            0 => both(Condition::Absent),
            1 => both(Condition::Present),
            2 => both(Condition::At(Version(0))),
            3..6 => match self.seen.get(&place(key)).map(Vec::as_slice) {
                None | Some([]) => both(Condition::Always),
                Some(versions) => {
                    // The latest as often as all that it replaced together.
                    let back = self.random.below(2) * self.random.below(versions.len() as u32);
                    let (ours, theirs) = versions[versions.len() - 1 - back as usize];
                    (Condition::At(ours), Condition::At(theirs))
                }
            },
            _ => both(Condition::Always),
        }
    }

    async fn compare_items(&mut self) {
        for key in all_keys(self.h) {
            self.compare_item(&key).await;
        }
    }

    async fn compare_item(&mut self, key: &Key) {
        // A refused key has no item to compare.
        if key.range.is_some() != key.table.range.is_some() {
            return;
        }
        let expected = self.model.get(key).await.expect("the model answers");
        let found = self.h.get(key).await;
        assert_eq!(
            found.as_ref().map(|stored| &stored.item),
            expected.as_ref().map(|stored| &stored.item),
            "{}: {key:?}",
            self.at
        );
        if let (Some(expected), Some(found)) = (expected, found) {
            let seen = self.seen.entry(place(key)).or_default();
            let same = (expected.version, found.version);
            if seen.last() != Some(&same) {
                let repeats = seen.iter().any(|(ours, theirs)| *ours == same.0 || *theirs == same.1);
                assert!(!repeats, "{}: {key:?}: a version changed on one side only", self.at);
                seen.push(same);
            }
        }
    }

    async fn query(&mut self) {
        let query = self.random.query(self.h);
        let expected = comparable(&query, self.model_items(&query).await);
        let tries = if self.h.settle.is_some() { super::TRIES } else { 1 };
        let mut found = Vec::new();
        for _ in 0..tries {
            found = comparable(&query, self.h.all(&query).await);
            if found == expected {
                return;
            }
            self.h.settle().await;
        }
        assert_eq!(found, expected, "{}: {query:?}", self.at);
    }

    async fn model_items(&self, query: &Query) -> Vec<Versioned> {
        use crate::ports::store_ext::StoreExt;
        self.model.query_all(query.clone()).await.expect("the model answers")
    }
}

/// What of a query's answer is specified: the items in the order of their range, equal ones in any.
fn comparable(query: &Query, items: Vec<Versioned>) -> Vec<Item> {
    let index = query.index.as_ref().and_then(|(name, _)| query.table.index(name));
    let range = |item: &Item| {
        index.and_then(|index| index.range).and_then(|name| item.get(name)).map(Value::to_string)
    };
    let mut items: Vec<Item> = items.into_iter().map(|stored| stored.item).collect();
    let hash = |item: &Item| item.get(query.table.hash).map(Value::to_string);
    for equal in items.chunk_by_mut(|one, other| range(one) == range(other)) {
        equal.sort_by_key(hash);
    }
    items
}

fn place(key: &Key) -> Place {
    (key.table.name, key.hash.clone(), key.range.clone())
}

const NAMES: [&str; 6] = ["a", "b", "B", "é", "😀", "c#\0'\""];
const TABLES: [&Table; 4] = [&USERS, &NOTIFICATIONS, &USER_VERIFICATIONS, &STATUSES];

fn all_keys(h: &Harness) -> Vec<Key> {
    let mut keys = Vec::new();
    for table in TABLES {
        for name in NAMES {
            match table.range {
                Some(_) => keys.extend(NAMES.map(|range| Key::with_range(table, h.name(name), range))),
                None => keys.push(h.key(table, name)),
            }
        }
    }
    keys
}

struct Random(SeededEntropy);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes).expect("seeded entropy does not fail");
        u32::from_be_bytes(bytes) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    fn key(&mut self, h: &Harness) -> Key {
        let table = self.pick(&TABLES);
        let name = h.name(self.pick(&NAMES));
        match (table.range, self.below(40)) {
            (Some(_), 0) | (None, 1..) => Key::new(table, name),
            _ => Key::with_range(table, name, self.pick(&NAMES)),
        }
    }

    fn item(&mut self, h: &Harness, key: &Key) -> Item {
        let mut attributes = json!({"n": self.below(1000), "data": [null, {"x": self.pick(&NAMES)}]});
        let indexes = key.table.indexes.iter();
        for name in indexes.flat_map(|index| [Some(index.hash), index.range]).flatten() {
            match self.below(8) {
                0 => {}
                1 => attributes[name] = self.pick(&[Value::Null, json!(1), json!([])].each_ref()).clone(),
                _ => attributes[name] = json!(h.name(self.pick(&NAMES))),
            }
        }
        if let (Some(name), 0..3) = (key.table.expires, self.below(4)) {
            attributes[name] = json!(h.now() + i64::from(self.below(12)) - 1);
        }
        if self.below(60) == 0 {
            attributes["text"] = json!("x".repeat(crate::ports::store::MAX_ITEM_BYTES));
        }
        item(key, attributes)
    }

    fn query(&mut self, h: &Harness) -> Query {
        let indexes: Vec<(&'static Table, Option<usize>)> = vec![
            (&STATUSES, None),
            (&USERS, Some(0)),
            (&USERS, Some(1)),
            (&USERS, Some(2)),
            (&NOTIFICATIONS, Some(0)),
            (&NOTIFICATIONS, Some(1)),
        ];
        let (table, index) = self.pick(&indexes);
        let mut query = Query::whole(table);
        if let Some(index) = index.map(|index| &table.indexes[index]) {
            query = Query::index(table, index.name, h.name(self.pick(&NAMES)));
            let bound = h.name(self.pick(&NAMES));
            query.range = match (index.range, self.below(3)) {
                (Some(_), 0) => RangeBound::Below(bound),
                (Some(_), 1) => RangeBound::AtMost(bound),
                _ => RangeBound::All,
            };
        }
        if self.below(2) == 0 {
            query = query.descending();
        }
        query.limit(self.pick(&[1, 2, 3, 5, 100]))
    }
}
