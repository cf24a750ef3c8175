//! Chance that repeats with its seed.

use fastrand::Rng;

/// A stream of numbers that a seed stands for.
#[derive(Clone, Debug)]
pub struct Chance(Rng);

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// A number below another.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    /// Whether something happens that does once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn of_these<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A stream of its own.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(self.0.fork())
    }
}
