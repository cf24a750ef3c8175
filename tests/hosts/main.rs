//! Cases that run on every host, and are compared answer by answer.

mod accounts;
mod app_versions;
mod description;
mod devices;
mod files;
mod health;
mod http;
mod idempotency;
mod journey;
mod notifications;
mod paging;
mod sessions;
mod statuses;
mod verifications;
