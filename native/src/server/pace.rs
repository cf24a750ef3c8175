//! A connection whose client may be slow to take an answer, but not so slow that it merely occupies us.
//!
//! The pace is that of bodies ([`super::body`]), the other way round. It is measured from time to time anew, so that
//! what a client took quickly once does not pay for a trickle later.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long we may be kept from writing, until so much was taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// What must be taken in that time.
const ENOUGH_BYTES: usize = 30 * 1024;

/// What can be given up at once, with all that was not taken.
pub(super) trait HangUp {
    fn hang_up(&self);
}

impl HangUp for TcpStream {
    fn hang_up(&self) {
        // Otherwise the system would go on offering the rest.
        let _set = self.set_zero_linger();
    }
}

/// A connection that ends with an error when its client takes too little.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    /// What was taken since the measuring began, and how long we were kept from writing.
    taken: usize,
    waited: Duration,
    waiting_since: Option<Instant>,
    deadline: Pin<Box<Sleep>>,
}

impl<S: HangUp> Paced<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            taken: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            deadline: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// What to make of an attempt to write.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        attempt: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(outcome) = attempt else {
            ready!(self.poll_deadline(context));
            self.stream.hang_up();
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the answer is taken too slowly",
            )));
        };
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.taken += outcome.as_ref().map_or(0, |written| *written);
        if self.taken >= ENOUGH_BYTES {
            (self.taken, self.waited) = (0, Duration::ZERO);
        }
        Poll::Ready(outcome)
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.deadline.as_mut().reset(now + PATIENCE.saturating_sub(self.waited));
            self.waiting_since = Some(now);
        }
        self.deadline.as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + HangUp + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, attempt)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    impl HangUp for DuplexStream {
        fn hang_up(&self) {}
    }

    /// Writes so many bytes to a client that first takes `at_once`, and then `piece` bytes every so many seconds.
    async fn write(length: usize, at_once: usize, piece: usize, pause_seconds: u64) -> io::Result<()> {
        let (ours, mut theirs) = duplex(1024);
        let client = tokio::spawn(async move {
            let mut buffer = vec![0; at_once.max(piece)];
            theirs.read_exact(&mut buffer[..at_once]).await?;
            loop {
                tokio::time::sleep(Duration::from_secs(pause_seconds)).await;
                theirs.read_exact(&mut buffer[..piece]).await?;
            }
            #[expect(unreachable_code, reason = "it names the type of the error")]
            io::Result::Ok(())
        });
        let outcome = Paced::new(ours).write_all(&vec![7; length]).await;
        client.abort();
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_be_taken_slowly_but_not_as_a_trickle() {
        write(400 * 1024, 0, 4096, 2).await.unwrap();
        write(400 * 1024, 0, 16 * 1024, 14).await.unwrap();
        for (piece, pause_seconds) in [(1, 1), (4096, 31), (100, 2), (1024, 2)] {
            let error = write(400 * 1024, 0, piece, pause_seconds).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{piece} bytes every {pause_seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_at_once_pays_for_no_trickle() {
        let begun = Instant::now();
        write(20 << 20, 10 << 20, 100, 1).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(70), "{:?}", begun.elapsed());
    }
}
