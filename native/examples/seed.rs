//! Fills a data directory with users, their devices and sessions, for measuring how Portico grows with them:
//! `seed DIR COUNT`. Their names are `user-0` and so on, and their password is `correct horse battery staple`.

use std::path::Path;
use std::process::ExitCode;

#[path = "../benches/store/seeding.rs"]
mod seeding;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, count] = arguments.as_slice() else { return fail("usage: seed DIR COUNT") };
    let Ok(count) = count.parse() else { return fail("COUNT is a number") };
    match seed(Path::new(dir), count).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

async fn seed(dir: &Path, count: u64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let store = seeding::open(dir, count).await?;
    Ok(store.close().await?)
}

fn fail(reason: &str) -> ExitCode {
    #[expect(clippy::print_stderr, reason = "this program has no log")]
    {
        eprintln!("seed: {reason}");
    }
    ExitCode::FAILURE
}
