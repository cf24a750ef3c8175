//! Many callers at once, in many interleavings, on every store; and whether what they were told can be true together.
//!
//! On one thread (the memory store, and SQLite with its writer answering inline) a scheduler decides from a seed which
//! of 8 to 64 callers goes on at every call of a port, so that a failure repeats: it names its seed, and
//! `CONCURRENCY_SEED=<seed>` plays that one alone. On several threads (SQLite, and DynamoDB at the emulator) the race is
//! a real one. `CONCURRENCY_TIMES=100` plays a hundred times as many seeds.
//!
//! A scenario lets callers race and judges the history: unique names, one winner of a rotation, five guesses at a code, no
//! update lost, nothing counted wrongly, and stores that are linearizable. The controls show that the judges can condemn.

mod changes;
mod codes;
mod controls;
mod history;
mod keys;
mod limits;
mod linearizability;
mod names;
mod notifications;
mod registers;
mod scheduler;
mod sessions;
mod stage;

use stage::{Ground, Scenario, play, seeds};

/// Makes a test of each scenario on the memory store, and a list of them all.
macro_rules! scenarios {
    ($($test:ident: $scenario:expr,)+) => {
        $(
            #[test]
            fn $test() {
                play(&$scenario, &Ground::Memory, seeds($scenario.seeds));
            }
        )+

        const SCENARIOS: &[&Scenario] = &[$(&$scenario),+];
    };
}

scenarios! {
    of_registrations_of_one_name_one_succeeds: names::REGISTRATIONS,
    names_that_come_free_are_taken_once: names::CHANGES,
    of_refreshes_with_one_token_one_rotates: sessions::ROTATION,
    chains_of_refresh_tokens_never_fork: sessions::CHAINS,
    no_token_of_an_ended_session_works: sessions::ENDINGS,
    of_changes_of_a_password_one_wins: sessions::PASSWORDS,
    at_most_five_guesses_are_compared: codes::GUESSES,
    a_right_code_is_accepted_once: codes::RIGHT,
    no_change_of_a_profile_is_lost: changes::PROFILES,
    no_change_of_a_device_is_lost: changes::DEVICES,
    no_change_of_a_status_is_lost: changes::STATUSES,
    notifications_are_read_once: notifications::READING,
    uploads_never_pass_the_quota: limits::QUOTA,
    sms_never_pass_the_daily_limit: limits::SMS,
    every_failed_sign_in_is_counted: limits::FAILURES,
    a_key_does_a_thing_once: keys::ONCE,
    the_store_is_linearizable: registers::STORE,
}

/// How many seeds are played on SQLite, on one thread and on several, and on DynamoDB.
const ON_SQLITE_INLINE: u64 = 12;
const ON_SQLITE: u64 = 12;
const ON_DYNAMODB: u64 = 4;

#[test]
fn all_of_it_on_sqlite_step_by_step() {
    for scenario in SCENARIOS {
        play(scenario, &Ground::SqliteInline, seeds(ON_SQLITE_INLINE));
    }
}

#[test]
fn all_of_it_on_sqlite_with_threads() {
    for scenario in SCENARIOS {
        play(scenario, &Ground::Sqlite, seeds(ON_SQLITE));
    }
}

#[test]
fn all_of_it_on_dynamodb_with_threads() {
    let ground = Ground::dynamo();
    for scenario in SCENARIOS {
        play(scenario, &ground, seeds(ON_DYNAMODB));
    }
}
