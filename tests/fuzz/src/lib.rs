//! What the fuzz targets share: the app in this process ([`world`]), requests written as text ([`script`]), the
//! contract that answers are held against ([`contract`]), and services that answer whatever the fuzzer wants
//! ([`service`]).
//!
//! Nothing here draws random numbers or tells the time: an input does the same whenever it is run.

pub mod contract;
pub mod keys;
pub mod script;
pub mod service;
pub mod world;
