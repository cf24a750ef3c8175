//! What S3 does and s3s-fs does not, run between the check of the signature and the operation.
//!
//! - A bucket that is not there is said to be missing, also when an object is put into it.
//! - What is uploaded is compared with its checksums before anything is stored.
//! - Operations that write one object follow one another, so that of many that must not overwrite only one
//!   wins.
//! - Any key is a name for a file, however long it is and whatever begins with it: the file bears the key's hash.
//! - Whoever reads an object waits for who writes it, so that bytes and what is told of them belong together.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use http::{HeaderMap, StatusCode};
use s3s::access::{S3Access, S3AccessContext};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, Checksum, CompleteMultipartUploadInput, CopyObjectInput,
    CreateMultipartUploadInput, DeleteObjectInput, GetObjectInput, HeadObjectInput, PutObjectInput,
    StreamingBlob, UploadPartInput,
};
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Result, StdError, TrailingHeaders, s3_error};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Objects share so many locks.
const LOCKS: usize = 256;

#[derive(Debug)]
pub(crate) struct Rules {
    folder: PathBuf,
    locks: Vec<Arc<Mutex<()>>>,
}

impl Rules {
    pub(crate) fn new(folder: &Path) -> Self {
        let locks = (0..LOCKS).map(|_| Arc::default()).collect();
        Self { folder: folder.to_owned(), locks }
    }

    /// Holds back other writers of the object until the request is done with.
    async fn lock<T>(&self, bucket: &str, key: &str, request: &mut S3Request<T>) {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default();
        if let Some(lock) = self.locks.get(place) {
            request.extensions.insert(Arc::new(Arc::clone(lock).lock_owned().await));
        }
    }
}

