//! What is JavaScript's: the events that the runtime hands over, and the ports that only it can serve.
//!
//! Nothing that belongs to one request (a promise, a stream) outlives it: the runtime forbids another to touch it.

mod background;
mod clock;
mod entropy;
mod exchange;
mod fetch;
mod isolate;
mod limiter;
mod log;
mod signer;

use worker::{Context, Env, Response, Result, ScheduleContext, ScheduledEvent, event, web_sys};

#[event(start)]
fn start() {
    log::start();
}

/// Answers a request. Never fails: every failure is an answer.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<Response> {
    let request = exchange::receive(request).await?;
    let id = isolate::request_id(request.headers());
    let isolate = match isolate::get(&env).await {
        Ok(isolate) => isolate,
        Err(refusal) => return exchange::answer(refusal.answer(&id)),
    };
    let app = isolate.app.clone();
    let is_safe = request.method().is_safe();
    let answer = background::within(context, is_safe, async move { app.handle(request).await }).await;
    exchange::answer(answer.unwrap_or_else(|| isolate::cut_off(&id)))
}

/// Does what the outbox still holds, as often as the cron trigger says.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, context: ScheduleContext) {
    match isolate::get(&env).await {
        Ok(isolate) => background::after(context, isolate::drain(isolate.app.clone())).await,
        Err(refusal) => refusal.log(),
    }
}
