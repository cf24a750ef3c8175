//! HTTP, without a server: bodies, strict JSON, the route table, the router that enforces its access rules,
//! and answers. A host turns its own requests into [`http::Request<body::Body>`] and nothing more.

pub mod base_url;
pub mod body;
pub mod client;
pub mod client_addr;
pub mod cors;
pub mod cursor;
pub mod disposition;
pub mod json;
pub mod multipart;
pub mod paging;
pub mod patch;
pub mod range;
pub mod reply;
pub mod representation;
pub mod request;
pub mod request_id;
pub mod router;
pub mod routes;
