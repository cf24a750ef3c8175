//! A bucket, and bodies to put into it.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use portico::background::TokioBackground;
use portico::blobs::s3::SdkClient;
use portico::clock::SystemClock;
use portico::entropy::SystemEntropy;
use portico_core::config::aws::AwsSettings;
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::blobs::{BlobKey, Blobs, PutTerms};
use portico_core::ports::clock::Clock;
use portico_core::s3::blobs::S3Blobs;
use portico_core::s3::client::S3Client;
use portico_edge::aws::s3::FetchClient;
use tempfile::TempDir;
use tokio::runtime::Handle;

use portico_tests::emulators::{Emulators, account, config};

pub const MIB: usize = 1024 * 1024;

/// What is put at once is no longer than this.
pub const PART: usize = 8 * MIB;

pub const BUCKET: &str = "portico-files";

/// What sends requests to S3.
#[derive(Clone, Copy, Debug)]
pub enum Adapter {
    /// Amazon's SDK, as natively.
    Sdk,
    /// Signed HTTP requests, as on the edge.
    Fetch,
}

impl Adapter {
    /// The blobs of a bucket, with the emulators' key.
    pub fn blobs(self, emulators: &Emulators, bucket: &str) -> S3Blobs {
        self.blobs_with(&emulators.settings(), bucket, Arc::new(SystemClock))
    }

    /// The same, with a key and at a time of one's own.
    pub fn blobs_with(self, settings: &AwsSettings, bucket: &str, clock: Arc<dyn Clock>) -> S3Blobs {
        let client: Arc<dyn S3Client> = match self {
            Self::Sdk => Arc::new(sdk_client(&config(settings), bucket)),
            Self::Fetch => Arc::new(FetchClient::new(account(settings, clock.clone()), bucket)),
        };
        blobs_at(client, clock)
    }
}

/// Blobs as the program has them.
pub fn blobs_of(client: impl S3Client) -> S3Blobs {
    blobs_at(Arc::new(client), Arc::new(SystemClock))
}

fn blobs_at(client: Arc<dyn S3Client>, clock: Arc<dyn Clock>) -> S3Blobs {
    let background = Arc::new(TokioBackground::new(Handle::current()));
    S3Blobs::new(client, clock, Arc::new(SystemEntropy), background)
}

pub fn sdk_client(config: &SdkConfig, bucket: &str) -> SdkClient {
    SdkClient::new(config, bucket.to_owned(), true)
}

/// An empty bucket.
#[derive(Debug)]
pub struct Bucket {
    pub adapter: Adapter,
    pub emulators: Emulators,
    pub blobs: S3Blobs,
    folder: TempDir,
}

impl Bucket {
    pub async fn new(adapter: Adapter) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulators = Emulators::start_with(&["--data", folder.path().to_str().unwrap()]);
        sdk_client(&emulators.config(), BUCKET).prepare().await.unwrap();
        emulators.forget_calls().await;
        let blobs = adapter.blobs(&emulators, BUCKET);
        Self { adapter, emulators, blobs, folder }
    }

    /// One for each adapter.
    pub async fn each() -> [Self; 2] {
        [Self::new(Adapter::Sdk).await, Self::new(Adapter::Fetch).await]
    }

    pub async fn calls(&self, operation: &str) -> u64 {
        self.emulators.calls("s3", operation).await
    }

    /// Lets an operation go wrong.
    pub async fn misbehave(&self, operation: &str, action: &str, times: u64) {
        let rule =
            serde_json::json!({"service": "s3", "operation": operation, "action": action, "times": times});
        self.emulators.misbehave(rule).await;
    }

    pub async fn read(&self, key: &BlobKey) -> Option<Bytes> {
        let blob = self.blobs.get(key, None).await.unwrap()?;
        Some(blob.body.read(usize::MAX, None).await.unwrap())
    }

    /// A client that knows nothing of blobs.
    pub fn client(&self) -> Client {
        let config =
            aws_sdk_s3::config::Builder::from(&self.emulators.config()).force_path_style(true).build();
        Client::from_conf(config)
    }

    /// Uploads in parts that were neither completed nor aborted, and their parts: the emulators do not list them, but
    /// keep each as a file.
    pub fn leftovers(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path().join("s3")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".upload")).count()
    }
}

pub fn key(text: &str) -> BlobKey {
    BlobKey::parse(text).unwrap()
}

pub fn terms() -> PutTerms {
    PutTerms::up_to(1 << 30, "text/plain")
}

/// Pieces of a mebibyte each, in which no two are alike.
pub fn pieces(count: usize) -> impl futures::Stream<Item = Result<Bytes, BodyError>> + Send {
    stream::iter(0..count).map(|n| Ok(piece(n)))
}

pub fn piece(n: usize) -> Bytes {
    let mut piece = vec![u8::try_from(n % 251).unwrap(); MIB];
    piece[..8].copy_from_slice(&(n as u64).to_be_bytes());
    piece.into()
}

/// So many mebibytes.
pub fn body(count: usize) -> Body {
    Body::stream(pieces(count))
}

pub fn bytes(count: usize) -> Vec<u8> {
    (0..count).flat_map(piece).collect()
}
