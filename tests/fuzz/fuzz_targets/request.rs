//! Whole requests, several in a row: never a fault of the server's, and never an answer that is not described.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portico_fuzz::script;
use portico_fuzz::world::{Options, World};

fuzz_target!(|text: &[u8]| {
    script::run(&mut World::new(Options::default()), text);
});
