//! Work beyond the answer: the runtime keeps it alive by `waitUntil`, which belongs to the event that asks for it.
//!
//! The app is one for all requests, and does not know which of them it works for. So each future of a request tells, as
//! long as it is polled, whose it is.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, LocalBoxFuture};
use portico_core::ports::background::Background;
use worker::{Context, ScheduleContext};

/// Keeps a future of one event alive.
type WaitUntil = Rc<dyn Fn(LocalBoxFuture<'static, ()>)>;

thread_local! {
    /// Of the event whose future is polled just now.
    static CURRENT: RefCell<Option<WaitUntil>> = const { RefCell::new(None) };
}

/// Runs a request's work, and what it spawns, for the request's event. Work that may change something goes on if the
/// client hangs up; `None` if it was cut off all the same.
pub(super) async fn within<T: 'static>(
    context: Context,
    may_be_dropped: bool,
    work: impl Future<Output = T> + 'static,
) -> Option<T> {
    let wait_until: WaitUntil = Rc::new(move |work| context.wait_until(work));
    let work = Within { work: work.boxed_local(), wait_until: wait_until.clone() };
    if may_be_dropped {
        return Some(work.await);
    }
    let (done, outcome) = oneshot::channel();
    // The client may be gone by then.
    wait_until(work.map(|value| drop(done.send(value))).boxed_local());
    outcome.await.ok()
}

/// Runs the work of a cron trigger, and what it spawns.
pub(super) async fn after(context: ScheduleContext, work: impl Future<Output = ()> + 'static) {
    let wait_until: WaitUntil = Rc::new(move |work| context.wait_until(work));
    Within { work: work.boxed_local(), wait_until }.await;
}

/// A future of one event.
struct Within<T> {
    work: LocalBoxFuture<'static, T>,
    wait_until: WaitUntil,
}

impl<T> Future for Within<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<T> {
        let before = CURRENT.replace(Some(self.wait_until.clone()));
        let poll = self.work.poll_unpin(context);
        CURRENT.set(before);
        poll
    }
}

/// Hands work to the event that asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventBackground;

impl Background for EventBackground {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        match CURRENT.with_borrow(Clone::clone) {
            Some(wait_until) => {
                let work = Within { work, wait_until: wait_until.clone() };
                wait_until(work.boxed_local());
            }
            // Whatever was promised is in the outbox, which the cron trigger empties.
            None => {
                tracing::warn!("work after the answer belongs to no event: it waits for the cron trigger")
            }
        }
    }
}
