//! Portico as a Cloudflare Worker.
//!
//! - [`aws`]: DynamoDB, S3 and SNS by signed HTTP requests: pure code, tested natively
pub mod aws;
