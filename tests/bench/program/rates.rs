//! How fast the native host answers, beside a bare server, PocketBase, and what cryptography leaves possible.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use portico_bench::load::Load;
use portico_bench::report::Report;
use portico_bench::scenario::Scenario;
use portico_bench::scenarios::{Ping, Read, Refresh};

use crate::bare;
use crate::cores::Cores;
use crate::pocketbase::{PocketBase, ReadRecord, RefreshToken};
use crate::portico::{Person, Portico, sign_in};
use crate::process::Process;
use crate::rounds::{CONNECTIONS, Contender, Rates, Rounds};
use crate::statistics::{median, ratio};
use crate::table::{Figure, Measured, Row, Target, Unit};
use crate::yardsticks;

/// How long each connection waits between reads whose latency counts: together they keep the server from being idle,
/// and far from being busy.
const PAUSE: Duration = Duration::from_millis(20);

/// Who is asked for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Bare,
    Ping,
    Read,
    KnownRead,
    Refresh,
    SignIn,
    PocketBaseRead,
    PocketBaseRefresh,
}

type Asked<'a> = Contender<'a, Box<dyn Scenario>>;

/// Everything that was measured in the rounds.
#[derive(Debug, Default)]
struct Results {
    rates: BTreeMap<Subject, Result<Rates, String>>,
    /// Seconds for each signature, round by round.
    signatures: Vec<f64>,
    /// Seconds for each hash, round by round.
    hashes: Vec<f64>,
}

/// Runs the rounds, and makes rows of what comes out.
pub(crate) async fn measure(
    portico: &Path,
    pocketbase: Result<&Path, String>,
    scratch: &Path,
    cores: &Cores,
    rounds: &Rounds,
) -> Vec<Row> {
    let run = run(portico, pocketbase, scratch, cores, rounds).await;
    let (results, tail) = run.unwrap_or_else(|error| (Results::failed(&error), Err(error)));
    let mut rows = results.rows(cores.servers.len() as f64);
    rows.push(Row {
        what: "native: p99 of authenticated reads while sign-ins saturate it, to that without",
        measured: tail,
        unit: Unit::Times,
        target: Some(Target::AtMost(3.0)),
    });
    rows
}

async fn run(
    binary: &Path,
    pocketbase: Result<&Path, String>,
    scratch: &Path,
    cores: &Cores,
    rounds: &Rounds,
) -> Result<(Results, Measured), String> {
    let portico = Portico::start(binary, scratch, &cores.servers, &[])?;
    // Its clients send the same tokens again and again: what a read costs with its signature verified each time is
    // asked of a server that remembers none.
    let forgetful = Portico::start(binary, scratch, &cores.servers, &[("ACCESS_TOKEN_CACHE", "0")])?;
    let strangers = forgetful.register("reader", CONNECTIONS).await?;
    let bare = bare::start(&cores.servers, &portico.pong().await?)?;
    let [readers, refreshers, returners] = [
        portico.register("reader", CONNECTIONS).await?,
        portico.register("refresher", CONNECTIONS).await?,
        portico.register("returner", CONNECTIONS).await?,
    ];
    let rival = pocketbase.and_then(|program| PocketBase::start(program, scratch, &cores.servers));
    let rival_people = match &rival {
        Ok(rival) => rival.register(CONNECTIONS).await,
        Err(error) => Err(error.clone()),
    };

    let count = cores.servers.len();
    let native = |scenarios| Contender::new(&portico.process, count, scenarios);
    let mut contenders: Vec<(Subject, Result<Asked<'_>, String>)> = vec![
        (Subject::Bare, Ok(Contender::new(&bare, count, (0..CONNECTIONS).map(|_| boxed(Ping))))),
        (Subject::Ping, Ok(native(vec![Ping; CONNECTIONS].into_iter().map(boxed).collect::<Vec<_>>()))),
        (Subject::Read, {
            let strangers = strangers.iter().map(|person| boxed(read(person)));
            Ok(Contender::new(&forgetful.process, count, strangers))
        }),
        (Subject::KnownRead, Ok(native(readers.iter().map(|person| boxed(read(person))).collect()))),
        (Subject::Refresh, Ok(native(refreshers.iter().map(|person| boxed(refresh(person))).collect()))),
        (Subject::SignIn, Ok(native(returning(&returners).map(boxed).collect()))),
    ];
    let theirs = |make: fn(crate::pocketbase::Person) -> Box<dyn Scenario>| {
        let process: &Process = &rival.as_ref().map_err(Clone::clone)?.process;
        Ok(Contender::new(process, count, rival_people.clone()?.into_iter().map(make)))
    };
    contenders.push((Subject::PocketBaseRead, theirs(|person| boxed(ReadRecord(person)))));
    contenders.push((Subject::PocketBaseRefresh, theirs(|person| boxed(RefreshToken(person)))));

    let mut results = Results::default();
    for round in 1..=rounds.count {
        eprintln!("rates: round {round} of {}", rounds.count);
        for (subject, contender) in &mut contenders {
            // Right before what is compared with it: a machine may be slower a minute later.
            let measure = rounds.duration / 4;
            match subject {
                Subject::Refresh => {
                    let each = yardsticks::signature(&cores.servers, &portico.key(), measure)?;
                    results.signatures.push(each.as_secs_f64());
                }
                Subject::SignIn => {
                    results.hashes.push(yardsticks::hash(&cores.servers, measure)?.as_secs_f64());
                }
                _ => {}
            }
            if let Ok(asked) = contender
                && let Err(error) = asked.take_turn(rounds, Duration::ZERO).await
            {
                *contender = Err(error);
            }
        }
    }
    for (subject, contender) in contenders {
        results.rates.insert(subject, contender.and_then(|contender| contender.rates()));
    }
    let tail = tail(&portico, &readers, &returners, rounds).await;
    Ok((results, tail))
}

