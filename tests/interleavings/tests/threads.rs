//! The checks of this crate, as tests.

use portico_interleavings::{hashing, lending, writer};

/// Makes a test of each check.
macro_rules! tests {
    ($($module:ident::$check:ident,)+) => {$(
        #[test]
        fn $check() {
            $module::$check();
        }
    )+};
}

tests! {
    lending::no_two_threads_have_one_thing,
    lending::closing_waits_for_who_is_at_it,
    hashing::everybody_is_answered,
    hashing::callers_who_go_away_hold_nobody_up,
    writer::no_addition_is_lost,
    writer::callers_who_go_away_cost_the_others_nothing,
    writer::closing_answers_everybody,
    writer::dropping_finishes_what_is_queued,
}
