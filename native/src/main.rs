//! The program; everything it does is in the library.

use mimalloc::MiMalloc;

/// Gives memory back once a burst is over, and answers sooner: docs/performance.md has the measurement.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    portico::cli::main()
}
