//! A load generator: for tests of what a server does under load, and for measuring how fast it is.
//!
//! A [`load::Load`] is a fixed number of connections that are kept alive. Each follows a [`scenario::Scenario`] of its
//! own, which decides on its next request by the last answer, and reports to a [`report::Recorder`] of its own, so that
//! connections share nothing while they run.
//!
//! - [`connection`]: one request, one answer, and what can come between · [`load`]: closed and open loops
//! - [`scenario`]: what a connection asks for · [`scenarios`]: the usual ones
//! - [`report`]: latencies in a histogram, and every outcome counted · [`quiet`]: threads that leave the server its cores
//! - [`ports`]: where a server may listen
//!
//! It knows nothing of the product but the paths of its API, so that whatever serves those can be compared.

pub mod connection;
pub mod load;
pub mod ports;
pub mod quiet;
pub mod report;
pub mod scenario;
pub mod scenarios;
