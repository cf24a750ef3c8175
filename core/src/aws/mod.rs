//! What the ports to Amazon's services have in common. No rule of a single service is here.
//!
//! - [`failure`]: a refusal, or no answer · [`pacing`]: when to ask again · [`budget`]: how often, in all

pub mod budget;
pub mod failure;
pub mod pacing;