/// The p99 of reads while others sign in as fast as they can, and without them, in turn.
async fn tail(portico: &Portico, readers: &[Person], returners: &[Person], rounds: &Rounds) -> Measured {
    let reads = || Contender::new(&portico.process, 1, readers.iter().map(read));
    let (mut quiet, mut crowded) = (reads(), reads());
    for round in 1..=rounds.count {
        eprintln!("reads while others sign in: round {round} of {}", rounds.count);
        quiet.take_turn(rounds, PAUSE).await?;
        let crowd = Load::closed(portico.process.address).start::<_, Report>(returning(returners));
        let turn = crowded.take_turn(rounds, PAUSE).await;
        crowd.stop().await;
        turn?;
    }
    let (quiet, crowded) = (quiet.rates()?, crowded.rates()?);
    let [with, without] = [&crowded, &quiet].map(|rates| rates.p99.as_secs_f64() * 1e3);
    Ok(Figure::new(with / without, format!("{with:.2} ms, without {without:.2} ms")))
}

impl Results {
    fn failed(error: &str) -> Self {
        use Subject::{Bare, KnownRead, Ping, PocketBaseRead, PocketBaseRefresh, Read, Refresh, SignIn};
        let all = [Bare, Ping, Read, KnownRead, Refresh, SignIn, PocketBaseRead, PocketBaseRefresh];
        let rates = all.into_iter().map(|subject| (subject, Err(error.to_owned()))).collect();
        Self { rates, ..Self::default() }
    }

    fn rows(&self, cores: f64) -> Vec<Row> {
        let row = |what, measured, least| Row {
            what,
            measured,
            unit: Unit::Times,
            target: Some(Target::AtLeast(least)),
        };
        let aside = |what, measured| Row { what, measured, unit: Unit::Times, target: None };
        vec![
            row("native: ping, to a bare hyper server", self.computed(Subject::Ping, Subject::Bare), 0.85),
            row(
                "native: authenticated GET /v1/sessions, signature verified, to a bare hyper server's ping",
                self.computed(Subject::Read, Subject::Bare),
                0.40,
            ),
            row(
                "native: the same, to PocketBase's authenticated read of a record",
                self.computed(Subject::Read, Subject::PocketBaseRead),
                10.0,
            ),
            aside(
                "native: the same with a token sent before, as most are, to the bare server's ping",
                self.computed(Subject::KnownRead, Subject::Bare),
            ),
            aside(
                "native: that to PocketBase's read",
                self.computed(Subject::KnownRead, Subject::PocketBaseRead),
            ),
            row(
                "native: refresh, to as many RS256 signatures as the cores can make",
                self.bounded(Subject::Refresh, cores, &self.signatures, "signature"),
                0.8,
            ),
            row(
                "native: refresh, to PocketBase's auth-refresh",
                self.answered(Subject::Refresh, Subject::PocketBaseRefresh),
                1.0,
            ),
            row(
                "native: sign-in, to as many Argon2id hashes as the cores can make",
                self.bounded(Subject::SignIn, cores, &self.hashes, "hash"),
                0.95,
            ),
        ]
    }

