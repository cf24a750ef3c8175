//! Ports for servers that are started.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port on which nobody listens, for a server that is started later.
///
/// No other call of this process gets it, and it is none of those that systems hand out themselves: a server that takes
/// any port, or an outgoing connection, cannot get it meanwhile.
///
/// # Panics
/// When all are taken.
#[must_use]
pub fn free_port() -> u16 {
    const PORTS: Range<u32> = 12_000..32_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
        // Processes that run side by side begin far from one another.
        AtomicU32::new(std::process::id().wrapping_mul(1_009))
    });
    let mut ports = PORTS.map(|_| {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        u16::try_from(port).expect("a number of 16 bits")
    });
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
