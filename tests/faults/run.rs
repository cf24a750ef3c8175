//! One point: a flow in which one call fails; and the enumeration of all of them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use http::{HeaderValue, Method, Request, header};
use portico_core::http::body::Body;
use portico_core::http::router::Router;
use portico_core::http::routes::ROUTES;
use portico_core::schema::{OUTBOX, SESSIONS};
use portico_tests::client::{Answer, Client, User, registration};
use portico_tests::contract;
use portico_tests::hosts::Host;
use portico_tests::messages::Message;
use serde_json::{Value, json};

use crate::invariants::{self, Scan};
use crate::plan::{Call, Way};
use crate::world::{Backend, Sabotage, World, address};

/// How long a client goes on asking again, in seconds: a little longer than any pause that it may be told of, and than
/// a request that was cut off holds its idempotency key.
const PATIENCE_SECONDS: u64 = 100;

/// Something that users do, from its preparation to what must be true afterwards.
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Run<'a>) -> LocalBoxFuture<'a, ()>,
    /// Whether clients send bytes to an object store themselves.
    pub(crate) presigns: bool,
    /// Whether it needs a world of its own, for it concerns everybody.
    pub(crate) alone: bool,
}

/// A flow under way in a world.
pub(crate) struct Run<'w> {
    pub(crate) world: &'w World,
    pub(crate) client: Client,
    number: u32,
    addr: IpAddr,
    faulted: bool,
    /// Whether the first answer must be the right one.
    at_once: bool,
    operations: RefCell<BTreeSet<&'static str>>,
    told: RefCell<Vec<String>>,
}

