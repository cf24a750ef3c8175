//! Verification codes: for an e-mail address, a phone number, a lost password.

pub mod code;
pub mod handlers;
pub mod model;
pub mod recovery;
pub mod repo;
pub mod sms_limits;
