//! The host of a request and the origin of a page, parsed.
//!
//! Pure. Does not know which hosts and origins are allowed; `guard` decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::Uri;
use axum::http::uri::Authority;

/// A host, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort(Authority);

impl HostPort {
    /// Parses `host` or `host:port`. An authority may hold more, which a Host header never does: a user before an `@`,
    /// or text between the bracket of an IPv6 address and the port.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix(':').unwrap_or(text);
        let authority: Authority = text.parse().ok()?;
        let port_bytes = authority.port().map_or(0, |port| 1 + port.as_str().len());
        let is_bare = authority.host().len() + port_bytes == authority.as_str().len();
        is_bare.then_some(Self(authority))
    }

    /// Returns the host without its port. An IPv6 address keeps its brackets.
    pub(super) fn name(&self) -> &str {
        self.0.host()
    }

    /// Returns the IP address if the host is one and not a DNS name.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let inside = self
            .name()
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        match inside {
            // The zone of a link-local address, `%25eth0`, has a meaning on the client's machine only.
            Some(inside) => {
                let address = inside.split('%').next().unwrap_or_default();
                address.parse().map(|address: Ipv6Addr| address.into()).ok()
            }
            None => {
                let address = self.name().parse();
                address.map(|address: Ipv4Addr| address.into()).ok()
            }
        }
    }

    /// Returns whether the host is this machine, by an address or by a name of RFC 6761.
    pub(super) fn is_loopback(&self) -> bool {
        let name = self.name();
        self.address().is_some_and(|address| address.is_loopback())
            || name.eq_ignore_ascii_case("localhost")
            || name.to_ascii_lowercase().ends_with(".localhost")
    }
}

/// An origin as browsers send it: a scheme and a host, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(super) host: HostPort,
    default_port: u16,
}

impl Origin {
    /// Parses an origin. Returns `None` for `null` and for everything else without a host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let host = HostPort::parse(uri.authority()?.as_str())?;
        let is_bare = uri.path() == "/" && uri.query().is_none();
        let default_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        is_bare.then_some(Self { host, default_port })
    }

    /// Returns whether the origin's pages are served from this host. Either may omit the scheme's default port.
    pub(super) fn is_of(&self, host: &HostPort) -> bool {
        let port = |of: &HostPort| of.0.port_u16().unwrap_or(self.default_port);
        self.host.name().eq_ignore_ascii_case(host.name()) && port(&self.host) == port(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPort {
        HostPort::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn names_lose_their_port() {
        assert_eq!(host("a.example:80").name(), "a.example");
        assert_eq!(host("a.example:").name(), "a.example");
        assert_eq!(host("a_b.example").name(), "a_b.example");
        assert_eq!(host("[::1]:80").name(), "[::1]");
        assert_eq!(host("[::1]").name(), "[::1]");
    }

    #[test]
    fn loopback_names_are_recognised() {
        for name in [
            "[::1]",
            "127.3.2.1",
            "LOCALHOST",
            "localhost:1",
            "a.localhost",
        ] {
            assert!(host(name).is_loopback(), "{name}");
        }
        for name in ["localhost.evil.example", "10.0.0.1", "xlocalhost"] {
            assert!(!host(name).is_loopback(), "{name}");
        }
    }

    #[test]
    fn addresses_differ_from_names() {
        for text in [
            "10.0.0.1",
            "10.0.0.1:80",
            "[2001:db8::1]:80",
            "[::]",
            "[fe80::1%25eth0]:80",
            "[fe80::1%eth0]",
            "0.0.0.0",
        ] {
            assert!(host(text).address().is_some(), "{text}");
        }
        for text in [
            "10.0.0.1.example",
            "10.0.0",
            "10.0.0.256",
            "2130706433",
            "0x7f.1",
            "[10.0.0.1]",
            "a",
        ] {
            assert_eq!(host(text).address(), None, "{text}");
        }
    }

    #[test]
    fn what_is_more_than_a_host_is_refused() {
        for text in [
            "",
            "::1",
            "[::1].example",
            "[::1",
            "x[::1]",
            "user@10.0.0.1",
            "user@[::1]:80",
            "a.example:80:80",
            "a.example:x",
            "a.example/path",
            "a b",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_origin_equals_a_host_with_its_default_port() {
        let same = |origin, text| Origin::parse(origin).unwrap().is_of(&host(text));
        assert!(same("https://a.example", "a.example:443"));
        assert!(same("https://A.example:443", "a.example"));
        assert!(same("http://a.example:81", "a.example:81"));
        assert!(same("http://[::1]:9", "[::1]:9"));
        assert!(same("app-scheme://a.example", "a.example"));
        assert!(!same("http://a.example", "a.example:443"));
        assert!(!same("http://a.example", "b.example"));
        for text in [
            "null",
            "",
            "a.example",
            "http://",
            "http://a/b",
            "http://u@a",
            "/a",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
