//! Measures Portico, and prints what came out beside what is aimed at. `tests/bench.sh` builds what it needs.
//!
//! - [`rounds`]: servers under load in turn · [`rates`], [`memory`], [`store`], [`edge`], [`growth`] with [`plot`]: what is measured
//! - [`portico`], [`pocketbase`], [`bare`]: the servers · [`yardsticks`]: what cryptography costs by itself
//! - [`process`], [`cores`]: where they run · [`statistics`], [`table`]: what becomes of the figures
//!
//! It asserts nothing: a figure that cannot be had is a row that says why, and the others are measured all the same.

mod bare;
mod cores;
mod edge;
mod growth;
mod memory;
mod plot;
mod pocketbase;
mod portico;
mod process;
mod rates;
mod rounds;
mod statistics;
mod store;
mod table;
mod yardsticks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cores::Cores;
use crate::growth::Point;
use crate::memory::UploadMib;
use crate::rounds::Rounds;
use crate::table::{Row, Table};

/// Measures Portico beside others, and prints a table of ratios.
#[derive(Debug, Parser)]
#[command(name = "portico-bench", args_override_self = true)]
struct Arguments {
    /// The release binary that is measured
    #[arg(long, value_name = "FILE")]
    portico: Option<PathBuf>,
    /// PocketBase, which it is compared with
    #[arg(long, value_name = "FILE")]
    pocketbase: Option<PathBuf>,
    /// Where servers keep their data meanwhile; best on a disk such as theirs would be
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
    /// Prints JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Takes less than two minutes, for shorter rounds and smaller files
    #[arg(long)]
    quick: bool,
    /// Measures only these
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// How large each of the ten uploads is [default: 1024, or 32 with --quick]
    #[arg(long, value_name = "MIB")]
    upload_mib: Option<u64>,
    /// Where Cargo builds: seeded databases are kept below it, and the store's benches leave their results there
    #[arg(long, value_name = "DIR", default_value = "target")]
    target: PathBuf,
    /// Draws the growth into this file, unless --quick leaves it out
    #[arg(long, value_name = "SVG")]
    plot: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Serves nothing but the answer in the input, for comparison
    #[command(name = bare::COMMAND, hide = true)]
    Bare,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Rates,
    Memory,
    Growth,
    Store,
    Size,
    Edge,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn rounds(&self) -> Rounds {
        let [warm_up, duration] =
            if self.quick { [200, 1000] } else { [1000, 5000] }.map(Duration::from_millis);
        Rounds { count: 3, warm_up, duration }
    }

    fn sizes(&self) -> &'static [u64] {
        if self.quick { &[10_000] } else { &[10_000, 100_000, growth::MOST] }
    }

    async fn measure(&self, cores: &Cores) -> Result<(Vec<Row>, Vec<Point>), String> {
        let binary = self.portico.as_deref().ok_or("--portico must name a release binary")?;
        let binary = &std::path::absolute(binary).map_err(|error| error.to_string())?;
        let target = &std::path::absolute(&self.target).map_err(|error| error.to_string())?;
        let (mut rows, mut points) = (Vec::new(), Vec::new());
        if self.wants(Part::Rates) {
            let absent = || "there is no PocketBase: --pocketbase names it".to_owned();
            let rival = self.pocketbase.as_deref().ok_or_else(absent);
            rows.extend(rates::measure(binary, rival, &self.scratch, cores, &self.rounds()).await);
        }
        if self.wants(Part::Memory) {
            let size = UploadMib(self.upload_mib.unwrap_or(if self.quick { 32 } else { 1024 }));
            let settle = Duration::from_secs(if self.quick { 1 } else { 5 });
            rows.extend(memory::measure(binary, &self.scratch, cores, settle, size).await);
        }
        if self.wants(Part::Growth) {
            let seeds = target.join("tmp/seeds");
            let grown = growth::measure(binary, &seeds, self.sizes(), cores, &self.rounds()).await;
            rows.push(growth::row(&grown));
            points = grown.unwrap_or_default();
        }
        if self.wants(Part::Store) {
            rows.extend(cores::on(&cores.all(), || store::measure(target, self.quick)));
        }
        if self.wants(Part::Size) {
            rows.push(memory::size(binary, &self.scratch));
        }
        if self.wants(Part::Edge) {
            let seconds = if self.quick { 0.5 } else { 3.0 };
            // The script keeps its own load, which is part of what it says, where the system puts it.
            rows.extend(cores::on(&cores.all(), || edge::measure(&root(), seconds)));
        }
        Ok((rows, points))
    }

    fn draw(&self, points: &[Point]) -> Result<(), String> {
        match &self.plot {
            Some(file) if points.len() > 1 => plot::draw(points, file).map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(Command::Bare) = arguments.command else { return measure(&arguments) };
    let input = std::io::read_to_string(std::io::stdin()).unwrap_or_default();
    end(runtime().and_then(|runtime| runtime.block_on(bare::serve(&input))))
}

fn measure(arguments: &Arguments) -> ExitCode {
    let cores = Cores::deal();
    // What runs from here on is the load; servers are started on cores of their own.
    cores::pin(&cores.load);
    let measured = runtime().and_then(|runtime| runtime.block_on(arguments.measure(&cores)));
    end(measured.and_then(|(rows, growth)| {
        let drawn = arguments.draw(&growth);
        let table = Table { machine: machine(&cores), rows, growth };
        if arguments.json {
            println!("{:#}", table.json())
        } else {
            print!("{table}")
        }
        drawn
    }))
}

fn end(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portico-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())
}

/// The working copy that this was built in.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The processor, and who had how many of its cores.
fn machine(cores: &Cores) -> String {
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or(std::env::consts::ARCH, |(_, name)| name);
    format!("{name}: {} for servers, {} for the load", count(&cores.servers), count(&cores.load))
}

fn count(cores: &[usize]) -> String {
    match cores.len() {
        1 => "1 core".to_owned(),
        many => format!("{many} cores"),
    }
}
