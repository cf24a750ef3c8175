//! The address under which clients reach this service: as configured, or as the request itself tells it.

use http::header::{self, HeaderMap};
use http::uri::Authority;

use crate::App;
use crate::config::Environment;

/// The service's address without a trailing slash, if `PUBLIC_URL` or the request's `Host` tells it.
#[must_use]
pub fn of(app: &App, headers: &HeaderMap) -> Option<String> {
    match app.settings.public_url.as_deref() {
        Some(url) => Some(url.trim_end_matches('/').to_owned()),
        None => told_by(app.settings.environment, headers),
    }
}

/// A URL of this service in full, if its address is known; one of elsewhere as it is.
#[must_use]
pub fn absolute(base: Option<&str>, url: &str) -> String {
    match base {
        Some(base) if url.starts_with('/') => format!("{base}{url}"),
        _ => url.to_owned(),
    }
}

/// The address that a request was sent to, if its `Host` is a plain name or address and perhaps a port. The
/// scheme is not told; in production it is always TLS that clients see.
fn told_by(environment: Environment, headers: &HeaderMap) -> Option<String> {
    let scheme = match environment {
        Environment::Production => "https",
        Environment::Development => "http",
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let authority: Authority = host.to_str().ok()?.to_ascii_lowercase().parse().ok()?;
    is_plain(&authority).then(|| format!("{scheme}://{authority}"))
}

fn is_plain(authority: &Authority) -> bool {
    let host = authority.host();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)),
    };
    let rest = authority.as_str().strip_prefix(host);
    let port_fits = match rest.map(|rest| rest.strip_prefix(':')) {
        Some(None) => rest == Some(""),
        Some(Some(port)) => port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => false,
    };
    host_fits && port_fits
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn address(hosts: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_static(host));
        }
        told_by(Environment::Production, &headers)
    }

    #[test]
    fn a_plain_host_is_an_address() {
        assert_eq!(address(&["API.example.com"]).unwrap(), "https://api.example.com");
        assert_eq!(address(&["localhost:8080"]).unwrap(), "https://localhost:8080");
        assert_eq!(address(&["[::1]:8080"]).unwrap(), "https://[::1]:8080");
    }

    #[test]
    fn any_other_host_is_none() {
        assert_eq!(address(&[]), None);
        assert_eq!(address(&["a.example", "b.example"]), None);
        for wrong in
            ["", "a@b", "a/b", "a b", "a:port", "a:70000", "a:", "a?b", "a#b", "[::1", "a%41", "[a]", "a\"b"]
        {
            assert_eq!(address(&[wrong]), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_urls_of_this_service_are_completed() {
        let base = Some("https://api.example.com");
        assert_eq!(absolute(base, "/blobs/a?b"), "https://api.example.com/blobs/a?b");
        assert_eq!(absolute(base, "https://s3.example.com/a"), "https://s3.example.com/a");
        assert_eq!(absolute(None, "/blobs/a"), "/blobs/a");
    }
}
