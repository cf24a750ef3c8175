//! The stores of other machines, over real sockets: the kit that every store passes, and what only they can be
//! asked.

mod dynamo;
mod migrate;
mod migrate_command;
mod round_trips;
