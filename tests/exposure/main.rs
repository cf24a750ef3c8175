//! What the world can do to a server, and what it can see of it.

mod api;
mod faults;
mod network;
mod operation;
