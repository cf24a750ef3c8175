// What the runtime calls. It takes the place of worker-build's own entry point, which puts proxies around each object and each
// call to begin anew after a panic; so much can be done without.

import { WorkerEntrypoint } from "cloudflare:workers";
import { __wbg_reset_state, __worker_init_state, fetch, scheduled } from "./index.js";

Error.stackTraceLimit = 100;

// A panic notes it here too.
const state = __worker_init_state();

addEventListener("error", ({ error }) => note(error));

export default class extends WorkerEntrypoint {
  fetch(request) {
    return handle(fetch, request, this);
  }

  scheduled(event) {
    return handle(scheduled, event, this);
  }
}

async function handle(handler, event, { env, ctx }) {
  if (state.criticalError) begin();
  try {
    return await handler(event, env, ctx);
  } catch (error) {
    note(error);
    throw error;
  }
}

// What WebAssembly left behind when it was cut off cannot be relied on.
function note(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  console.error("WebAssembly was cut off: the next request begins anew", error);
  state.criticalError = true;
}

// Begins anew, with nothing kept.
function begin() {
  __wbg_reset_state();
  state.criticalError = false;
  state.instanceId += 1;
}
