//! That no body is held: in a process of its own, for memory can only be measured of a whole one.

use std::process::Command;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http_body_util::BodyExt;
use portico_core::http::body::Body;
use portico_core::ports::blobs::{Blobs, ByteRange};

use crate::support::{Adapter, Bucket, MIB, key, terms};

const MEASURED: &str = "PORTICO_TEST_MEASURED";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_body_streams_in_constant_memory_by_the_sdk() {
    measure(Adapter::Sdk, "memory::a_large_body_streams_in_constant_memory_by_the_sdk").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_body_streams_in_constant_memory_by_fetch() {
    measure(Adapter::Fetch, "memory::a_large_body_streams_in_constant_memory_by_fetch").await;
}

#[cfg(target_os = "linux")]
async fn measure(adapter: Adapter, test: &str) {
    if std::env::var_os(MEASURED).is_some() {
        return stream_measured(adapter).await;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MEASURED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
async fn stream_measured(adapter: Adapter) {
    const PIECE: usize = 64 * 1024;
    let bucket = Bucket::new(adapter).await;
    let body = |mib: usize| {
        Body::stream(stream::iter(0..mib * MIB / PIECE).map(|_| Ok(Bytes::from(vec![7; PIECE]))))
    };
    // What the runtime and the first buffers take does not count: two parts, and what the SDK makes of them.
    bucket.blobs.put(&key("a"), &terms(), body(24)).await.unwrap();
    drain(bucket.blobs.get(&key("a"), None).await.unwrap().unwrap().body).await;
    let before_kib = peak_kib();

    let length = 100 * MIB as u64;
    assert_eq!(bucket.blobs.put(&key("a"), &terms(), body(100)).await.unwrap().length, length);
    assert_eq!(drain(bucket.blobs.get(&key("a"), None).await.unwrap().unwrap().body).await, length);
    let part = ByteRange { first: 1, last: length - 1 };
    assert_eq!(drain(bucket.blobs.get(&key("a"), Some(part)).await.unwrap().unwrap().body).await, length - 1);
    let grown_kib = peak_kib() - before_kib;
    assert!(before_kib < 100 * 1024 && grown_kib < 24 * 1024, "{before_kib} KiB, then {grown_kib} KiB more");
}

#[cfg(target_os = "linux")]
async fn drain(mut body: Body) -> u64 {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().unwrap().len() as u64;
    }
    length
}

/// The most memory that this process ever had resident.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
