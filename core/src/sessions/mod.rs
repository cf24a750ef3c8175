//! Sessions: signing in by password or Google, refreshing, ending. The tokens' forms are in [`crate::auth`].

pub mod cache;
pub mod ending;
pub mod failures;
pub mod google;
pub mod handlers;
pub mod model;
pub mod opening;
pub mod password;
pub mod refresh;
pub mod repo;
