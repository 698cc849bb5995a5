//! The listening socket: how it is created, and how failed accepts are handled.
//!
//! This file does not know HTTP, and it does not limit the number of connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tracing::{debug, warn};

/// Connections that the kernel queues until the server accepts them. With the usual 128, a storm of reconnects stalls
/// for seconds: a SYN that finds the queue full is sent again only after one, two and four seconds. 4,096 is the most
/// that Linux allows by default (`net.core.somaxconn`).
pub const BACKLOG_CONNECTIONS: u32 = 4096;

/// Pause after a failed accept. An accept that fails for lack of file descriptors succeeds only after other
/// connections end, so an immediate retry would spin. Clients do not notice a delay of 100 ms.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Shortest time between two warnings. A server that runs out of file descriptors fails many times a second.
const WARN_PAUSE: Duration = Duration::from_secs(1);

/// Binds `address` with a backlog of `BACKLOG_CONNECTIONS` and with `SO_REUSEADDR`, so a restarted server can bind
/// the same port at once. The sockets are set up for the default [`Options`](super::Options).
///
/// # Errors
/// Returns the error of the operating system: the port is in use, or the process has no permission to bind it.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_with(address, super::Options::default().peer_timeout)
}

/// Binds `address` like [`listen`], for a given [`peer_timeout`](super::Options::peer_timeout). On Linux, accepted
/// sockets inherit their options from the listener, which saves two system calls per connection. The server also
/// accepts a listener that was bound in another way.
///
/// # Errors
/// Returns the error of the operating system: the port is in use, or the process has no permission to bind it.
pub fn listen_with(address: SocketAddr, peer_timeout: Option<Duration>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows this option would let two programs share a port.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    // Set the options before `listen`: every accepted socket inherits them.
    set_up(&SockRef::from(&socket), peer_timeout);
    socket.bind(address)?;
    socket.listen(BACKLOG_CONNECTIONS)
}

