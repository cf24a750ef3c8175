//! Tokens and the identities behind them: what is accepted as one, and for how long.

mod access;
mod google;
mod refresh;
