//! Kills, full and damaged disks, stops, and clocks that step: what was acknowledged is there afterwards, and what is lost is
//! told of.
//!
//! `CRASH_SEED` (1) seeds everything random here, and is printed; `CRASH_KILLS` (200) and `CRASH_FLIPS` (300) say how often.
//! The tests of disks need Linux, and either root or user namespaces (`unshare`).

mod backup;
mod clock;
mod corruption;
#[cfg(target_os = "linux")]
mod disk;
mod kills;
mod load;
mod starts;
mod stop;
mod support;
