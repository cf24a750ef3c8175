//! What the world can do to a server, and what it can see of it.

mod api;
mod backup;
mod crash;
mod faults;
mod network;
mod operation;
