//! Items in DynamoDB, files in S3, SMS through SNS.

use std::sync::Arc;

use aws_config::SdkConfig;
use portico_core::dynamo::mismatch::Mismatch;
use portico_core::dynamo::store::DynamoStore;
use portico_core::ports::background::Background;
use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;
use portico_core::ports::sms::SmsSender;
use portico_core::s3::blobs::S3Blobs;
use portico_core::sns::SnsSms;
use tokio::sync::OnceCell;

use super::{Kept, StartError};
use crate::aws::{connect, describe};
use crate::blobs::s3;
use crate::env::{AwsSettings, AwsStorage};
use crate::sms::sns;
use crate::store::dynamo;

/// AWS, connected to when something there is first opened, and then once for all.
pub(super) struct Aws {
    settings: AwsSettings,
    config: OnceCell<SdkConfig>,
}

impl Aws {
    pub(super) fn new(settings: AwsSettings) -> Self {
        Self { settings, config: OnceCell::new() }
    }

    async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| connect(&self.settings)).await
    }

    /// Makes the tables and the bucket that are missing.
    pub(super) async fn open(
        &self,
        storage: &AwsStorage,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        background: &Arc<dyn Background>,
    ) -> Result<Kept, StartError> {
        let client = Arc::new(dynamo::SdkClient::new(self.config().await));
        let tables = storage.tables.clone();
        let store = DynamoStore::new(client, Arc::clone(clock), Arc::clone(entropy), tables);
        prepare(&store).await?;
        let bucket = Arc::new(self.open_bucket(storage).await?);
        let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
        let blobs = Arc::new(S3Blobs::new(bucket, clock, entropy, Arc::clone(background)));
        Ok(Kept { store: Arc::new(store), blobs: blobs.clone(), presigner: Some(blobs), embedded: None })
    }

    async fn open_bucket(&self, storage: &AwsStorage) -> Result<s3::SdkClient, StartError> {
        let path_style = self.settings.endpoint_url.is_some();
        let bucket = s3::SdkClient::new(self.config().await, storage.bucket.clone(), path_style);
        bucket.prepare().await.map_err(|error| StartError::Aws(format!("S3: {}", error.detail)))?;
        Ok(bucket)
    }

    pub(super) async fn open_sms(&self, clock: &Arc<dyn Clock>) -> Result<Arc<dyn SmsSender>, StartError> {
        let AwsSettings { sns_region, sns_sender_id, .. } = &self.settings;
        let client = Arc::new(sns::SdkClient::new(self.config().await, sns_region.clone()));
        Ok(Arc::new(SnsSms::new(client, Arc::clone(clock), sns_sender_id.clone())))
    }
}

/// Makes missing tables, and tells of those that are not as they should be; only a table that is of no use at
/// all ends the start.
async fn prepare(store: &DynamoStore) -> Result<(), StartError> {
    let prepared =
        store.prepare().await.map_err(|error| StartError::Aws(format!("DynamoDB: {}", describe(&error))))?;
    if !prepared.created.is_empty() {
        tracing::info!(tables = prepared.created.join(", "), "tables were made");
    }
    let (unusable, imperfect): (Vec<Mismatch>, _) =
        prepared.mismatches.into_iter().partition(Mismatch::is_unusable);
    if !unusable.is_empty() {
        return Err(StartError::Tables(unusable));
    }
    for mismatch in imperfect {
        tracing::error!(%mismatch, "a table is not as it must be: some requests will fail, or items stay too long");
    }
    Ok(())
}
