//! Which peers are trusted proxies, and which client they forward.
//!
//! Knows only the header `X-Forwarded-For`. Other headers of a trusted proxy (its host, its scheme) belong to `http`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// A block of addresses, such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Returns whether the block contains `address`. An IPv4 address mapped into IPv6 counts as IPv4.
    ///
    /// ```
    /// use triway::server::Network;
    /// let network: Network = "10.0.0.0/8".parse().unwrap();
    /// assert!(network.contains("10.2.3.4".parse().unwrap()));
    /// assert!(!network.contains("11.0.0.1".parse().unwrap()));
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let text = text.trim();
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| BadNetwork)?,
        };
        Ok(Self(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error for a text that is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadNetwork;

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an address or a block of addresses, such as 10.0.0.0/8")
    }
}

impl std::error::Error for BadNetwork {}

pub(super) fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// Returns the client behind a chain of trusted proxies.
///
/// Each proxy appends the address of its own peer, so only the end of the list is reliable. The list is read backwards
/// up to the first address that is not trusted. That client may have made up the entries before its own.
pub(super) fn forwarded_client(trusted: &[Network], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").into_iter();
    let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        let Some(address) = hop_address(hop.trim()) else {
            break;
        };
        client = address.to_canonical();
        if !is_trusted(trusted, client) {
            break;
        }
    }
    client
}

/// Parses one entry. Some proxies add the port, and put an IPv6 address in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarded: &[&str]) -> String {
        let trusted = ["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        forwarded_client(&trusted, "127.0.0.1".parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_untrusted_hop_is_the_client() {
        assert_eq!(client(&[]), "127.0.0.1");
        assert_eq!(client(&["192.0.2.1"]), "192.0.2.1");
        assert_eq!(
            client(&["6.6.6.6, 192.0.2.1"]),
            "192.0.2.1",
            "what a client says of itself is not believed"
        );
        assert_eq!(client(&["6.6.6.6", "192.0.2.1, fd00::7"]), "192.0.2.1");
        assert_eq!(client(&["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(client(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client(&["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client(&["192.0.2.1, unknown"]), "127.0.0.1");
    }

    #[test]
    fn networks_parse_and_contain() {
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.2.3".parse().unwrap()));
        assert!(all.contains("::ffff:1.2.3.4".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        assert!(
            "::/0"
                .parse::<Network>()
                .unwrap()
                .contains("2001:db8::1".parse().unwrap())
        );
        assert_eq!(
            "192.0.2.1".parse::<Network>().unwrap().to_string(),
            "192.0.2.1/32"
        );
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "::1/129",
            "localhost",
            "10.0.0.0/x",
        ] {
            assert_eq!(text.parse::<Network>(), Err(BadNetwork), "{text}");
        }
    }
}
