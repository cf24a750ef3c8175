//! What attackers try, from outside: forged tokens, other people's things, telling accounts apart, secrets in logs,
//! headers and lines of their own making, requests made in our name, names that lead elsewhere, and bombs. And that the
//! promises of `docs/security.md` and the tests that carry their numbers name one another.

mod bombs;
mod canaries;
mod enumeration;
mod http2;
mod injection;
mod matrix;
mod outbound;
mod paths;
mod promises;
mod tokens;
mod world;
