// What the Worker weighs and costs; started by budgets.sh, which says how.
//
// Absolute figures are this machine's. What can be compared are ratios to the empty Worker, taken in turn with it.

import { spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";

const PING = "/v1/health-check/ping";
const COLD_STARTS = 7;
const ROUNDS = 3;
const CONNECTIONS = 32;
// Of a second, in which /proc counts.
const TICKS = 100;

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    worker: { type: "string", default: join(import.meta.dirname, "build") },
    seconds: { type: "string", default: "3" },
  },
});
const seconds = Number(options.seconds);
if (!(seconds > 0)) throw new Error("--seconds takes a number above 0");

const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
const common = {
  JWT_PRIVATE_KEY: key,
  MAIL_RELAY_TOKEN: randomBytes(24).toString("hex"),
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
};
// Of what asks nobody: no emulator is needed, and no table made.
const alone = { ...common, APP_ENV: "production", MAIL_RELAY_URL: "https://relay.example.com/messages" };

const running = new Set();
const folder = mkdtempSync(join(tmpdir(), "portico-budgets-"));

// --- Workers and their runtime

// With the platform's binding, which has no part in what is measured, and without which requests are counted in DynamoDB.
const WITH_LIMITER = `import Portico from "./index.js";
class Ratelimit { async limit() { return { success: true }; } }
export default class extends Portico {
  constructor(context, env) { super(context, { ...env, RATE_LIMITER: new Ratelimit() }); }
}
`;

function portico(variables) {
  const dir = mkdtempSync(join(folder, "portico-"));
  for (const name of ["index.js", "index_bg.wasm"]) copyFileSync(join(options.worker, name), join(dir, name));
  const modules = [
    '(name = "index.js", esModule = embed "index.js")',
    '(name = "index_bg.wasm", wasm = embed "index_bg.wasm")',
  ];
  return { dir, modules, variables };
}

function withLimiter({ dir, modules, variables }) {
  writeFileSync(join(dir, "main.js"), WITH_LIMITER);
  // The first module is the one that is asked.
  return { dir, modules: ['(name = "main.js", esModule = embed "main.js")', ...modules], variables };
}

// Answers every request with the same bytes.
function empty({ status, headers, body }) {
  const dir = mkdtempSync(join(folder, "empty-"));
  const init = JSON.stringify({ status, headers });
  const source = `export default { fetch() { return new Response(${JSON.stringify(body)}, ${init}); } };\n`;
  writeFileSync(join(dir, "main.js"), source);
  return { dir, modules: ['(name = "main.js", esModule = embed "main.js")'], variables: {} };
}

async function start({ dir, modules, variables }) {
  const port = await freePort();
  const bindings = Object.entries(variables).map(([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`);
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [${modules.join(", ")}],
  compatibilityDate = "2026-11-01",
  bindings = [${bindings.join(", ")}],
);
`;
  writeFileSync(join(dir, "config.capnp"), config);
  const begun = performance.now();
  const child = run("workerd", ["serve", "config.capnp"], { cwd: dir, stdio: ["ignore", "ignore", "inherit"] });
  await firstAnswer(port, child);
  return { child, port, url: `http://127.0.0.1:${port}`, startMs: performance.now() - begun };
}

function run(program, args, settings) {
  const child = spawn(program, args, settings);
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function firstAnswer(port, child) {
  for (let tries = 0; tries < 30_000; tries += 1) {
    if (child.exitCode !== null) throw new Error("the runtime does not start");
    const answered = await new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(request("close")));
      socket.once("data", (bytes) => (socket.destroy(), resolve(/^HTTP\/1\.1 200/.test(bytes.latin1Slice()))));
      socket.once("error", () => resolve(false));
      socket.once("end", () => resolve(false));
    });
    if (answered) return;
    await sleep(1);
  }
  throw new Error("the Worker does not answer");
}

async function emulators() {
  const child = run(process.env.PORTICO_EMULATORS, ["--port", "0", "--smtp-port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = / listen on (\S+)/.exec(line)?.[1];
    if (url) return { child, url };
  }
  throw new Error("the emulators do not start");
}

// --- Measures

function request(connection) {
  return `GET ${PING} HTTP/1.1\r\nhost: localhost\r\ncf-connecting-ip: 127.0.0.1\r\nconnection: ${connection}\r\n\r\n`;
}

// Requests a second of connections that each ask anew once they are answered. Bare sockets, lest the client be measured.
async function load({ port, child }, duration) {
  const bytes = Buffer.from(request("keep-alive"));
  let answered = 0;
  let open = true;
  const one = () =>
    new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
      socket.setNoDelay(true);
      socket.on("error", reject);
      socket.on("end", () => reject(new Error("the Worker hangs up")));
      socket.on("data", (piece) => {
        received = received.length ? Buffer.concat([received, piece]) : piece;
        if (!isWhole(received)) return;
        received = Buffer.alloc(0);
        answered += 1;
        if (open) return void socket.write(bytes);
        socket.destroy();
        resolve();
      });
    });
  const [cpu, begun] = [cpuMs(child.pid), performance.now()];
  const all = Promise.all(Array.from({ length: CONNECTIONS }, one));
  await Promise.race([sleep(duration * 1000), all]);
  open = false;
  await all;
  const took = (performance.now() - begun) / 1000;
  return { perSecond: answered / took, cpuMs: (cpuMs(child.pid) - cpu) / answered };
}

