//! The Worker in what black-box cases for every host cannot show: that it is one deployment with the native server, what
//! it does with wrong variables, how bodies cross the runtime, where mail goes, what it logs, whose address it sees, and clients
//! that hang up.

mod accounts;
mod address;
mod bodies;
mod configuration;
mod files;
mod hang_up;
mod log;
mod mail;
mod support;
