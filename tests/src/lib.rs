//! The harness: hosts to talk to, users to talk as, and a reader of the API description who looks at every answer.
//!
//! A *case* is a black-box conversation. It runs on every host of [`hosts::EVERY_HOST`], and the transcripts must agree
//! but for what differs by nature (ids, times, tokens), which [`transcript`] names. Cases that need to move the clock or
//! to break a port run in process only, on a [`lab::Lab`].

pub mod chance;
pub mod client;
pub mod contract;
pub mod counting;
pub mod edge;
pub mod emulators;
pub mod hosts;
pub mod invariants;
pub mod jwt;
pub mod lab;
pub mod logs;
pub mod messages;
pub mod metrics;
pub mod native;
pub mod older;
pub mod process;
pub mod relay;
pub mod tables;
pub mod transcript;
