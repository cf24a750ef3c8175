//! What became of the requests: latencies in a histogram, and every outcome counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use http::header;

use crate::connection::{Failure, Outcome};

/// The longest latency that is told apart, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;

/// One request and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The operation.
    pub name: &'static str,
    /// When it was sent; in an open loop, when it was due.
    pub begun: Instant,
    /// When the answer was there, or it was clear that there is none.
    pub ended: Instant,
    /// The status, or why there is no answer.
    pub result: Result<u16, Failure>,
    /// Whether the answer said when to come back.
    pub retry_after: bool,
}

impl Sample {
    /// The sample of an outcome.
    #[must_use]
    pub fn of(name: &'static str, begun: Instant, outcome: &Outcome) -> Self {
        let retry_after =
            outcome.as_ref().is_ok_and(|answer| answer.headers.contains_key(header::RETRY_AFTER));
        let result = outcome.as_ref().map(|answer| answer.status).map_err(|failure| *failure);
        Self { name, begun, ended: Instant::now(), result, retry_after }
    }

    /// How long it took.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.ended.saturating_duration_since(self.begun)
    }

    /// Whether it was answered with a 2xx.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        matches!(self.result, Ok(200..300))
    }
}

/// Takes note of samples.
pub trait Recorder: Default + Send + 'static {
    /// Takes note of one.
    fn record(&mut self, sample: Sample);
}

impl Recorder for Vec<Sample> {
    fn record(&mut self, sample: Sample) {
        self.push(sample);
    }
}

/// The requests of one operation.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How long those took that were answered with a 2xx, in microseconds.
    pub latencies: Histogram<u64>,
    /// How long all others took.
    pub other_latencies: Histogram<u64>,
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, u64>,
    /// How many had none.
    pub failures: BTreeMap<Failure, u64>,
    /// How many answers said when to come back.
    pub retry_after: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latencies: histogram(),
            other_latencies: histogram(),
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            retry_after: 0,
        }
    }
}

impl Tally {
    /// How many answers had a status.
    #[must_use]
    pub fn status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// How many requests were answered with a 2xx.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.latencies.len()
    }

    /// How many requests there were.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.statuses.values().chain(self.failures.values()).sum()
    }

    /// The latency that so much (0 to 1) of the requests with a 2xx stayed within.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(quantile))
    }

    /// The longest latency, whatever the answer.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.latencies.max().max(self.other_latencies.max()))
    }

    fn record(&mut self, sample: &Sample) {
        let latencies = if sample.succeeded() { &mut self.latencies } else { &mut self.other_latencies };
        latencies.saturating_record(u64::try_from(sample.latency().as_micros()).unwrap_or(LONGEST));
        match sample.result {
            Ok(status) => *self.statuses.entry(status).or_default() += 1,
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
        self.retry_after += u64::from(sample.retry_after);
    }

    fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("the same bounds");
        self.other_latencies.add(&other.other_latencies).expect("the same bounds");
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        self.retry_after += other.retry_after;
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds as they must be")
}

/// The requests of a load, by operation.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The operations by name.
    pub operations: BTreeMap<&'static str, Tally>,
}

impl Recorder for Report {
    fn record(&mut self, sample: Sample) {
        self.operations.entry(sample.name).or_default().record(&sample);
    }
}

impl Report {
    /// Several as one.
    #[must_use]
    pub fn merge(reports: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for report in reports {
            for (name, tally) in report.operations {
                whole.operations.entry(name).or_default().add(&tally);
            }
        }
        whole
    }

    /// All operations as one.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.operations.values().for_each(|tally| total.add(tally));
        total
    }
}

impl FromIterator<Sample> for Report {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        let mut report = Self::default();
        samples.into_iter().for_each(|sample| report.record(sample));
        report
    }
}

impl fmt::Display for Report {
    /// A line for each operation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, tally) in &self.operations {
            let [p50, p99] = [0.5, 0.99].map(|quantile| tally.quantile(quantile));
            let longest = tally.longest();
            write!(
                f,
                "{name:>12}: {:>6} asked, p50 {p50:.1?}, p99 {p99:.1?}, longest {longest:.1?};",
                tally.asked()
            )?;
            for (status, count) in &tally.statuses {
                write!(f, " {count} x {status}")?;
            }
            for (failure, count) in &tally.failures {
                write!(f, " {count} x {failure:?}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &'static str, milliseconds: u64, result: Result<u16, Failure>) -> Sample {
        let begun = Instant::now();
        let ended = begun + Duration::from_millis(milliseconds);
        Sample { name, begun, ended, result, retry_after: result == Ok(503) }
    }

    #[test]
    fn outcomes_are_counted_apart_and_only_successes_make_the_latency() {
        let fast = (0..99).map(|_| sample("read", 2, Ok(200)));
        let slow = [sample("read", 700, Ok(200)), sample("read", 9_000, Ok(503)), sample("read", 0, Ok(500))];
        let other = [sample("write", 1, Err(Failure::Reset)), sample("write", 1, Err(Failure::Timeout))];
        let halves: [Report; 2] = [fast.chain(slow).collect(), other.into_iter().collect()];
        let report = Report::merge(halves);
        let read = &report.operations["read"];
        assert_eq!((read.asked(), read.succeeded(), read.status(503), read.retry_after), (102, 100, 1, 1));
        assert_eq!(read.quantile(0.99).as_millis(), 2);
        assert_eq!(read.quantile(1.0).as_millis(), 700);
        assert_eq!(read.longest().as_secs(), 9);
        let total = report.total();
        assert_eq!(
            (total.asked(), total.failures[&Failure::Reset], total.failures[&Failure::Timeout]),
            (104, 1, 1)
        );
        let text = report.to_string();
        assert!(text.contains("1 x Reset") && text.contains("1 x 503"), "{text}");
    }
}
