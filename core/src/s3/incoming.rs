//! A body on its way in, cut into parts. No more of it is held than a part and the piece behind it.

use bytes::{Bytes, BytesMut};

use crate::{
    http::body::Body,
    ports::{
        blobs::{BlobError, BlobInfo, PutTerms},
        blobs_ext::{Intake, next_piece},
    },
};

/// A body, cut into parts.
#[derive(Debug)]
pub(super) struct Incoming {
    body: Body,
    intake: Intake,
    /// What has come of the next part.
    rest: Bytes,
    is_received: bool,
}

impl Incoming {
    pub(super) fn new(terms: &PutTerms, body: Body) -> Result<Self, BlobError> {
        Ok(Self { body, intake: Intake::new(terms)?, rest: Bytes::new(), is_received: false })
    }

    /// The next part: of just so many bytes, or what is left.
    pub(super) async fn part(&mut self, size: usize) -> Result<Bytes, BlobError> {
        let mut part = BytesMut::new();
        // Only the piece behind a part tells whether the part is the last.
        while self.rest.is_empty() && !self.is_received || part.is_empty() && !self.rest.is_empty() {
            if self.rest.is_empty() {
                self.receive().await?;
            }
            part.extend_from_slice(&self.rest.split_to(self.rest.len().min(size - part.len())));
        }
        Ok(part.freeze())
    }

    async fn receive(&mut self) -> Result<(), BlobError> {
        match next_piece(&mut self.body).await? {
            Some(piece) => {
                self.intake.take(&piece)?;
                self.rest = piece;
            }
            None => self.is_received = true,
        }
        Ok(())
    }

    /// Whether there are no more parts.
    pub(super) fn has_ended(&self) -> bool {
        self.is_received && self.rest.is_empty()
    }

    /// What the body was.
    pub(super) fn finish(self) -> Result<BlobInfo, BlobError> {
        self.intake.finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, stream};

    use super::*;

    async fn parts(pieces: &[usize], size: usize) -> Vec<usize> {
        let pieces: Vec<_> = pieces.iter().map(|length| Ok(Bytes::from(vec![7; *length]))).collect();
        let body = Body::stream(stream::iter(pieces));
        let mut incoming = Incoming::new(&PutTerms::up_to(1000, "text/plain"), body).unwrap();
        let mut sizes = Vec::new();
        while sizes.is_empty() || !incoming.has_ended() {
            sizes.push(incoming.part(size).await.unwrap().len());
        }
        assert_eq!(incoming.finish().unwrap().length, sizes.iter().sum::<usize>() as u64);
        sizes
    }

    #[test]
    fn a_body_is_cut_into_equal_parts_however_it_comes() {
        for (pieces, expected) in [
            (&[][..], &[0][..]),
            (&[0, 0], &[0]),
            (&[9], &[9]),
            (&[10], &[10]),
            (&[10, 0], &[10]),
            (&[11], &[10, 1]),
            (&[10, 10], &[10, 10]),
            (&[35], &[10, 10, 10, 5]),
            (&[3, 3, 3, 3, 3, 3, 3], &[10, 10, 1]),
            (&[1, 25, 0, 4], &[10, 10, 10]),
        ] {
            assert_eq!(block_on(parts(pieces, 10)), expected, "{pieces:?}");
        }
    }
}
