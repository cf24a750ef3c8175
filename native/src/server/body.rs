//! The body of an incoming request, bounded in time.
//!
//! A client may pause, and may be slow, but not so slow that it merely occupies a connection.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use portico_core::http::body::{Body, BodyError};
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest pause between two pieces.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// How long a client may keep us waiting in all, however little it sends.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every so many bytes earn another second.
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// Tells, after the request was answered, whether its body came too slowly.
#[derive(Clone, Debug, Default)]
pub(super) struct Lateness(Arc<AtomicBool>);

impl Lateness {
    pub(super) fn is_late(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Makes core's body of hyper's.
pub(super) fn receive(incoming: Incoming) -> (Body, Lateness) {
    let late = Lateness::default();
    if incoming.is_end_stream() {
        return (Body::empty(), late);
    }
    (Body::stream(TimedBody::new(incoming, late.clone())), late)
}

struct TimedBody<B> {
    incoming: B,
    late: Lateness,
    received: u64,
    /// Only time in which we would have read on counts against the client.
    waited: Duration,
    waiting_since: Option<Instant>,
    deadline: Pin<Box<Sleep>>,
}

impl<B> TimedBody<B> {
    fn new(incoming: B, late: Lateness) -> Self {
        Self {
            incoming,
            late,
            received: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            deadline: Box::pin(sleep_until(Instant::now())),
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            let earned = Duration::from_secs(self.received / MIN_BYTES_PER_SECOND);
            let left = (PATIENCE + earned).saturating_sub(self.waited);
            self.deadline.as_mut().reset(now + left.min(MAX_PAUSE));
            self.waiting_since = Some(now);
        }
        self.deadline.as_mut().poll(context)
    }

    fn stop_waiting(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }
}

impl<B> Stream for TimedBody<B>
where
    B: http_body::Body<Data = Bytes, Error: fmt::Display> + Unpin,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
                ready!(self.poll_deadline(context));
                self.late.0.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(BodyError::new("the body came too slowly"))));
            };
            self.stop_waiting();
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::new(error.to_string())))),
                Some(Ok(frame)) => {
                    // Trailers carry nothing that the contract knows.
                    if let Ok(data) = frame.into_data() {
                        self.received += data.len() as u64;
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::{self, StreamExt};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// Reads a body of 100 pieces, one each so many seconds; tells how much came, and whether it was too late.
    async fn read(piece: &'static [u8], pause_seconds: u64) -> (usize, bool) {
        let pieces = stream::iter(0..100).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(pause_seconds)).await;
            Ok::<_, BodyError>(Frame::data(Bytes::from_static(piece)))
        });
        let late = Lateness::default();
        let mut body = TimedBody::new(StreamBody::new(pieces.boxed()), late.clone());
        let mut received = 0;
        while let Some(Ok(data)) = body.next().await {
            received += data.len();
        }
        (received, late.is_late())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_idle_nor_a_trickle() {
        assert_eq!(read(&[0; 4096], 2).await, (409_600, false));
        assert_eq!(read(&[0; 4096], 21).await, (0, true));
        let (received, late) = read(&[0; 1], 5).await;
        assert!(late && received < 10, "{received}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_does_not_count() {
        let pieces = stream::iter(0..20).map(|_| Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"x"))));
        let late = Lateness::default();
        let mut body = TimedBody::new(StreamBody::new(pieces), late.clone());
        while let Some(piece) = body.next().await {
            assert!(piece.is_ok());
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert!(!late.is_late());
    }
}
