//! A bounded queue from tasks to one thread: `tokio::sync::mpsc`.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use shuttle::sync::{Condvar, Mutex};

#[derive(Debug)]
struct Queue<T> {
    values: VecDeque<T>,
    bound: usize,
    sender_is_gone: bool,
    receiver_is_gone: bool,
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    arrived: Condvar,
}

/// Queues values.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

/// Takes values from the queue.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// The receiver is gone; here is the value.
#[derive(Debug)]
pub(crate) struct SendError<T>(pub(crate) T);

/// Nothing is queued.
#[derive(Debug)]
pub(crate) struct TryRecvError;

pub(crate) fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let (values, waiting) = (VecDeque::new(), Vec::new());
    let queue = Queue { values, bound, sender_is_gone: false, receiver_is_gone: false, waiting };
    let shared = Arc::new(Shared { queue: Mutex::new(queue), arrived: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Queues a value as soon as there is room.
    pub(crate) async fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut value = Some(value);
        poll_fn(|context| {
            let mut queue = self.0.queue.lock().expect("no panic while it is held");
            if queue.receiver_is_gone {
                return Poll::Ready(value.take().map_or(Ok(()), |value| Err(SendError(value))));
            }
            if queue.values.len() >= queue.bound {
                queue.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            queue.values.extend(value.take());
            self.0.arrived.notify_one();
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.queue.lock().expect("no panic while it is held").sender_is_gone = true;
        self.0.arrived.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Takes the next value, waiting for it; `None` once there will be none any more.
    pub(crate) fn blocking_recv(&mut self) -> Option<T> {
        let mut queue = self.0.queue.lock().expect("no panic while it is held");
        loop {
            if let Some(value) = take(&mut queue) {
                return Some(value);
            }
            if queue.sender_is_gone {
                return None;
            }
            queue = self.0.arrived.wait(queue).expect("no panic while it is held");
        }
    }

    /// Takes the next value, if there is one.
    pub(crate) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        take(&mut self.0.queue.lock().expect("no panic while it is held")).ok_or(TryRecvError)
    }
}

/// Takes a value, and lets those try again who wait for its place.
fn take<T>(queue: &mut Queue<T>) -> Option<T> {
    let value = queue.values.pop_front()?;
    queue.waiting.drain(..).for_each(Waker::wake);
    Some(value)
}

impl<T> Drop for Receiver<T> {
    /// What is queued goes, and with it the answers that somebody waits for.
    fn drop(&mut self) {
        let unread = {
            let mut queue = self.0.queue.lock().expect("no panic while it is held");
            queue.receiver_is_gone = true;
            queue.waiting.drain(..).for_each(Waker::wake);
            std::mem::take(&mut queue.values)
        };
        drop(unread);
    }
}
