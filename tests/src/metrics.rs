//! What a running server shows at its `METRICS_ADDR`.

use bytes::Bytes;
use http::Request;

use crate::emulators::send;

/// All of it, as Prometheus text.
pub async fn shown(address: &str) -> String {
    let request = Request::get(format!("http://{address}/metrics")).body(Bytes::new());
    send(request.expect("a request")).await.expect(200).text()
}

/// What one counter shows now; 0 before it first counts. Its labels are part of its name: `name{label="value"}`.
pub async fn counted(address: &str, name: &str) -> u64 {
    let text = shown(address).await;
    let count = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    count.map_or(0, |count| count.parse().expect("a count"))
}
