//! What stands in for `aws` in a build without it: `env` refuses every setting that would lead here.

use std::sync::Arc;

use portico_core::ports::background::Background;
use portico_core::ports::clock::Clock;
use portico_core::ports::entropy::Entropy;
use portico_core::ports::sms::SmsSender;

use super::{Kept, StartError};
use crate::env::{AwsSettings, AwsStorage};

pub(super) struct Aws;

impl Aws {
    pub(super) fn new(_settings: AwsSettings) -> Self {
        Self
    }

    pub(super) async fn open(
        &self,
        _storage: &AwsStorage,
        _clock: &Arc<dyn Clock>,
        _entropy: &Arc<dyn Entropy>,
        _background: &Arc<dyn Background>,
    ) -> Result<Kept, StartError> {
        Err(missing())
    }

    pub(super) async fn open_sms(&self, _clock: &Arc<dyn Clock>) -> Result<Arc<dyn SmsSender>, StartError> {
        Err(missing())
    }
}

fn missing() -> StartError {
    StartError::Aws("AWS is not in this build: build with the feature `aws`".to_owned())
}