#[async_trait]
impl S3Access for Rules {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        match context.s3_path().get_bucket_name() {
            Some(bucket)
                if context.s3_op().name() != "CreateBucket" && !self.folder.join(bucket).is_dir() =>
            {
                Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
            }
            _ => Ok(()),
        }
    }

    async fn get_object(&self, request: &mut S3Request<GetObjectInput>) -> S3Result<()> {
        let (bucket, key) = (request.input.bucket.clone(), place(&mut request.input.key));
        self.lock(&bucket, &key, request).await;
        Ok(())
    }

    async fn head_object(&self, request: &mut S3Request<HeadObjectInput>) -> S3Result<()> {
        let (bucket, key) = (request.input.bucket.clone(), place(&mut request.input.key));
        self.lock(&bucket, &key, request).await;
        Ok(())
    }

    async fn create_multipart_upload(
        &self,
        request: &mut S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<()> {
        place(&mut request.input.key);
        Ok(())
    }

    async fn abort_multipart_upload(
        &self,
        request: &mut S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<()> {
        place(&mut request.input.key);
        Ok(())
    }

    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        let input = &mut request.input;
        let bytes = receive(input.body.take()).await?;
        let claimed = Claimed {
            md5: input.content_md5.clone(),
            crc32: input.checksum_crc32.clone(),
            crc32c: input.checksum_crc32c.clone(),
            crc64nvme: input.checksum_crc64nvme.clone(),
            sha1: input.checksum_sha1.clone(),
            sha256: input.checksum_sha256.clone(),
        };
        claimed.or_trailers(request.trailing_headers.as_ref()).compare(&bytes)?;
        input.body = Some(StreamingBlob::from(Body::from(bytes)));
        let (bucket, key) = (input.bucket.clone(), place(&mut input.key));
        self.lock(&bucket, &key, request).await;
        Ok(())
    }

    async fn upload_part(&self, request: &mut S3Request<UploadPartInput>) -> S3Result<()> {
        let input = &mut request.input;
        let bytes = receive(input.body.take()).await?;
        let claimed = Claimed {
            md5: input.content_md5.clone(),
            crc32: input.checksum_crc32.clone(),
            crc32c: input.checksum_crc32c.clone(),
            crc64nvme: input.checksum_crc64nvme.clone(),
            sha1: input.checksum_sha1.clone(),
            sha256: input.checksum_sha256.clone(),
        };
        claimed.or_trailers(request.trailing_headers.as_ref()).compare(&bytes)?;
        input.body = Some(StreamingBlob::from(Body::from(bytes)));
        Ok(())
    }

    async fn complete_multipart_upload(
        &self,
        request: &mut S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<()> {
        let (bucket, key) = (request.input.bucket.clone(), place(&mut request.input.key));
        self.lock(&bucket, &key, request).await;
        Ok(())
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        let (bucket, key) = (request.input.bucket.clone(), place(&mut request.input.key));
        self.lock(&bucket, &key, request).await;
        Ok(())
    }

    async fn delete_object(&self, request: &mut S3Request<DeleteObjectInput>) -> S3Result<()> {
        let (bucket, key) = (request.input.bucket.clone(), place(&mut request.input.key));
        self.lock(&bucket, &key, request).await;
        Ok(())
    }
}

/// Puts the name of the file that keeps an object in the place of its key.
fn place(key: &mut String) -> String {
    *key = format!("{:032x}", u128::from_be_bytes(Md5::checksum(key.as_bytes())));
    key.clone()
}

/// The checksums that came with an upload, in base64.
struct Claimed {
    md5: Option<String>,
    crc32: Option<String>,
    crc32c: Option<String>,
    crc64nvme: Option<String>,
    sha1: Option<String>,
    sha256: Option<String>,
}

impl Claimed {
    /// Adds those that came behind the body.
    fn or_trailers(self, trailers: Option<&TrailingHeaders>) -> Self {
        let trailers = trailers.and_then(|trailers| trailers.read(HeaderMap::clone)).unwrap_or_default();
        let trailer = |algorithm: &str| {
            let value = trailers.get(format!("x-amz-checksum-{algorithm}"))?;
            value.to_str().ok().map(str::to_owned)
        };
        Self {
            md5: self.md5,
            crc32: self.crc32.or_else(|| trailer("crc32")),
            crc32c: self.crc32c.or_else(|| trailer("crc32c")),
            crc64nvme: self.crc64nvme.or_else(|| trailer("crc64nvme")),
            sha1: self.sha1.or_else(|| trailer("sha1")),
            sha256: self.sha256.or_else(|| trailer("sha256")),
        }
    }

    fn compare(self, bytes: &[u8]) -> S3Result<()> {
        let mut hasher = ChecksumHasher {
            crc32: self.crc32.as_ref().map(|_| Default::default()),
            crc32c: self.crc32c.as_ref().map(|_| Default::default()),
            crc64nvme: self.crc64nvme.as_ref().map(|_| Default::default()),
            sha1: self.sha1.as_ref().map(|_| Default::default()),
            sha256: self.sha256.as_ref().map(|_| Default::default()),
        };
        hasher.update(bytes);
        let Checksum {
            checksum_crc32,
            checksum_crc32c,
            checksum_crc64nvme,
            checksum_sha1,
            checksum_sha256,
            ..
        } = hasher.finalize();
        let md5 = self.md5.as_ref().map(|_| STANDARD.encode(Md5::checksum(bytes)));
        let pairs = [
            ("MD5", self.md5, md5),
            ("CRC32", self.crc32, checksum_crc32),
            ("CRC32C", self.crc32c, checksum_crc32c),
            ("CRC64NVME", self.crc64nvme, checksum_crc64nvme),
            ("SHA1", self.sha1, checksum_sha1),
            ("SHA256", self.sha256, checksum_sha256),
        ];
        match pairs.into_iter().find(|(_, claimed, found)| claimed != found) {
            Some((name, ..)) => {
                Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."))
            }
            None => Ok(()),
        }
    }
}

/// Takes in an upload to its end, where the hash or the signatures of its chunks turn out right or wrong.
async fn receive(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else {
        return Ok(Bytes::new());
    };
    let chunks: Vec<Bytes> = body.try_collect().await.map_err(|error| wrong_upload(&error))?;
    Ok(Bytes::from(chunks.concat()))
}

fn wrong_upload(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut error = S3Error::with_message(code, message);
        error.set_status_code(StatusCode::BAD_REQUEST);
        return error;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "The signature of a chunk does not match.");
    }
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header."
    )
}
