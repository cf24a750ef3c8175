//! Identity: passwords, codes, messages and accounts, in process, with the clock and the ports in the test's hands.
//!
//! The name of a test carries the number of the requirement, or of the older system's fault, that it stands for.

mod accounts;
mod codes;
mod delivery;
mod older_faults;
mod older_rows;
mod passwords;
mod sms;
mod support;
