//! What a migration tells: while it runs, and in the end. Holds names and ids, no secrets.

use std::fmt;

use crate::dynamo::mismatch::Mismatch;

/// Hears how far a migration is.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Hears of a step; must return soon.
    fn step(&self, step: &Step<'_>);
}

/// Nobody who listens.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _: &Step<'_>) {}
}

/// A step of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'step> {
    /// A table is changed.
    Changing {
        /// The table's name in this deployment.
        table: &'step str,
        /// What it lacks.
        what: &'step str,
    },
    /// A table is not ready yet, as is asked every few seconds.
    Waiting {
        /// The table's name in this deployment.
        table: &'step str,
        /// The index that is being filled, if it is that.
        index: Option<&'step str>,
    },
    /// Items of a table were looked at.
    Read {
        /// The table's name in this deployment.
        table: &'step str,
        /// How many so far; claims count.
        items: u64,
        /// How many there were some hours ago, where that is known.
        about: Option<u64>,
    },
}

/// What a migration found and did; of a dry run, what it would do.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// What was added to tables.
    pub added: Vec<Mismatch>,
    /// What only an operator can mend; while there is such, no row is touched.
    pub remaining: Vec<Mismatch>,
    /// The tables whose rows were looked at.
    pub tallies: Vec<Tally>,
    /// Names that belong to somebody else.
    pub duplicates: Vec<Duplicate>,
    /// Names by which nobody can sign in, because they are none by today's rules.
    pub unusable: Vec<Unusable>,
    /// Rows that could not be migrated.
    pub unfinished: Vec<Unfinished>,
}

impl Report {
    /// Whether nothing is left for an operator to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.remaining.is_empty() && self.duplicates.is_empty() && self.unfinished.is_empty()
    }

    /// Whether nothing was to be done.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        self.added.is_empty() && self.tallies.iter().all(|tally| tally.migrated == 0)
    }
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The table's name in this deployment.
    pub table: String,
    /// How many rows were looked at.
    pub read: u64,
    /// How many of them were written.
    pub migrated: u64,
}

/// An account with a name that belongs to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// `username`, `email` or `google`.
    pub kind: String,
    /// The name in the form in which names are compared.
    pub name: String,
    /// The account that is not migrated.
    pub user_id: String,
    /// The account that the name belongs to.
    pub owner_id: String,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, user_id, owner_id } = self;
        write!(f, "user {user_id}: the {kind} {name} belongs to user {owner_id}; give one of them another")
    }
}

/// A name by which nobody can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// `username` or `email`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, user_id } = self;
        write!(f, "user {user_id}: nobody can sign in by the {kind} {name:?}; give them another")
    }
}

/// A row that could not be migrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The table's name in this deployment.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// Why, and what to do.
    pub why: String,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}, {}: {}", self.table, self.key, self.why)
    }
}
