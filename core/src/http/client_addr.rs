//! The client's address: whom rate limits count, and what sessions and logs show.
//!
//! Only a proxy that the operator trusts is believed about the hop before it; anything else a client sends
//! changes nothing.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// The address a request came from; hosts put it into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr(pub IpAddr);

/// The client's address, given the peer's and the values of `X-Forwarded-For` in the order of the header lines.
///
/// # Behavior
/// - Walks the hops from the nearest to the farthest, while each is trusted to tell the one before it.
/// - A hop that is no address ends the walk: the last good address counts.
/// - IPv4 addresses inside IPv6 (`::ffff:192.0.2.1`) are unwrapped before they are compared.
#[must_use]
pub fn resolve<'a, V>(peer: IpAddr, forwarded_for: V, trusted: &[IpNet]) -> IpAddr
where
    V: IntoIterator<Item = &'a str>,
    V::IntoIter: DoubleEndedIterator,
{
    let mut hops = forwarded_for.into_iter().rev().flat_map(|value| value.rsplit(','));
    let mut address = peer.to_canonical();
    while trusted.iter().any(|network| network.contains(&address)) {
        match hops.next().and_then(parse_hop) {
            Some(hop) => address = hop,
            None => break,
        }
    }
    address
}

/// Reads one hop: an address, with the port and brackets that some proxies add.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse().ok().or_else(|| text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The name under which limits count an address: IPv4 whole, IPv6 by its /64, which one subscriber commonly has
/// to himself.
#[must_use]
pub fn source_key(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from(prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(peer: &str, values: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        resolve(peer.parse().unwrap(), values.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn a4_an_untrusted_peer_is_not_believed() {
        assert_eq!(resolved("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
        assert_eq!(resolved("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a4_the_walk_ends_at_the_first_hop_that_is_not_trusted() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(resolved("10.0.0.1", &["6.6.6.6, 203.0.113.9"], &trusted), "203.0.113.9");
        assert_eq!(resolved("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.9.9.9"], &trusted), "203.0.113.9");
        assert_eq!(resolved("10.0.0.1", &["6.6.6.6", "203.0.113.9", "2001:db8::1"], &trusted), "203.0.113.9");
        assert_eq!(resolved("10.0.0.1", &["10.0.0.2"], &trusted), "10.0.0.2");
        assert_eq!(resolved("10.0.0.1", &[], &trusted), "10.0.0.1");
    }

    #[test]
    fn a4_garbage_ends_the_walk() {
        for garbage in ["6.6.6.6, unknown", "6.6.6.6,", "6.6.6.6, 1.2.3", "6.6.6.6, [::1", "6.6.6.6, a:80"] {
            assert_eq!(resolved("10.0.0.1", &[garbage], &["10.0.0.0/8"]), "10.0.0.1", "{garbage}");
        }
    }

    #[test]
    fn a4_mapped_addresses_and_ports_are_unwrapped() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(resolved("::ffff:10.0.0.1", &["::ffff:203.0.113.9"], &trusted), "203.0.113.9");
        assert_eq!(resolved("10.0.0.1", &["203.0.113.9:4711"], &trusted), "203.0.113.9");
        assert_eq!(resolved("10.0.0.1", &["[2001:db8::9]:4711"], &trusted), "2001:db8::9");
        assert_eq!(resolved("10.0.0.1", &["[2001:db8::9]"], &trusted), "2001:db8::9");
    }

    #[test]
    fn a4_ipv6_counts_by_its_64() {
        let key = |text: &str| source_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:aaaa::1"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2:bbbb::2"), key("2001:db8:1:2:aaaa::1"));
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
