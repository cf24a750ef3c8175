//! Several servers under load in turn, round after round.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portico_bench::load::Load;
use portico_bench::report::Report;
use portico_bench::scenario::Scenario;

use crate::process::{Process, cpu};
use crate::statistics::median;

/// How many connections a load has.
pub(crate) const CONNECTIONS: usize = 32;

/// How often each server has its turn, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// The rounds.
    pub(crate) count: usize,
    /// What is not recorded of the beginning of each.
    pub(crate) warm_up: Duration,
    /// What is recorded.
    pub(crate) duration: Duration,
}

/// One server and what it is asked.
#[derive(Debug)]
pub(crate) struct Contender<'a, S> {
    process: &'a Process,
    cores: usize,
    scenarios: Vec<S>,
    turns: Vec<Turn>,
}

/// What came out of one turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    per_second: f64,
    /// Cores that the server kept busy.
    busy: f64,
    /// Cores that the load kept busy.
    load_busy: f64,
    p50: Duration,
    p99: Duration,
}

/// What came out of all turns of a contender.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    /// Requests per second, round by round.
    pub(crate) per_second: Vec<f64>,
    /// Requests per second that the server computed, round by round: what it would do if the load never made it wait.
    pub(crate) per_cpu_second: Vec<f64>,
    /// The share of its cores that the server kept busy; the median.
    pub(crate) busy: f64,
    /// Cores that the load kept busy; the median.
    pub(crate) load_busy: f64,
    /// The median of latencies; of all rounds, the median.
    pub(crate) p50: Duration,
    /// The 99th percentile of latencies; the median.
    pub(crate) p99: Duration,
}

impl<'a, S: Scenario> Contender<'a, S> {
    /// A server on so many cores, and what each connection asks of it.
    pub(crate) fn new(process: &'a Process, cores: usize, scenarios: impl IntoIterator<Item = S>) -> Self {
        Self { process, cores, scenarios: scenarios.into_iter().collect(), turns: Vec::new() }
    }

    /// Its turn in a round.
    ///
    /// # Errors
    /// When a request fails: what fails fast is no measure.
    pub(crate) async fn take_turn(&mut self, rounds: &Rounds, pause: Duration) -> Result<(), String> {
        let mut load = Load { warm_up: rounds.warm_up, ..Load::closed(self.address()) };
        load.pace = portico_bench::load::Pace::Closed { pause };
        let running = load.start::<S, Report>(std::mem::take(&mut self.scenarios));
        tokio::time::sleep(rounds.warm_up).await;
        let (begun, before, load_before) = (Instant::now(), self.process.cpu()?, cpu(std::process::id())?);
        tokio::time::sleep(rounds.duration).await;
        let (took, after, load_after) = (begun.elapsed(), self.process.cpu()?, cpu(std::process::id())?);
        let (scenarios, reports): (Vec<S>, Vec<Report>) = running.stop().await.into_iter().unzip();
        self.scenarios = scenarios;
        let report = Report::merge(reports);
        let total = report.total();
        if total.asked() == 0 || total.succeeded() < total.asked() {
            return Err(format!("not all requests succeed: {report}"));
        }
        let per_second = total.succeeded() as f64 / took.as_secs_f64();
        let share = |from, to: Duration| to.saturating_sub(from).as_secs_f64() / took.as_secs_f64();
        let (busy, load_busy) = (share(before, after), share(load_before, load_after));
        let [p50, p99] = [0.5, 0.99].map(|quantile| total.quantile(quantile));
        self.turns.push(Turn { per_second, busy, load_busy, p50, p99 });
        Ok(())
    }

    /// What came out of its turns.
    ///
    /// # Errors
    /// When it had none.
    pub(crate) fn rates(&self) -> Result<Rates, String> {
        let over = |figure: fn(&Turn) -> f64| self.turns.iter().map(figure);
        let middle = |figure| median(over(figure)).ok_or("no round was run");
        Ok(Rates {
            per_second: over(|turn| turn.per_second).collect(),
            per_cpu_second: over(|turn| turn.per_second / turn.busy).collect(),
            busy: middle(|turn| turn.busy)? / self.cores as f64,
            load_busy: middle(|turn| turn.load_busy)?,
            p50: Duration::from_secs_f64(middle(|turn| turn.p50.as_secs_f64())?),
            p99: Duration::from_secs_f64(middle(|turn| turn.p99.as_secs_f64())?),
        })
    }

    fn address(&self) -> SocketAddr {
        self.process.address
    }
}

impl Rates {
    /// The median of its rates, for reading.
    pub(crate) fn show(&self) -> String {
        let rate = median(self.per_second.iter().copied()).unwrap_or(f64::NAN);
        let cpu_us = 1e6 / median(self.per_cpu_second.iter().copied()).unwrap_or(f64::NAN);
        let [busy, load_busy] = [self.busy, self.load_busy].map(|share| share * 100.0);
        format!("{rate:.0}/s, CPU {cpu_us:.1} µs each, {busy:.0} % busy (load {load_busy:.0} %)")
    }
}
