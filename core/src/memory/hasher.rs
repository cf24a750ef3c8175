//! Password hashing on the spot.

use async_trait::async_trait;

use crate::auth::password::{HashOutcome, HashWork};
use crate::ports::hasher::{Busy, Hasher};

/// Does the work where it is asked for; never busy.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineHasher;

#[async_trait]
impl Hasher for InlineHasher {
    async fn run(&self, work: HashWork) -> Result<HashOutcome, Busy> {
        Ok(work.run())
    }
}
