//! Cases that run on every host, and are compared answer by answer.

mod files;
mod idempotency;
mod journey;
