//! Twenty times the sign-ins that the machine can hash passwords for.

use std::num::NonZero;
use std::time::Duration;

use portico_bench::load::Load;
use portico_bench::report::{Report, Tally};
use portico_bench::scenarios::SignIn;
use portico_tests::client::{PASSWORD, registration};
use portico_tests::process::{Folder, Server};

use crate::support::{Probes, address, alone, clients, peak_kib};

/// The cost that the server has by itself, not that of other tests.
const VARIABLES: [(&str, &str); 1] = [("PASSWORD_HASH", "argon2id,m=19456,t=2,p=1")];

/// What a hash takes while it is made, in KiB.
const HASH_KIB: u64 = 19_456;

const TIMES: f64 = 20.0;
const USERS: usize = 20;
const CONNECTIONS: usize = 800;

#[test]
fn sign_ins_beyond_capacity_are_refused_and_those_within_are_served() {
    let _alone = alone();
    clients().block_on(async {
        let folder = Folder::new();
        let server = folder.serve(&VARIABLES).await;
        for user in 0..USERS {
            let made = server.post("/v1/users", &registration(&format!("user-{user}"))).await;
            assert_eq!(made.expect("an answer").0, 201);
        }
        let peak =
            sign_in(&server, &Load::closed(address(&server)), 2 * cores(), Duration::from_secs(4)).await;
        assert_eq!(peak.succeeded(), peak.asked(), "{:?}", peak.statuses);
        let peak_rate = peak.succeeded() as f64 / 4.0;
        let before_kib = peak_kib(&server);

        let probes = Probes::start(&server);
        let flood = Load::open(address(&server), TIMES * peak_rate);
        let flooded = sign_in(&server, &flood, CONNECTIONS, Duration::from_secs(8)).await;
        probes.judge("20 times the sign-ins");
        let grown_kib = peak_kib(&server).saturating_sub(before_kib);
        judge(&flooded, peak_rate, grown_kib);

        let after = sign_in(&server, &Load::closed(address(&server)), 1, Duration::from_secs(1)).await;
        assert!(after.succeeded() > 0 && after.succeeded() == after.asked(), "{:?}", after.statuses);
        assert!(!server.log().contains("ERROR"), "{}", server.log());
        server.stop().await;
    });
}

fn judge(flooded: &Tally, peak_rate: f64, grown_kib: u64) {
    let refused = flooded.status(503);
    let goodput = flooded.succeeded() as f64 / 8.0;
    println!(
        "sign-ins: {peak_rate:.1}/s at most; of {:.1}/s {goodput:.1}/s succeed ({:.0} %), {grown_kib} KiB more",
        flooded.asked() as f64 / 8.0,
        100.0 * goodput / peak_rate,
    );
    // Whatever the machine, it was more than it can do by far.
    assert!(flooded.asked() as f64 / 8.0 > 5.0 * peak_rate, "only {} were asked", flooded.asked());
    assert_eq!(
        flooded.asked(),
        flooded.succeeded() + refused,
        "{:?} {:?}",
        flooded.statuses,
        flooded.failures
    );
    assert_eq!(flooded.retry_after, refused, "each refusal says when to come back");
    assert!(goodput >= 0.8 * peak_rate, "{goodput:.1}/s of {peak_rate:.1}/s");
    // Each hash under way, and little for those that wait.
    let most_kib = cores() as u64 * HASH_KIB + 48 * 1024;
    assert!(grown_kib <= most_kib, "{grown_kib} KiB");
}

async fn sign_in(server: &Server, load: &Load, connections: usize, duration: Duration) -> Tally {
    let users = (0..connections).map(|index| SignIn {
        username: format!("user-{}", index % USERS),
        password: PASSWORD.to_owned(),
        device: format!("device-{index}"),
    });
    let done: Vec<(SignIn, Report)> = load.run(users, duration).await;
    assert_eq!(load.server, address(server));
    let report = Report::merge(done.into_iter().map(|(_, report)| report));
    print!("{report}");
    report.total()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