function isWhole(answer) {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = answer.latin1Slice(0, end);
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (!head.startsWith("HTTP/1.1 200") || length === undefined) throw new Error(`an answer that is none:\n${head}`);
  return answer.length >= end + 4 + Number(length);
}

// What all threads of a process have computed so far.
function cpuMs(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the program's name, which may hold spaces.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

// The CPU time of the runtime for each of some operations, one after another, once it has compiled what they run.
async function cpuEach({ child }, times, operation) {
  for (let warm = 0; warm < times; warm += 1) await operation();
  const before = cpuMs(child.pid);
  for (let done = 0; done < times; done += 1) await operation();
  // What goes on after the last answer belongs to it.
  await sleep(200);
  return (cpuMs(child.pid) - before) / times;
}

// The requests to AWS that an operation makes, before its answer and after it.
async function callsOf(aws, operation) {
  const made = async () => {
    const { counts } = JSON.parse((await ask(aws.url, "GET", "/_calls")).text);
    return Object.values(counts).flatMap(Object.values).reduce((sum, count) => sum + count, 0);
  };
  const before = await made();
  await operation();
  await sleep(200);
  return (await made()) - before;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function ask(url, method, path, { body, token } = {}) {
  const headers = { "cf-connecting-ip": "127.0.0.1" };
  if (body) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return { status: answer.status, headers: answer.headers, text };
}

// --- What is measured

function sizes() {
  const of = (name) => readFileSync(join(options.worker, name));
  const both = (bytes) => ({ raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });
  return { wasm: both(of("index_bg.wasm")), js: both(of("index.js")) };
}

async function sameAnswer(worker) {
  const { child, url } = await start(worker);
  const { status, headers, text } = await ask(url, "GET", PING);
  await stop(child);
  // The runtime adds the length itself.
  const kept = [...headers].filter(([name]) => !["content-length", "connection", "date", "keep-alive"].includes(name));
  return { status, headers: kept, body: text };
}

async function coldStarts(workers) {
  const took = workers.map(() => []);
  for (let round = 0; round < COLD_STARTS; round += 1) {
    for (const [index, worker] of workers.entries()) {
      const { child, startMs } = await start(worker);
      took[index].push(startMs);
      await stop(child);
    }
  }
  return took.map(median);
}

async function pings(workers) {
  const started = await Promise.all(workers.map(start));
  for (const worker of started) await load(worker, seconds);
  const rounds = started.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, worker] of started.entries()) rounds[index].push(await load(worker, seconds));
  }
  for (const { child } of started) await stop(child);
  return rounds.map((each) => ({
    perSecond: median(each.map((round) => round.perSecond)),
    cpuMs: median(each.map((round) => round.cpuMs)),
  }));
}

