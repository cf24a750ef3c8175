//! The store itself, with nothing above it: reads are never stale, a condition lets one writer through, and a transaction
//! applies as a whole. Every history of reads and transactions over a few keys is linearizable.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use portico_core::ports::store::{Condition, Item, Key, Store, Version, Write};
use portico_core::schema::COUNTERS;
use serde_json::json;

use crate::history::Span;
use crate::linearizability::is_linearizable;
use crate::stage::{Scenario, Stage};
use portico_tests::chance::Chance;

pub(crate) const STORE: Scenario = Scenario {
    name: "the store is linearizable",
    seeds: 300,
    variables: &[],
    play: |stage| race(stage).boxed(),
};

const KEYS: usize = 3;

/// What every key holds: a value that was written once only, or nothing.
type State = [Option<u64>; KEYS];

/// A condition in terms of values: a version is known by the value that it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    Absent,
    Present,
    Holds(u64),
}

impl When {
    fn holds(self, value: Option<u64>) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => value.is_none(),
            Self::Present => value.is_some(),
            Self::Holds(expected) => value == Some(expected),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Put(u64),
    Delete,
    Check,
}

/// One write of a transaction: to which key, what, and when.
type Step = (usize, Change, When);

#[derive(Debug)]
enum Operation {
    Get(usize, Option<u64>),
    /// The writes, and which of their conditions did not hold.
    Transact(Vec<Step>, Option<usize>),
}

fn step(state: &State, operation: &Operation) -> Option<State> {
    match operation {
        Operation::Get(key, found) => (state[*key] == *found).then_some(*state),
        Operation::Transact(steps, Some(failed)) => {
            let (key, _, when) = steps.get(*failed)?;
            (!when.holds(state[*key])).then_some(*state)
        }
        Operation::Transact(steps, None) => {
            let mut after = *state;
            for (key, change, when) in steps {
                if !when.holds(state[*key]) {
                    return None;
                }
                match change {
                    Change::Put(value) => after[*key] = Some(*value),
                    Change::Delete => after[*key] = None,
                    Change::Check => {}
                }
            }
            Some(after)
        }
    }
}

async fn race(stage: &Stage) {
    let mut chance = stage.chance();
    let keys: [Key; KEYS] =
        std::array::from_fn(|n| Key::new(&COUNTERS, stage.name(&format!("register{n}x"))));
    let racers = (0..8).map(|caller| {
        let (keys, store, history) = (keys.clone(), stage.lab.ports.store.clone(), stage.history.clone());
        let client = Client { caller, keys, store, chance: chance.branch(), read: BTreeMap::new(), wrote: 0 };
        async move {
            let mut client = client;
            let mut operations = Vec::new();
            for _ in 0..6 {
                let (operation, span) = history.timed(client.act()).await;
                history.note(span, format!("{caller}: {operation:?}"));
                operations.push((span, operation));
            }
            (operations, client.read)
        }
        .boxed()
    });
    let outcomes = stage.race(racers.collect()).await;
    assert_versions_are_unique(outcomes.iter().map(|(_, read)| read));
    let operations: Vec<(Span, Operation)> =
        outcomes.into_iter().flat_map(|(operations, _)| operations).collect();
    assert!(is_linearizable([None; KEYS], &operations, step), "no order of these operations is possible");
}

/// A value has one version, and no version comes with two values of a key.
fn assert_versions_are_unique<'r>(reads: impl Iterator<Item = &'r BTreeMap<(usize, u64), Version>>) {
    let (mut of_value, mut of_version) = (BTreeMap::new(), BTreeMap::new());
    for ((key, value), version) in reads.flatten() {
        let other = of_value.insert((*key, *value), *version);
        assert!(other.is_none_or(|other| other == *version), "{value} has two versions");
        let other = of_version.insert((*key, version.0), *value);
        assert!(other.is_none_or(|other| other == *value), "{version:?} has two values");
    }
}

/// Somebody who reads and writes.
struct Client {
    caller: u64,
    keys: [Key; KEYS],
    store: Arc<dyn Store>,
    chance: Chance,
    /// The versions of the values that were read.
    read: BTreeMap<(usize, u64), Version>,
    wrote: u64,
}

impl Client {
    async fn act(&mut self) -> Operation {
        if self.chance.one_in(3) { self.get().await } else { self.transact().await }
    }

    async fn get(&mut self) -> Operation {
        let key = self.chance.below(KEYS);
        let found = self.store.get(&self.keys[key]).await.expect("an answer");
        let value = found.map(|found| {
            let value = found.item["n"].as_u64().expect("a value");
            self.read.insert((key, value), found.version);
            value
        });
        Operation::Get(key, value)
    }

    async fn transact(&mut self) -> Operation {
        let first = self.chance.below(KEYS);
        let count = 1 + self.chance.below(2);
        let steps: Vec<Step> = (0..count)
            .map(|n| {
                let key = (first + n) % KEYS;
                let when = self.condition(key);
                (key, self.change(), when)
            })
            .collect();
        let writes: Vec<Write> = steps.iter().map(|step| self.write(step)).collect();
        match self.store.transact(&writes).await {
            Ok(()) => Operation::Transact(steps, None),
            Err(error) => match error.conflicting_write() {
                Some(write) => Operation::Transact(steps, Some(write)),
                None => panic!("{error}"),
            },
        }
    }

    fn condition(&mut self, key: usize) -> When {
        let newest = self.read.keys().filter(|(of, _)| *of == key).map(|(_, value)| *value).next_back();
        match (self.chance.below(6), newest) {
            (0, _) => When::Always,
            (1, _) => When::Present,
            (2.., Some(value)) => When::Holds(value),
            (2.., None) => When::Absent,
        }
    }

    fn change(&mut self) -> Change {
        match self.chance.below(6) {
            0 => Change::Delete,
            1 => Change::Check,
            _ => {
                self.wrote += 1;
                Change::Put(self.caller * 1000 + self.wrote)
            }
        }
    }

    fn write(&self, (key, change, when): &Step) -> Write {
        let when = match when {
            When::Always => Condition::Always,
            When::Absent => Condition::Absent,
            When::Present => Condition::Present,
            When::Holds(value) => Condition::At(self.read[&(*key, *value)]),
        };
        let key = self.keys[*key].clone();
        match change {
            Change::Put(value) => {
                let mut item = Item::new();
                item.insert(COUNTERS.hash.to_owned(), json!(key.hash));
                item.insert("n".to_owned(), json!(value));
                item.insert("expires_at".to_owned(), json!(4_000_000_000_u64));
                Write::Put { key, item, when }
            }
            Change::Delete => Write::Delete { key, when },
            Change::Check => Write::Check { key, when },
        }
    }
}
