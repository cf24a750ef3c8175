//! Threads that leave the server its cores: the load must not be what slows the server down.

use tokio::runtime::{Builder, Runtime};

/// A runtime of so many threads, each of which runs when nobody else wants to, where threads have priorities.
///
/// # Panics
/// When the system has no threads left.
#[must_use]
pub fn runtime(threads: usize, niceness: i32) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("load")
        .on_thread_start(move || yield_to_others(niceness))
        .enable_all()
        .build()
        .expect("threads")
}

fn yield_to_others(niceness: i32) {
    #[cfg(target_os = "linux")]
    {
        // A lower priority is anybody's right.
        let _now = rustix::process::nice(niceness);
    }
    #[cfg(not(target_os = "linux"))]
    let _unknown = niceness;
}
