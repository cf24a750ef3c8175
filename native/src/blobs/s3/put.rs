//! An object on its way in: at once if it is short, else in parts, one sent while the next is received.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::{Config, config};
use aws_smithy_types::base64;
use bytes::{Bytes, BytesMut};
use portico_core::http::body::Body;
use portico_core::ports::blobs::{BlobError, BlobErrorKind, BlobInfo, BlobKey, PutTerms};
use portico_core::ports::blobs_ext::{Intake, exists, next_piece};

use super::get::{self, HASH, MARK};
use super::parts::{self, PART_BYTES};
use super::{S3Blobs, failure, timeouts};

/// How long to wait before a put that met another one of the same key is tried again.
const PAUSES_MS: [u64; 4] = [50, 200, 500, 1000];

pub(super) async fn put(
    blobs: &S3Blobs,
    key: &BlobKey,
    terms: &PutTerms,
    body: Body,
) -> Result<BlobInfo, BlobError> {
    let mut incoming = Incoming::new(terms, body)?;
    let target = Target::new(blobs, key, terms)?;
    let first = incoming.part(PART_BYTES).await?;
    if incoming.has_ended() {
        put_at_once(&target, first, incoming.finish()?).await
    } else {
        parts::put(target, first, incoming).await
    }
}

async fn put_at_once(target: &Target, bytes: Bytes, info: BlobInfo) -> Result<BlobInfo, BlobError> {
    let mut pauses = PAUSES_MS.iter();
    loop {
        let Err(error) = send(target, &bytes, &info).await else { return Ok(info) };
        match pauses.next() {
            Some(pause) if is_conflict(&error) => tokio::time::sleep(Duration::from_millis(*pause)).await,
            _ => return target.settle("an object cannot be written", error).await.map(|()| info),
        }
    }
}

async fn send(target: &Target, bytes: &Bytes, info: &BlobInfo) -> Result<(), SdkError<PutObjectError>> {
    let Target { blobs, key, mark, .. } = target;
    let hash = info.sha256.as_ref();
    let request = blobs.client.put_object().bucket(&blobs.bucket).key(key.as_str());
    let request = request
        .content_type(&info.content_type)
        .set_checksum_sha256(hash.map(base64::encode))
        .metadata(MARK, mark)
        .metadata(HASH, hash.map(|hash| base16ct::lower::encode_string(hash)).unwrap_or_default())
        .set_if_none_match(target.if_none_match())
        .body(ByteStream::from(bytes.clone()));
    request.customize().config_override(patient(bytes.len())).send().await.map(drop)
}

/// Settings of a request with a body of so many bytes.
pub(super) fn patient(length: usize) -> config::Builder {
    Config::builder().timeout_config(timeouts(length as u64))
}

/// Whether a conditional put has met another one of the same key, and may be tried again.
fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    failure::code(error) == Some("ConditionalRequestConflict")
}

/// What a put is to make.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) blobs: S3Blobs,
    pub(super) key: BlobKey,
    pub(super) terms: PutTerms,
    /// By which the object will be known for this put's.
    pub(super) mark: String,
}

impl Target {
    fn new(blobs: &S3Blobs, key: &BlobKey, terms: &PutTerms) -> Result<Self, BlobError> {
        let mut mark = [0; 16];
        getrandom::fill(&mut mark).map_err(|error| {
            BlobError::new(BlobErrorKind::Unavailable, "the system gives no random bytes").caused_by(error)
        })?;
        let mark = base16ct::lower::encode_string(&mark);
        Ok(Self { blobs: blobs.clone(), key: key.clone(), terms: terms.clone(), mark })
    }

    pub(super) fn if_none_match(&self) -> Option<String> {
        self.terms.only_if_absent.then(|| "*".to_owned())
    }

    /// Finds out what became of a put that was refused or not answered. Whatever looks like a refusal may be the answer
    /// to the second attempt of a request whose first was done.
    pub(super) async fn settle<E>(&self, what: &'static str, error: SdkError<E>) -> Result<(), BlobError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let refused = matches!(failure::status(&error), Some(409 | 412));
        match get::head(&self.blobs, &self.key).await {
            Ok(Some(found)) if found.mark.as_ref() == Some(&self.mark) => Ok(()),
            Ok(Some(_)) if refused => Err(exists()),
            _ if failure::status(&error) == Some(412) => Err(exists()),
            _ => Err(failure::of(what, error)),
        }
    }
}

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
    fn new(terms: &PutTerms, body: Body) -> Result<Self, BlobError> {
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
    use futures::stream;

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

    #[tokio::test]
    async fn a_body_is_cut_into_equal_parts_however_it_comes() {
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
            assert_eq!(parts(pieces, 10).await, expected, "{pieces:?}");
        }
    }
}