    /// Two servers whose cores are what limits them.
    fn computed(&self, ours: Subject, theirs: Subject) -> Measured {
        self.compare(ours, theirs, |rates| &rates.per_cpu_second)
    }

    /// Two servers that also wait.
    fn answered(&self, ours: Subject, theirs: Subject) -> Measured {
        self.compare(ours, theirs, |rates| &rates.per_second)
    }

    fn compare(&self, ours: Subject, theirs: Subject, figure: fn(&Rates) -> &Vec<f64>) -> Measured {
        let (ours, theirs) = (self.rates(ours)?, self.rates(theirs)?);
        let value = ratio(figure(ours), figure(theirs)).ok_or("not every round was measured")?;
        Ok(Figure::new(value, format!("{}; {}", ours.show(), theirs.show())))
    }

    /// A server whose answers each need some cryptography that takes so many seconds.
    fn bounded(&self, ours: Subject, cores: f64, seconds: &[f64], what: &str) -> Measured {
        let ours = self.rates(ours)?;
        let possible: Vec<f64> = seconds.iter().map(|seconds| cores / seconds).collect();
        let value = ratio(&ours.per_second, &possible).ok_or("not every round was measured")?;
        let each_ms = median(seconds.iter().copied()).unwrap_or(f64::NAN) * 1e3;
        Ok(Figure::new(value, format!("{}; one {what} {each_ms:.3} ms", ours.show())))
    }

    fn rates(&self, subject: Subject) -> Result<&Rates, String> {
        self.rates.get(&subject).ok_or("not measured")?.as_ref().map_err(Clone::clone)
    }
}

fn boxed(scenario: impl Scenario) -> Box<dyn Scenario> {
    Box::new(scenario)
}

fn read(person: &Person) -> Read {
    Read { access_token: person.access_token.clone() }
}

fn refresh(person: &Person) -> Refresh {
    Refresh { refresh_token: person.refresh_token.clone() }
}

fn returning(people: &[Person]) -> impl Iterator<Item = portico_bench::scenarios::SignIn> {
    people.iter().enumerate().map(|(index, person)| sign_in(person.username.clone(), index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: [f64; 3]) -> Rates {
        let per_cpu_second = per_second.map(|rate| rate * 2.0).to_vec();
        Rates {
            per_second: per_second.to_vec(),
            per_cpu_second,
            busy: 0.5,
            load_busy: 0.5,
            p50: Duration::ZERO,
            p99: Duration::ZERO,
        }
    }

    #[test]
    fn rows_say_what_could_not_be_measured_and_the_others_stand() {
        let mut results = Results::failed("no such program");
        results.rates.insert(Subject::Ping, Ok(rates([90.0, 80.0, 90.0])));
        results.rates.insert(Subject::Bare, Ok(rates([100.0; 3])));
        results.rates.insert(Subject::SignIn, Ok(rates([19.0, 20.0, 18.0])));
        results.hashes = vec![0.1, 0.1, 0.1];
        let rows = results.rows(2.0);
        assert_eq!(rows[0].measured.as_ref().map(|figure| figure.value), Ok(0.9));
        assert_eq!(rows[1].measured, Err("no such program".to_owned()));
        assert_eq!(rows[7].measured.as_ref().map(|figure| figure.value), Ok(0.95));
        // A round that was not measured is no figure.
        results.hashes.pop();
        assert!(results.rows(2.0)[7].measured.is_err());
    }
}
