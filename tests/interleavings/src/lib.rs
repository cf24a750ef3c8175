//! Portico's threads under `shuttle`, a scheduler that runs them one at a time and decides at every lock, message and
//! wake-up who goes on: some thousands of interleavings, at random, and with few changes of turn (PCT), which is what rare
//! mistakes take to appear.
//!
//! The files of native stand here as they are there; only [`sync`], by which their threads wait for one another, is
//! another. SQLite is the real one: it runs within a thread's turn. What is checked is in [`writer`], [`lending`] and
//! [`hashing`]; `tests/threads.rs` makes tests of it. A failure prints the schedule, which
//! `shuttle::replay` repeats. `INTERLEAVINGS_TIMES=100` tries a hundred times as many.

#[expect(dead_code, reason = "here the pool has bounds of its own")]
#[path = "../../../native/src/hasher.rs"]
mod hasher;
#[path = "../../../native/src/pool.rs"]
mod pool;
#[path = "../../../native/src/priority.rs"]
mod priority;
#[expect(dead_code, unused_imports, reason = "backups and the listing have no threads")]
#[path = "../../../native/src/store/sqlite/mod.rs"]
mod sqlite;

pub mod hashing;
pub mod lending;
mod sync;
pub mod writer;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Runs a check under so many schedules of either kind, or as many times more as `INTERLEAVINGS_TIMES` says.
pub(crate) fn explore(schedules: usize, check: impl Fn() + Send + Sync + 'static) {
    let times = std::env::var("INTERLEAVINGS_TIMES").map_or(1, |text| text.parse().expect("a number"));
    let schedules = schedules * times;
    let check = std::sync::Arc::new(check);
    let random = check.clone();
    Runner::new(RandomScheduler::new(schedules), config()).run(move || random());
    // Three changes of turn at places that matter are enough for most mistakes.
    Runner::new(PctScheduler::new(3, schedules), config()).run(move || check());
    println!("{} interleavings", 2 * schedules);
}

fn config() -> Config {
    let mut config = Config::new();
    // SQLite and JSON take more than the usual 32 KiB.
    config.stack_size = 512 * 1024;
    config
}
