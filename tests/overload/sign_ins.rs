//! Twenty times the sign-ins that the machine can hash passwords for.

use std::num::NonZero;
use std::time::Duration;

use portico_bench::load::Load;
use portico_bench::ports::free_port;
use portico_bench::report::{Report, Tally};
use portico_bench::scenarios::SignIn;
use portico_tests::client::{PASSWORD, registration};
use portico_tests::metrics;
use portico_tests::process::Folder;

use crate::support::{Probes, address, alone, clients, is_strict, peak_kib};

/// The cost that the server has by itself, not that of other tests.
const HASH: (&str, &str) = ("PASSWORD_HASH", "argon2id,m=19456,t=2,p=1");

/// What a hash takes while it is made, in KiB.
const HASH_KIB: u64 = 19_456;

const TIMES: f64 = 20.0;
const USERS: usize = 20;
const CONNECTIONS: usize = 800;

const PEAK: Duration = Duration::from_secs(4);
const FLOOD: Duration = Duration::from_secs(8);

#[test]
fn sign_ins_beyond_capacity_are_refused_and_those_within_are_served() {
    let _alone = alone();
    clients().block_on(async {
        let folder = Folder::new();
        let metrics = format!("127.0.0.1:{}", free_port());
        let server = folder.serve(&[HASH, ("METRICS_ADDR", &metrics)]).await;
        let hashed = || metrics::counted(&metrics, "portico_hashed_total");
        for user in 0..USERS {
            let made = server.post("/v1/users", &registration(&format!("user-{user}"))).await;
            assert_eq!(made.expect("an answer").0, 201);
        }
        let closed = Load::closed(address(&server));
        let peak = sign_in(&closed, 2 * cores(), PEAK).await;
        assert_eq!(peak.succeeded(), peak.asked(), "{:?}", peak.statuses);
        let (before_kib, before_hashed) = (peak_kib(&server), hashed().await);

        let probes = Probes::start(&server);
        let flood = Load::open(address(&server), TIMES * peak.succeeded() as f64 / PEAK.as_secs_f64());
        let flooded = sign_in(&flood, CONNECTIONS, FLOOD).await;
        probes.judge("20 times the sign-ins");
        judge(&flooded, &peak);
        // None for naught: each went to somebody who was still there.
        assert_eq!(hashed().await - before_hashed, flooded.succeeded());
        // Each hash under way, and little for those that wait.
        let grown_kib = peak_kib(&server).saturating_sub(before_kib);
        println!("{grown_kib} KiB more");
        assert!(grown_kib <= cores() as u64 * HASH_KIB + 48 * 1024, "{grown_kib} KiB");

        let after = sign_in(&closed, 1, Duration::from_secs(1)).await;
        assert!(after.succeeded() > 0 && after.succeeded() == after.asked(), "{:?}", after.statuses);
        assert!(!server.log().contains("ERROR"), "{}", server.log());
        server.stop().await;
    });
}

fn judge(flooded: &Tally, peak: &Tally) {
    let per_second = |count: u64, duration: Duration| count as f64 / duration.as_secs_f64();
    let most = per_second(peak.succeeded(), PEAK);
    let (asked, goodput) = (per_second(flooded.asked(), FLOOD), per_second(flooded.succeeded(), FLOOD));
    let share = goodput / most;
    println!(
        "sign-ins: {most:.1}/s at most; of {asked:.1}/s {goodput:.1}/s succeed ({:.0} %)",
        100.0 * share
    );
    // Whatever the machine, it was more than it can do by far.
    assert!(asked > 5.0 * most, "only {} were asked", flooded.asked());
    let refused = flooded.status(503);
    assert_eq!(
        flooded.asked(),
        flooded.succeeded() + refused,
        "{:?} {:?}",
        flooded.statuses,
        flooded.failures
    );
    assert_eq!(flooded.retry_after, refused, "each refusal says when to come back");
    // The flood itself takes processors from the server, and unoptimised refusals more.
    let least = if is_strict() { 0.8 } else { 0.3 };
    assert!(share >= least, "{goodput:.1}/s of {most:.1}/s");
}

async fn sign_in(load: &Load, connections: usize, duration: Duration) -> Tally {
    let users = (0..connections).map(|index| SignIn {
        username: format!("user-{}", index % USERS),
        password: PASSWORD.to_owned(),
        device: format!("device-{index}"),
    });
    let done: Vec<(SignIn, Report)> = load.run(users, duration).await;
    let report = Report::merge(done.into_iter().map(|(_, report)| report));
    print!("{report}");
    report.total()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