/// Most bytes that the kernel buffers for a peer that does not read. Linux counts twice as many, because it includes
/// its own overhead. Without this limit the kernel buffers 4 MiB for a peer that reads nothing. With it, a path with
/// a round-trip time of 100 ms carries 2 MiB a second.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Sets the options that every socket gets. A failure is logged only: it is no reason to refuse a client.
fn set_up(socket: &SockRef<'_>, peer_timeout: Option<Duration>) {
    if let Err(error) = socket.set_send_buffer_size(SEND_BUFFER_BYTES) {
        debug!(%error, "SO_SNDBUF");
    }
    // Frames are small and are written whole, so Nagle's algorithm would only add 40 ms.
    if let Err(error) = socket.set_tcp_nodelay(true) {
        debug!(%error, "TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.set_tcp_user_timeout(peer_timeout) {
        debug!(%error, "TCP_USER_TIMEOUT");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = peer_timeout;
}

/// Returns whether accepted sockets inherit all options from this listener. Only Linux guarantees this.
#[cfg(target_os = "linux")]
fn is_set_up(listener: &TcpListener, peer_timeout: Option<Duration>) -> bool {
    let socket = SockRef::from(listener);
    // The kernel may cap the size (`net.core.wmem_max`). A socket whose size was never set starts below this range.
    let capped = SEND_BUFFER_BYTES / 2..=SEND_BUFFER_BYTES * 2;
    let is_capped = |bytes| capped.contains(&bytes);
    socket.send_buffer_size().is_ok_and(is_capped)
        && socket.tcp_nodelay().is_ok_and(|is_set| is_set)
        && socket
            .tcp_user_timeout()
            .is_ok_and(|timeout| timeout == peer_timeout)
}

#[cfg(not(target_os = "linux"))]
fn is_set_up(_: &TcpListener, _: Option<Duration>) -> bool {
    false
}

/// A listener that neither spins on a failed accept nor stops because of it.
pub(super) struct Acceptor {
    listener: TcpListener,
    peer_timeout: Option<Duration>,
    /// Whether accepted sockets inherit all their options.
    is_set_up: bool,
    warned: Option<Instant>,
    failures_untold: u64,
}

impl Acceptor {
    /// Creates an acceptor. The kernel closes an accepted connection whose peer acknowledges nothing for
    /// `peer_timeout`.
    pub(super) fn new(listener: TcpListener, peer_timeout: Option<Duration>) -> Self {
        Self {
            is_set_up: is_set_up(&listener, peer_timeout),
            listener,
            peer_timeout,
            warned: None,
            failures_untold: 0,
        }
    }

    /// Returns the next connection. Cancel-safe: a connection is either returned or still in the backlog.
    pub(super) async fn next(&mut self, failures: &Counter) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return self.set_up(accepted),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    failures.inc();
                    self.warn(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Returns a connection from the backlog without waiting.
    pub(super) fn waiting(&mut self) -> Option<(TcpStream, SocketAddr)> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match self.listener.poll_accept(&mut context) {
            std::task::Poll::Ready(accepted) => accepted.ok().map(|accepted| self.set_up(accepted)),
            std::task::Poll::Pending => None,
        }
    }

    fn set_up(&self, accepted: (TcpStream, SocketAddr)) -> (TcpStream, SocketAddr) {
        if !self.is_set_up {
            set_up(&SockRef::from(&accepted.0), self.peer_timeout);
        }
        accepted
    }

    fn warn(&mut self, error: &io::Error) {
        self.failures_untold += 1;
        if self
            .warned
            .is_some_and(|warned| warned.elapsed() < WARN_PAUSE)
        {
            return;
        }
        warn!(%error, failures = self.failures_untold, "cannot accept connections; is the limit of open files too low?");
        self.warned = Some(Instant::now());
        self.failures_untold = 0;
    }
}

/// Returns whether the client closed its connection before the accept. Such an error does not affect the next accept.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts a connection. Returns whether its socket has TCP_NODELAY and a capped send buffer, and its user
    /// timeout.
    async fn accepted(
        listener: TcpListener,
        peer_timeout: Option<Duration>,
    ) -> (bool, Option<Duration>) {
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut acceptor = Acceptor::new(listener, peer_timeout);
        let (stream, _) = acceptor.next(&Counter::default()).await;
        #[cfg(target_os = "linux")]
        let timeout = SockRef::from(&stream).tcp_user_timeout().unwrap();
        #[cfg(not(target_os = "linux"))]
        let timeout = peer_timeout;
        let held = SockRef::from(&stream).send_buffer_size().unwrap();
        let is_capped = (SEND_BUFFER_BYTES / 2..=SEND_BUFFER_BYTES * 2).contains(&held);
        (stream.nodelay().unwrap() && is_capped, timeout)
    }

    #[tokio::test]
    async fn sockets_send_at_once_and_give_up_vanished_peers() {
        let address = "127.0.0.1:0".parse().unwrap();
        let (short, long) = (Duration::from_secs(7), Duration::from_secs(30));
        for wanted in [None, Some(short), Some(long)] {
            // In turn: options inherited, a listener with another timeout, and a listener bound without `listen`.
            let listener = listen_with(address, wanted).unwrap();
            assert_eq!(is_set_up(&listener, wanted), cfg!(target_os = "linux"));
            assert_eq!(accepted(listener, wanted).await, (true, wanted));
            let listener = listen(address).unwrap();
            assert_eq!(accepted(listener, wanted).await, (true, wanted));
            let listener = TcpListener::bind(address).await.unwrap();
            assert_eq!(accepted(listener, wanted).await, (true, wanted));
        }
    }

    #[tokio::test]
    async fn a_storm_finds_a_place_before_anybody_is_accepted() {
        // The kernel may allow fewer than the requested backlog; 1,000 is far beyond the usual 128.
        const CLIENTS: usize = 1_000;
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = (0..CLIENTS).map(|_| TcpStream::connect(address));
        // No connection is accepted here, so a client that does not fit into the backlog never connects.
        let connected = tokio::time::timeout(
            Duration::from_secs(10),
            futures_util::future::join_all(connecting),
        )
        .await;
        assert!(connected.unwrap().iter().all(Result::is_ok));
    }
}
