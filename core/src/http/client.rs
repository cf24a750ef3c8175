//! Who sent a request, as far as it tells.

use std::net::{IpAddr, Ipv4Addr};

use http::header;

use super::client_addr::ClientAddr;

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's address, as far as trusted hops tell.
    pub addr: IpAddr,
    /// `User-Agent`, cut to 256 characters.
    pub user_agent: Option<String>,
}

impl Client {
    pub(super) fn of<B>(request: &http::Request<B>) -> Self {
        let addr = request
            .extensions()
            .get::<ClientAddr>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.0);
        let user_agent = request
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.chars().take(256).collect());
        Self { addr, user_agent }
    }
}
