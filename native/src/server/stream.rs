//! A client's stream that can change hands between two requests: it knows whether something is half read or half
//! written, and takes back what was read too far.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// How an HTTP/2 client begins (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A client's stream.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    stream: S,
    /// What was read already, and is to be read again.
    ahead: Bytes,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> ClientStream<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, ahead: Bytes::new(), activity }
    }

    /// Waits for as many bytes as it takes to tell what the client speaks; they remain to be read.
    pub(super) async fn protocol(&mut self) -> io::Result<Protocol> {
        let mut first = BytesMut::with_capacity(HTTP2_PREFACE.len());
        while HTTP2_PREFACE.starts_with(&first) && first.len() < HTTP2_PREFACE.len() {
            if self.stream.read_buf(&mut first).await? == 0 {
                break;
            }
        }
        let is_http2 = first.starts_with(HTTP2_PREFACE);
        self.ahead = first.freeze();
        Ok(if is_http2 { Protocol::Http2 } else { Protocol::Http1 })
    }

    /// Takes back what somebody read and did not need.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        // A copy, which is nearly always empty: the original is a part of all that was ever read.
        self.ahead = [bytes, &self.ahead].concat().into();
    }

    /// Waits for the client, with next to no memory; false if nothing more will come.
    pub(super) async fn wait(&mut self) -> io::Result<bool> {
        if self.ahead.is_empty() {
            let mut first = [0; 1];
            let read = self.stream.read(&mut first).await?;
            self.ahead = Bytes::copy_from_slice(&first[..read]);
        }
        Ok(!self.ahead.is_empty())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            if buffer.filled().len() > before {
                self.activity.has_read();
            }
        } else {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            if self.ahead.is_empty() {
                // Frees what it was part of.
                self.ahead = Bytes::new();
            }
            self.activity.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.is_writing(true);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.is_writing(true);
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // It is asked to flush once everything has been written.
        self.activity.is_writing(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    /// What is made of these first bytes, and what can be read afterwards.
    async fn recognise(pieces: &[&[u8]]) -> (Protocol, Vec<u8>) {
        let (ours, mut theirs) = duplex(1);
        let pieces = pieces.concat();
        let client = tokio::spawn(async move {
            theirs.write_all(&pieces).await.unwrap();
        });
        let mut stream = ClientStream::new(ours, Arc::default());
        let protocol = stream.protocol().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        client.await.unwrap();
        (protocol, rest)
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol_and_are_not_lost() {
        let get = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(recognise(&[get]).await, (Protocol::Http1, get.to_vec()));
        let http2 = [HTTP2_PREFACE, b"frames"].concat();
        assert_eq!(recognise(&[&http2]).await, (Protocol::Http2, http2));
        for odd in [&b"PRI"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"P", b""] {
            assert_eq!(recognise(&[odd]).await, (Protocol::Http1, odd.to_vec()));
        }
    }

    #[tokio::test]
    async fn what_was_waited_for_or_given_back_is_read_first() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = ClientStream::new(ours, Arc::default());
        theirs.write_all(b"abc").await.unwrap();
        assert!(stream.wait().await.unwrap() && stream.wait().await.unwrap());
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"abc");
        stream.unread(b"de");
        theirs.write_all(b"f").await.unwrap();
        assert!(stream.wait().await.unwrap());
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"def");
        stream.unread(b"hi");
        stream.unread(b"g");
        stream.read_exact(&mut three).await.unwrap();
        assert_eq!(&three, b"ghi");
        drop(theirs);
        assert!(!stream.wait().await.unwrap());
    }
}
