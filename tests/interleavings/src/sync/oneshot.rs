//! One value from one task to another: `tokio::sync::oneshot`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use shuttle::sync::Mutex;

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    sender_is_gone: bool,
    receiver_is_gone: bool,
    waiting: Option<Waker>,
}

/// Sends the value.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Mutex<Slot<T>>>);

/// Becomes the value.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Mutex<Slot<T>>>);

/// The sender went without having sent.
#[derive(Debug)]
pub(crate) struct RecvError;

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Slot { value: None, sender_is_gone: false, receiver_is_gone: false, waiting: None };
    let slot = Arc::new(Mutex::new(slot));
    (Sender(slot.clone()), Receiver(slot))
}

impl<T> Sender<T> {
    /// Sends the value; gives it back if nobody can receive it any more.
    pub(crate) fn send(self, value: T) -> Result<(), T> {
        let mut slot = self.0.lock().expect("no panic while it is held");
        if slot.receiver_is_gone {
            return Err(value);
        }
        slot.value = Some(value);
        Ok(())
    }

    /// Whether nobody can receive the value any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().expect("no panic while it is held").receiver_is_gone
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut slot = self.0.lock().expect("no panic while it is held");
            slot.sender_is_gone = true;
            slot.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().expect("no panic while it is held");
        match slot.value.take() {
            Some(value) => Poll::Ready(Ok(value)),
            None if slot.sender_is_gone => Poll::Ready(Err(RecvError)),
            None => {
                slot.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unread = {
            let mut slot = self.0.lock().expect("no panic while it is held");
            slot.receiver_is_gone = true;
            slot.value.take()
        };
        drop(unread);
    }
}