async function operations() {
  const aws = await emulators();
  const variables = { ...common, AWS_ENDPOINT_URL: aws.url, MAIL_RELAY_URL: `${aws.url}/_mail` };
  const times = (each) => Math.max(20, Math.round(seconds * each));

  const worker = await start(withLimiter(portico({ ...variables, SESSION_CACHE_SECONDS: "0" })));
  const person = { username: "ada", email: "ada@example.com", first_name: "Ada", last_name: "Lovelace" };
  const password = "correct horse battery staple";
  const registered = await ask(worker.url, "POST", "/v1/users", { body: { ...person, password } });
  let { access_token: token, refresh_token } = JSON.parse(registered.text);
  const read = (url) => () => ask(url, "GET", "/v1/sessions", { token });
  const signIn = () =>
    ask(worker.url, "POST", "/v1/sessions/login", { body: { username: person.username, password } });
  const refresh = async () => {
    const { text } = await ask(worker.url, "POST", "/v1/sessions/refresh", { body: { refresh_token } });
    ({ refresh_token } = JSON.parse(text));
  };
  const figures = async (worker, repeated, operation) => {
    const cpuMs = await cpuEach(worker, repeated, operation);
    return { cpuMs, calls: await callsOf(aws, operation) };
  };
  const measured = { authenticatedRead: await figures(worker, times(200), read(worker.url)) };
  measured.refresh = await figures(worker, times(80), refresh);
  measured.signIn = await figures(worker, times(10), signIn);
  await stop(worker.child);

  const remembering = await start(withLimiter(portico({ ...variables, SESSION_CACHE_SECONDS: "5" })));
  measured.authenticatedReadRemembered = await figures(remembering, times(200), read(remembering.url));
  await stop(remembering.child);
  await stop(aws.child);
  return measured;
}

async function measure() {
  const workers = [portico(alone)];
  workers.push(empty(await sameAnswer(workers[0])));
  const size = sizes();
  const [startMs, emptyStartMs] = await coldStarts(workers);
  const [ping, emptyPing] = await pings(workers);
  const each = await operations();
  return { machine: { cores: availableParallelism() }, size, startMs, emptyStartMs, ping, emptyPing, each };
}

// --- What is printed

const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const of = (value, target) => `${(value / target).toFixed(2)} of it`;

function operationRows(name, { cpuMs, calls }, target) {
  return [
    [`${name}, CPU`, ms(cpuMs), "", target ? `≤ ${target} ms` : "", target ? of(cpuMs, target) : ""],
    [`${name}, calls to AWS`, String(calls), "", "", ""],
  ];
}

function table({ machine, size, startMs, emptyStartMs, ping, emptyPing, each }) {
  const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
  const rows = [
    ["what", "Worker", "empty Worker", "target", "measured"],
    ["WebAssembly", kib(size.wasm.raw), "", "", ""],
    ["WebAssembly, gzip -9", kib(size.wasm.gzip), "", "≤ 600 KiB", of(size.wasm.gzip, 600 * 1024)],
    ["JavaScript", kib(size.js.raw), "", "", ""],
    ["JavaScript, gzip -9", kib(size.js.gzip), "", "", ""],
    [`start to first answer, median of ${COLD_STARTS}`, ms(startMs), ms(emptyStartMs), "≤ 30 ms more",
      `${(startMs - emptyStartMs).toFixed(0)} ms more`],
    [`ping, requests/s on ${CONNECTIONS} connections`, ping.perSecond.toFixed(0), emptyPing.perSecond.toFixed(0),
      "≥ 0.60 ×", `${(ping.perSecond / emptyPing.perSecond).toFixed(2)} ×`],
    ["ping, CPU", ms(ping.cpuMs), ms(emptyPing.cpuMs), "", `${(ping.cpuMs / emptyPing.cpuMs).toFixed(2)} ×`],
    ...operationRows("authenticated read", each.authenticatedRead, 1.5),
    ...operationRows("the same, session remembered", each.authenticatedReadRemembered, 1.5),
    ...operationRows("refresh", each.refresh, 3),
    ...operationRows("sign-in", each.signIn),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd();
  return [`On ${machine.cores} cores:`, "", ...rows.map(line)].join("\n");
}

process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const measured = await measure();
console.log(options.json ? JSON.stringify(measured, null, 2) : table(measured));
process.exit();
