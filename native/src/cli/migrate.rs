//! `portico migrate`.

use super::{Failure, say};
use crate::env::{Config, Storage};

/// Brings DynamoDB's tables of an older system up to date, or only says how; fails if something is left to do.
pub(super) fn run(dry: bool) -> Result<(), Failure> {
    let host = Config::load()?.host;
    match &host.storage {
        Storage::Embedded => {
            say(
                "nothing to migrate: STORAGE_BACKEND is `embedded`, which brings its database up to date by itself",
            );
            Ok(())
        }
        Storage::Aws(storage) => on_aws::run(&host.aws, &storage.tables, dry),
    }
}

/// What stands in for AWS in a build without it: `env` refuses every setting that would lead here.
#[cfg(not(feature = "aws"))]
mod on_aws {
    use portico_core::dynamo::names::TableNames;

    use super::Failure;
    use crate::env::AwsSettings;

    pub(super) fn run(_: &AwsSettings, _: &TableNames, _dry: bool) -> Result<(), Failure> {
        Err(Failure("AWS is not in this build: build with the feature `aws`".to_owned()))
    }
}

#[cfg(feature = "aws")]
mod on_aws {
    use std::fmt;
    use std::io::{self, IsTerminal};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
    use portico_core::dynamo::migrate::{self, Progress, Report, Step};
    use portico_core::dynamo::names::TableNames;
    use portico_core::dynamo::retry::Sender;

    use super::super::{Failure, complain, say, small_runtime};
    use crate::aws::{connect, describe};
    use crate::clock::SystemClock;
    use crate::entropy::SystemEntropy;
    use crate::env::AwsSettings;
    use crate::store::dynamo::SdkClient;

    /// How many items lie between two lines, where there is no terminal.
    const ITEMS_PER_LINE: u64 = 10_000;

    pub(super) fn run(settings: &AwsSettings, names: &TableNames, dry: bool) -> Result<(), Failure> {
        let progress: Box<dyn Progress> =
            if io::stderr().is_terminal() { Box::new(Bar::new()) } else { Box::new(Lines::default()) };
        let outcome = small_runtime()?.block_on(async {
            let client = SdkClient::new(&connect(settings).await);
            let sender =
                Sender { client: &client, clock: &SystemClock, entropy: &SystemEntropy, budget: None };
            match dry {
                true => migrate::plan(sender, names, &*progress).await,
                false => migrate::run(sender, names, &*progress).await,
            }
        });
        drop(progress);
        let report = outcome.map_err(|error| {
            Failure(format!("DynamoDB: {}\nNothing is lost: run this again.", describe(&error)))
        })?;
        tell(&report, dry);
        verdict(&report, dry)
    }

    fn tell(report: &Report, dry: bool) {
        let (adds, migrates) = if dry { ("to be added", "to be migrated") } else { ("added", "migrated") };
        for added in &report.added {
            say(format_args!("table {}: {}: {adds}", added.table, added.what));
        }
        for tally in &report.tallies {
            say(format_args!("table {}: {} rows, {} {migrates}", tally.table, tally.read, tally.migrated));
        }
        complain_of(&report.remaining);
        complain_of(&report.duplicates);
        complain_of(&report.unusable);
        complain_of(&report.unfinished);
    }

    fn complain_of(findings: &[impl fmt::Display]) {
        findings.iter().for_each(complain);
    }

    fn verdict(report: &Report, dry: bool) -> Result<(), Failure> {
        if !report.is_complete() {
            return Err(Failure("some of this only you can mend: do so, and run this again".to_owned()));
        }
        match (report.changed_nothing(), dry) {
            (true, _) => say("everything is migrated"),
            (false, true) => say("nothing was written; without --dry-run it will be"),
            (false, false) => say("done; run this again once the older system is stopped"),
        }
        Ok(())
    }

    /// A bar, drawn again and again in one place.
    #[derive(Debug)]
    struct Bar(ProgressBar);

    impl Bar {
        fn new() -> Self {
            let bar = Self(ProgressBar::new_spinner());
            bar.wait("comparing tables with the schema".to_owned());
            bar.0.enable_steady_tick(Duration::from_millis(200));
            bar
        }

        /// Something whose end is not known: how long it has taken is all there is to tell.
        fn wait(&self, line: String) {
            if self.0.message() != line {
                self.0.reset();
                self.0.set_style(style("{spinner} {wide_msg} {elapsed}"));
                self.0.set_message(line);
            }
        }

        /// So many of about so many items are done.
        fn count(&self, table: &str, items: u64, about: u64) {
            if about.max(items) == 0 {
                return self.wait(format!("table {table}: reading"));
            }
            let line = format!("table {table}");
            if self.0.message() != line {
                self.0.reset();
                self.0.set_style(style("{msg} {wide_bar} {human_pos} of {human_len}{left}"));
                self.0.set_message(line);
            }
            self.0.set_length(about.max(items));
            self.0.set_position(items);
        }
    }

    impl Progress for Bar {
        fn step(&self, step: &Step<'_>) {
            match (line(step), *step) {
                (Some(line), _) => self.wait(line),
                (None, Step::Read { table, items, about }) => self.count(table, items, about.unwrap_or(0)),
                (None, _) => {}
            }
        }
    }

    impl Drop for Bar {
        fn drop(&mut self) {
            self.0.finish_and_clear();
        }
    }

    fn style(template: &str) -> ProgressStyle {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        style.with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Before the first items are done nobody knows.
            if state.pos() > 0 {
                let _written = write!(out, ", {:#} left", HumanDuration(state.eta()));
            }
        })
    }

    /// A line now and then, where nobody can draw.
    #[derive(Debug, Default)]
    struct Lines {
        /// The last number of items told.
        told: AtomicU64,
    }

    impl Progress for Lines {
        fn step(&self, step: &Step<'_>) {
            match (line(step), *step) {
                (Some(line), _) => complain(line),
                (None, Step::Read { table, items, .. }) => {
                    let told = self.told.load(Ordering::Relaxed);
                    // Fewer than were told: another table's.
                    if items < told || items >= told + ITEMS_PER_LINE {
                        self.told.store(items, Ordering::Relaxed);
                        if items > 0 {
                            complain(format_args!("table {table}: {items} items read"));
                        }
                    }
                }
                (None, _) => {}
            }
        }
    }

    /// A step that is not one of many, in words.
    fn line(step: &Step<'_>) -> Option<String> {
        match step {
            Step::Changing { table, what } => Some(format!("table {table}: {what}; adding it")),
            Step::Waiting { table, index: Some(index) } => {
                Some(format!("table {table}: index {index} is being filled"))
            }
            Step::Waiting { table, index: None } => Some(format!("table {table} is being made ready")),
            Step::Read { .. } => None,
        }
    }
}
