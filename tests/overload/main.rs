//! Far more than a server can do, and clients that hold on to what they have: the others are answered all the same, and
//! memory stays bounded.
//!
//! What is asserted is what even a shared machine of two cores and an unoptimised binary must show. `OVERLOAD_STRICT=1`
//! asserts the aims themselves: no health check takes more than 100 ms, 10,000 idle connections take at most 150 MiB.
//! Each test has the machine to itself.
#![cfg(target_os = "linux")]

mod idle;
mod sign_ins;
mod slow;
mod support;
mod uploads;