/// A request that is made while calls may fail.
pub(crate) struct Step {
    request: Request<Bytes>,
    expected: u16,
    told: Option<(u16, &'static str)>,
    patience_seconds: u64,
}

impl Step {
    /// A request that answers 200.
    pub(crate) fn of(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Self {
        Self::sent(client.request(method, path, body))
    }

    pub(crate) fn sent(request: Request<Bytes>) -> Self {
        Self { request, expected: 200, told: None, patience_seconds: PATIENCE_SECONDS }
    }

    pub(crate) fn post(client: &Client, path: &str, body: &Value) -> Self {
        Self::of(client, Method::POST, path, Some(body))
    }

    pub(crate) fn post_empty(client: &Client, path: &str) -> Self {
        Self::of(client, Method::POST, path, None)
    }

    pub(crate) fn get(client: &Client, path: &str) -> Self {
        Self::of(client, Method::GET, path, None)
    }

    pub(crate) fn put(client: &Client, path: &str, body: &Value) -> Self {
        Self::of(client, Method::PUT, path, Some(body))
    }

    pub(crate) fn delete(client: &Client, path: &str) -> Self {
        Self::of(client, Method::DELETE, path, None)
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        Self { expected: status, ..self }
    }

    /// Sends an `Idempotency-Key` along.
    pub(crate) fn keyed(mut self) -> Self {
        self.request.headers_mut().insert("idempotency-key", HeaderValue::from_static("k-1"));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header"));
        self
    }

    /// Asks again for so long, if everything failed until the answer: not even that the request ended could be noted.
    pub(crate) fn patient(self, seconds: u64) -> Self {
        Self { patience_seconds: seconds, ..self }
    }

    /// What a repeated request may be answered instead, and so is told that the first one was done.
    pub(crate) fn or_told(self, status: u16, code: &'static str) -> Self {
        Self { told: Some((status, code)), ..self }
    }

    fn path(&self) -> &str {
        self.request.uri().path_and_query().map_or("/", |path| path.as_str())
    }

    fn operation(&self) -> &'static str {
        let template = Router::new().expect("routes").template(self.request.uri().path()).expect("a route");
        let route =
            ROUTES.iter().find(|route| route.path == template && route.method == *self.request.method());
        route.expect("a route").operation
    }
}

/// What a client makes of an answer.
enum Verdict {
    Done,
    Again { after_seconds: u64 },
}

impl<'w> Run<'w> {
    fn new(world: &'w World, backend: &Backend, number: u32, fault: Option<(usize, Way)>) -> Self {
        let addr = address(number);
        world.lab.move_to(addr);
        Self {
            world,
            client: world.lab.client(),
            number,
            addr,
            faulted: fault.is_some(),
            at_once: backend.forgives(),
            operations: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// A name that nobody else has.
    pub(crate) fn name(&self, stem: &str) -> String {
        format!("{stem}{}", self.number)
    }

    /// A phone number that nobody else has.
    pub(crate) fn phone(&self) -> String {
        format!("+4420{:08}", 71_000_000 + self.number)
    }

    pub(crate) async fn register(&self, stem: &str) -> User {
        self.client.register(&self.name(stem)).await
    }

    pub(crate) async fn register_with_phone(&self, stem: &str) -> User {
        let name = self.name(stem);
        let mut body = registration(&name);
        body["phone"] = json!(self.phone());
        User::of(&self.client, &name, &self.client.post("/v1/users", body).await.expect(201))
    }

    pub(crate) async fn admin(&self) -> User {
        self.client.admin(&self.name("admin")).await
    }

    /// Makes a request while a call may fail, and again as long as the answers ask for it.
    ///
    /// # Panics
    /// When an answer neither is the right one nor allows to ask again, or asking again does not help.
    pub(crate) async fn attempt(&self, step: Step) -> Answer {
        self.operations.borrow_mut().insert(step.operation());
        self.world.plan.open();
        let mut answer = self.send(&step).await;
        self.world.plan.close();
        invariants::check(self.world, false).await;
        let mut waited = 0;
        loop {
            match self.judge(&step, answer.as_ref(), waited > 0) {
                Verdict::Done => break,
                Verdict::Again { after_seconds } => waited += after_seconds,
            }
            let patience = match self.world.plan.way() {
                Some(Way::Outage) => step.patience_seconds,
                _ => PATIENCE_SECONDS,
            };
            assert!(waited <= patience, "asking again has not helped for {waited} s: {answer:?}");
            self.world.lab.clock.advance(1);
            self.drain().await;
            self.world.lab.clock.advance(self.pause(answer.as_ref()) - 1);
            answer = self.send(&step).await;
        }
        if waited > 0 {
            invariants::check(self.world, false).await;
        }
        answer.expect("what is done has an answer")
    }

    async fn send(&self, step: &Step) -> Option<Answer> {
        let request = step.request.clone().map(Body::from);
        let answer = self.world.send(request, self.addr).await;
        if let Some(answer) = &answer {
            contract::check(step.request.method().as_str(), step.path(), answer);
            assert_ne!(answer.status, 500, "{}", answer.text());
        }
        answer
    }

    fn pause(&self, answer: Option<&Answer>) -> i64 {
        answer
            .and_then(|answer| answer.header(header::RETRY_AFTER.as_str()))
            .map_or(1, |seconds| seconds.parse().expect("seconds"))
    }

    fn judge(&self, step: &Step, answer: Option<&Answer>, again: bool) -> Verdict {
        let (method, path) = (step.request.method(), step.path());
        if answer.is_some_and(|answer| answer.status == step.expected) {
            return Verdict::Done;
        }
        assert!(self.faulted, "{method} {path} without any fault: {answer:?}");
        // That a store is slow is what a check of readiness is there to tell.
        let at_once = self.at_once && !path.ends_with("/health-check/ready");
        assert!(!at_once, "{method} {path} was to succeed at once: {:?}", answer.map(Answer::text));
        let Some(answer) = answer else { return Verdict::Again { after_seconds: 1 } };
        let (status, code) = (answer.status, answer.code());
        if again && step.told.is_some_and(|(told, with)| (status, code.as_str()) == (told, with)) {
            self.told.borrow_mut().push(format!("{method} {}: {status} {code}", step.operation()));
            return Verdict::Done;
        }
        let retry = matches!(status, 503 | 429) || code == "request_in_flight";
        assert!(retry, "{method} {path}{}: {}", if again { ", again" } else { "" }, answer.text());
        assert!(
            answer.header("retry-after").is_some(),
            "{method} {path} {status} does not say when to retry"
        );
        Verdict::Again { after_seconds: self.pause(Some(answer)).unsigned_abs() }
    }

    /// Does what is due in the outbox while a call may fail.
    pub(crate) async fn attempt_drain(&self) {
        self.world.plan.open();
        self.world.lab.app.drain_outbox().await;
        self.world.lab.background.run().await;
        self.world.plan.close();
        invariants::check(self.world, false).await;
    }

    async fn drain(&self) {
        for _ in 0..8 {
            if !self.is_anything_promised().await || self.world.lab.app.drain_outbox().await == 0 {
                return;
            }
            self.world.lab.background.run().await;
        }
    }

    async fn is_anything_promised(&self) -> bool {
        for key in self.world.plan.written().into_iter().filter(|key| key.table == &OUTBOX) {
            if self.world.store.get(&key).await.expect("a store that is well again").is_some() {
                return true;
            }
        }
        false
    }

    /// Lets some minutes pass, in which what is promised is done.
    pub(crate) async fn settle(&self) {
        for pause in [0, 50, 100] {
            self.world.lab.clock.advance(pause);
            self.drain().await;
        }
    }

    /// Lets days pass, until nothing is promised any more.
    async fn rest(&self) {
        self.settle().await;
        invariants::check(self.world, false).await;
        for days in [1, 31] {
            if self.is_anything_promised().await {
                self.world.lab.clock.advance(days * 24 * 60 * 60 + 60 * 60);
                self.settle().await;
            }
        }
        self.world.lab.clock.advance(60 * 60);
        invariants::check(self.world, true).await;
    }

    /// The messages to an address or number, oldest first.
    pub(crate) async fn messages_to(&self, to: &str) -> Vec<Message> {
        let messages = self.world.lab.messages().await;
        messages.into_iter().filter(|message| message.to == to).collect()
    }

    /// The newest message to an address or number about something.
    ///
    /// # Panics
    /// When there is none: it was lost.
    pub(crate) async fn message_to(&self, to: &str, about: &str) -> Message {
        let messages = self.messages_to(to).await;
        let found = messages.into_iter().rev().find(|message| message.subject.contains(about));
        found.unwrap_or_else(|| panic!("the message about {about:?} to {to} was lost"))
    }

    /// How many sessions of a user go on, by their records.
    pub(crate) async fn live_sessions(&self, user_id: &str) -> usize {
        let scan = Scan::of(self.world).await;
        let sessions = scan.of_table(&SESSIONS).filter(|(_, session)| session["user_id"] == user_id);
        sessions.filter(|(_, session)| session["enable"] == true).count()
    }

    /// Whether a fault may have been one after which something was done.
    pub(crate) fn is_told(&self) -> bool {
        !self.told.borrow().is_empty()
    }
}

/// What an enumeration found.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) flows: usize,
    pub(crate) points: usize,
    /// Points whose call was not made this time: what runs at once does not always make the same calls.
    pub(crate) unreached: usize,
    pub(crate) operations: BTreeSet<&'static str>,
    /// What repeated requests were told instead, and how often.
    pub(crate) told: std::collections::BTreeMap<String, usize>,
    pub(crate) failures: Vec<String>,
}

/// Runs flows with no fault, and then with each; or, with a stride, with every so manyth call's failing in one way, calls
/// and ways taken in turn.
pub(crate) async fn enumerate(backend: &Backend, flows: &[Flow], seed: u64, stride: Option<usize>) -> Report {
    let mut report = Report::default();
    let mut number = 0;
    let only = std::env::var("PORTICO_FAULTS").ok();
    if let Some(only) = &only {
        assert!(flows.iter().any(|flow| flow.name == only), "PORTICO_FAULTS: there is no flow {only}");
    }
    for flow in flows.iter().filter(|flow| !flow.alone || backend.is_fresh()) {
        if only.as_ref().is_some_and(|only| *only != flow.name) {
            continue;
        }
        report.flows += 1;
        number += 1;
        let new_world = || World::new(backend, seed, flow.presigns, None);
        let mut world = new_world();
        let calls = match run_point(&world, backend, flow, number, seed, None, &mut report).await {
            Ok(calls) => calls,
            Err(()) => continue,
        };
        let turn = usize::try_from(seed).unwrap_or(0).wrapping_add(report.flows);
        let points: Vec<(usize, Way)> = calls
            .iter()
            .enumerate()
            .filter(|(k, _)| stride.is_none_or(|stride| (k + turn) % stride == 0))
            .flat_map(|(k, call)| {
                let way = (k + turn) / stride.unwrap_or(1) % call.ways.len();
                let ways = if stride.is_none() { call.ways } else { &call.ways[way..=way] };
                ways.iter().map(move |way| (k, *way))
            })
            .collect();
        for fault in points {
            number += 1;
            report.points += 1;
            if backend.is_fresh() {
                world = new_world();
            }
            if run_point(&world, backend, flow, number, seed, Some(fault), &mut report).await.is_err() {
                // What it left behind is nobody else's business.
                world = new_world();
            }
        }
    }
    report
}

async fn run_point(
    world: &World,
    backend: &Backend,
    flow: &Flow,
    number: u32,
    seed: u64,
    fault: Option<(usize, Way)>,
    report: &mut Report,
) -> Result<Vec<Call>, ()> {
    world.plan.begin(fault);
    // In a world of its own each point has the same ids, and so makes the same calls.
    let salt = if backend.is_fresh() { 0 } else { u64::from(number) };
    world.entropy.reseed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt);
    let run = Run::new(world, backend, number, fault);
    let whole = async {
        (flow.run)(&run).await;
        run.rest().await;
        let reached = fault.is_none() || world.plan.hit().is_some();
        assert!(reached || !backend.is_fresh(), "the call was never made");
        report.unreached += usize::from(!reached);
    };
    let outcome = AssertUnwindSafe(whole).catch_unwind().await;
    world.plan.close();
    report.operations.extend(run.operations.take());
    for told in run.told.take() {
        *report.told.entry(told).or_default() += 1;
    }
    outcome.map(|()| world.plan.calls()).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let at = fault.map_or_else(
            || "no fault".to_owned(),
            |(k, way)| format!("call {k}, {:?}: {way:?}", world.plan.hit()),
        );
        let place = format!("{} on {}, {at} (seed {seed})", flow.name, backend.name());
        report.failures.push(format!("{place}\n    {}", said.unwrap_or_default().replace('\n', "\n    ")));
    })
}

/// Runs a flow in which nothing fails, in a world where something is broken.
pub(crate) async fn run_sabotaged(flow: &Flow, sabotage: Sabotage) -> Vec<String> {
    let mut report = Report::default();
    let world = World::new(&Backend::Memory, 1, flow.presigns, Some(sabotage));
    let _outcome = run_point(&world, &Backend::Memory, flow, 0, 1, None, &mut report).await;
    report.failures
}
