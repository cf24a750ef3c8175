//! Threads that leave the processors to others.

/// A lower priority leaves them to requests that would be answered in microseconds.
const NICENESS: i32 = 5;

/// Lowers the calling thread's priority, where that is a thread's own; without the right to, it stays as it is.
pub(crate) fn lower() {
    #[cfg(target_os = "linux")]
    let _niceness = rustix::process::nice(NICENESS);
}
