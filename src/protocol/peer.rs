//! The other end of a connection, as types that every layer may use.
//!
//! The accept loop puts a [`Peer`] and a [`ConnectionGuard`] into the extensions of each request.
//! Does not know sockets, and does not know how the values were determined.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::Ipv6Net;

/// An IPv6 customer is given a network of this many bits, so one client may use any address of it.
const IPV6_CLIENT_BITS: u8 = 64;

/// The two ends of the connection that carries a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket: the client, or the proxy in front of us.
    pub address: SocketAddr,
    /// The address that the listener is bound to.
    pub local: SocketAddr,
    /// The client as far as we believe it: what a trusted proxy says in `X-Forwarded-For`, else `address`.
    pub client: IpAddr,
    /// The socket's other end is a trusted proxy, so that its `X-Forwarded-…` headers are believed.
    pub proxied: bool,
}

impl Peer {
    /// Returns a peer without a proxy in front of it.
    #[must_use]
    pub fn direct(address: SocketAddr, local: SocketAddr) -> Self {
        Self {
            address,
            local,
            client: address.ip().to_canonical(),
            proxied: false,
        }
    }

    /// Reports whether only this machine can reach the listener. A wildcard address is not loopback.
    ///
    /// ```
    /// use triway::Peer;
    /// let client = "127.0.0.1:50000".parse().unwrap();
    /// assert!(Peer::direct(client, "127.0.0.1:7333".parse().unwrap()).on_loopback_listener());
    /// assert!(!Peer::direct(client, "0.0.0.0:7333".parse().unwrap()).on_loopback_listener());
    /// ```
    #[must_use]
    pub fn on_loopback_listener(&self) -> bool {
        self.local.ip().to_canonical().is_loopback()
    }
}

/// What stands for one client where clients are counted by address: an IPv4 address, or an IPv6 network.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Net::new_assert(address, IPV6_CLIENT_BITS).network()),
        address => address,
    }
}

/// Keeps a connection counted while any clone of the guard exists.
///
/// HTTP releases a socket after an upgrade. The code that continues with the socket holds the guard until the end:
/// the caps then count the connection, and the drain waits for it.
#[derive(Clone)]
pub struct ConnectionGuard(
    #[expect(dead_code, reason = "held only to be dropped")] Arc<dyn Any + Send + Sync>,
);

impl ConnectionGuard {
    /// Returns a guard that holds `held` until the last clone is dropped.
    #[must_use]
    pub fn new(held: Arc<dyn Any + Send + Sync>) -> Self {
        Self(held)
    }
}

/// Receives reports from the writer of an upgraded HTTP/2 stream. Only the writer sees whether bytes wait for the peer.
pub(crate) trait StreamWatch: Send + Sync {
    /// Notes whether bytes wait.
    fn note(&self, is_waiting: bool);
}

/// The watch of the stream that carries a request.
#[derive(Clone)]
pub(crate) struct StreamWatcher(pub(crate) Arc<dyn StreamWatch>);

impl std::fmt::Debug for ConnectionGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectionGuard")
    }
}
