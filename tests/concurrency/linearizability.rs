//! Whether a history can be that of operations that happened one at a time, each at some instant between its invocation
//! and its answer (Herlihy and Wing, 1990): searched for as Wing and Gong do, remembering the dead ends.

use std::collections::HashSet;
use std::hash::Hash;

use crate::history::Span;

/// Operations that can be searched at most.
const MOST: usize = 128;

/// Whether the operations can have happened in some order that agrees with time. `step` gives the state after an
/// operation, or `None` if its result is not possible in the state before.
pub(crate) fn is_linearizable<S: Clone + Eq + Hash, O>(
    initial: S,
    operations: &[(Span, O)],
    step: impl Fn(&S, &O) -> Option<S>,
) -> bool {
    assert!(operations.len() <= MOST, "{} operations are too many", operations.len());
    let all = if operations.len() == MOST { u128::MAX } else { (1 << operations.len()) - 1 };
    let (mut open, mut seen) = (vec![(0_u128, initial)], HashSet::new());
    while let Some((done, state)) = open.pop() {
        if done == all {
            return true;
        }
        let left = || (0..operations.len()).filter(|at| done & (1 << at) == 0);
        let first_answer = left().map(|at| operations[at].0.answered).min().unwrap_or(u64::MAX);
        for at in left().filter(|at| operations[*at].0.invoked < first_answer) {
            if let Some(after) = step(&state, &operations[at].1) {
                let reached = (done | (1 << at), after);
                if seen.insert(reached.clone()) {
                    open.push(reached);
                }
            }
        }
    }
    false
}

enum Register {
    Write(u8),
    Read(u8),
}

fn register(state: &u8, operation: &Register) -> Option<u8> {
    match operation {
        Register::Write(value) => Some(*value),
        Register::Read(value) => (value == state).then_some(*state),
    }
}

fn span(invoked: u64, answered: u64) -> Span {
    Span { invoked, answered }
}

#[test]
fn overlapping_operations_may_happen_in_either_order() {
    for read in [0, 1] {
        let history = [(span(0, 3), Register::Write(1)), (span(1, 2), Register::Read(read))];
        assert!(is_linearizable(0, &history, register));
    }
}

#[test]
fn a_stale_read_is_found() {
    let history = [(span(0, 1), Register::Write(1)), (span(2, 3), Register::Read(0))];
    assert!(!is_linearizable(0, &history, register));
}

#[test]
fn what_two_readers_saw_must_agree() {
    let history = |second, third| {
        [
            (span(0, 9), Register::Write(1)),
            (span(1, 2), Register::Read(second)),
            (span(3, 4), Register::Read(third)),
        ]
    };
    assert!(is_linearizable(0, &history(0, 1), register));
    assert!(!is_linearizable(0, &history(1, 0), register));
}
