//! What `edge` makes of Portico as one WebAssembly module; there is nothing else here.

// It exports what the runtime calls.
extern crate portico_edge as _;
