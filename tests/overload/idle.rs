//! Connections that are kept alive, and not used.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use portico_bench::connection::Connection;
use portico_bench::scenario::Scenario;
use portico_bench::scenarios::Ping;
use portico_tests::process::Folder;

use crate::support::{Probes, address, allow_descriptors, alone, clients, is_strict, resident_kib};

const CONNECTIONS: usize = 10_000;

/// Each source has some 28,000 ports, of which those that were used lately are not free.
const PER_SOURCE: usize = 2_500;

/// What the server may take in all: the aim, of a release build, and what an unoptimised one may need.
const AIM_KIB: u64 = 150 * 1024;
const MOST_KIB: u64 = 2 * AIM_KIB;

#[test]
fn ten_thousand_idle_connections_cost_little_and_hinder_nobody() {
    let _alone = alone();
    allow_descriptors(CONNECTIONS as u64 + 500);
    clients().block_on(async {
        let folder = Folder::new();
        let server = folder.serve(&[]).await;
        let before_kib = resident_kib(&server);
        let probes = Probes::start(&server);
        let server_address = address(&server);
        let connections = (0..CONNECTIONS).map(|index| {
            let source = [127, 0, 0, 1 + (index / PER_SOURCE) as u8];
            Connection::new(server_address, Duration::from_secs(30)).from(source.into())
        });
        let open: Vec<Connection> =
            stream::iter(connections).map(use_once).buffer_unordered(100).collect().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let taken_kib = resident_kib(&server);
        println!("{CONNECTIONS} idle connections: {taken_kib} KiB resident, {before_kib} KiB without them");
        let most_kib = if is_strict() { AIM_KIB } else { MOST_KIB };
        assert!(taken_kib <= most_kib, "{taken_kib} KiB");
        // They are there still, every one.
        assert!(open.iter().all(Connection::is_open));
        stream::iter(open).map(use_once).buffer_unordered(100).collect::<Vec<_>>().await;
        probes.judge("10,000 idle connections");
        server.stop().await;
    });
}

async fn use_once(mut connection: Connection) -> Connection {
    let answer = connection.exchange(Ping.next().request).await.expect("an answer");
    assert_eq!(answer.status, 200);
    connection
}
