//! The body of a request or an answer: nothing, bytes, or a stream of bytes.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, Stream, StreamExt};
use http_body::{Frame, SizeHint};

/// A body. Those of known size carry a `Content-Length`; only files stream.
#[derive(Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes in memory.
    Full(Bytes),
    /// Bytes to come.
    Stream(ByteStream),
}

/// Bytes to come. The mutex is never locked, only owned: it makes the stream `Sync`, so that a handler may hold a
/// reference to its request while it waits.
pub struct ByteStream(Mutex<BoxStream<'static, Result<Bytes, BodyError>>>);

impl Stream for ByteStream {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self(stream) = self.get_mut();
        stream.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream")
    }
}

/// A body broke off.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(String);

impl BodyError {
    /// A broken body; the detail is for the log.
    pub fn new(detail: impl Into<String>) -> Self {
        Self(detail.into())
    }
}

/// An announced length is believed once one part in so many of it has come.
const BELIEVED_FROM: usize = 16;

/// Why a body could not be read whole.
#[derive(Debug)]
pub enum ReadError {
    /// It exceeds the limit.
    TooLarge,
    /// It broke off.
    Broken(BodyError),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Empty
    }

    /// Bytes to come. Once they have ended they stay ended, however often they are asked for.
    pub fn stream(stream: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static) -> Self {
        Self::Stream(ByteStream(Mutex::new(stream.fuse().boxed())))
    }

    /// Reads the whole body, if it is at most `limit` bytes long. Room is made for the length that was announced, if
    /// any, once a part of it has come.
    ///
    /// # Errors
    /// [`ReadError`]; no more than `limit` bytes are ever held.
    pub async fn read(self, limit: usize, announced: Option<u64>) -> Result<Bytes, ReadError> {
        match self {
            Self::Empty => Ok(Bytes::new()),
            Self::Full(bytes) if bytes.len() > limit => Err(ReadError::TooLarge),
            Self::Full(bytes) => Ok(bytes),
            Self::Stream(mut stream) => {
                let mut whole = BytesMut::new();
                while let Some(chunk) = stream.next().await {
                    let chunk = chunk.map_err(ReadError::Broken)?;
                    if whole.len() + chunk.len() > limit {
                        return Err(ReadError::TooLarge);
                    }
                    make_room(&mut whole, chunk.len(), announced, limit);
                    whole.extend_from_slice(&chunk);
                }
                Ok(whole.freeze())
            }
        }
    }
}

/// Makes room for a piece. Growing by doubling alone would end at twice what is needed and leave its halves behind;
/// believing any announcement would give room to who sends nothing.
fn make_room(whole: &mut BytesMut, piece: usize, announced: Option<u64>, limit: usize) {
    let needed = whole.len() + piece;
    if needed <= whole.capacity() {
        return;
    }
    let announced = announced.and_then(|length| usize::try_from(length).ok()).map(|length| length.min(limit));
    let believed = announced.filter(|length| needed >= length / BELIEVED_FROM);
    let room = believed.unwrap_or(2 * whole.capacity()).max(needed);
    whole.reserve(room - whole.len());
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Body::Empty"),
            Self::Full(bytes) => write!(f, "Body::Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Body::Stream"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => stream.poll_next_unpin(context).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The room there is after each of so many pieces of 64 KiB.
    fn room(pieces: usize, announced: Option<u64>, limit: usize) -> Vec<usize> {
        let (mut whole, piece) = (BytesMut::new(), [0; 65_536]);
        let grow = |_| {
            make_room(&mut whole, piece.len(), announced, limit);
            whole.extend_from_slice(&piece);
            whole.capacity()
        };
        (0..pieces).map(grow).collect()
    }

    #[test]
    fn room_is_made_at_once_for_what_has_begun_to_come() {
        const KIB: usize = 1024;
        let announced = 9 * 1024 * KIB;
        let grown = room(144, Some(announced as u64), 10 * 1024 * KIB);
        assert!(grown[..8].iter().all(|&room| room <= 1024 * KIB), "an announcement is not believed yet");
        assert!(grown[16..].iter().all(|&room| room == announced), "{grown:?}");
        assert_eq!(room(1, Some(65_536), 65_536), [64 * KIB]);
        assert_eq!(room(1, Some(u64::MAX), 256 * KIB), [256 * KIB], "no more than is allowed");
        assert_eq!(room(3, Some(1), 1024 * KIB)[2], 256 * KIB, "more than was announced may come");
        assert_eq!(room(9, None, 10 * 1024 * KIB)[8], 1024 * KIB);
    }
}
