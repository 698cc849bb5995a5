//! The listening socket: how it is made, and what happens when accepting fails.
//!
//! Knows nothing of HTTP, nor of how many connections there may be.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tracing::{debug, warn};

/// Connections that the kernel holds until we accept them. The usual 128 makes a storm of reconnects
/// stall for seconds, since a SYN that finds no place is sent again only after one, two, four seconds.
/// 4,096 is what Linux allows at most without being told (`net.core.somaxconn`).
pub const BACKLOG_CONNECTIONS: u32 = 4096;

/// After a failed accept, such as for want of descriptors, others must end before it can succeed:
/// trying at once would spin, and a client waits a tenth of a second without noticing.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that is short of descriptors fails many times a second; the log hears of it once in this time.
const WARN_PAUSE: Duration = Duration::from_secs(1);

/// Binds `address` with a backlog of [`BACKLOG_CONNECTIONS`], so that a restart finds its port free
/// (`SO_REUSEADDR`) and a storm of clients finds a place. Ready for the usual [`Options`](super::Options).
///
/// # Errors
/// Those of the operating system: the port is taken, or not ours to take.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_with(address, super::Options::default().peer_timeout)
}

/// The same for another [`peer_timeout`](super::Options::peer_timeout). On Linux sockets inherit what they need of
/// their listener, which saves two calls of the kernel for each; one that was bound otherwise is served all the same.
///
/// # Errors
/// Those of the operating system: the port is taken, or not ours to take.
pub fn listen_with(address: SocketAddr, peer_timeout: Option<Duration>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows the same option would let two programs share a port.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    // Before it listens: no socket that it accepts is older.
    set_up(&SockRef::from(&socket), peer_timeout);
    socket.bind(address)?;
    socket.listen(BACKLOG_CONNECTIONS)
}

/// Bytes that the kernel holds at most of what a peer has not taken yet; Linux counts twice as many, its own costs
/// among them. Left alone it holds 4 MiB of a peer that reads nothing. A path of 100 ms gets 2 MiB a second.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// What every socket gets. Failing is no reason to turn a client away.
fn set_up(socket: &SockRef<'_>, peer_timeout: Option<Duration>) {
    if let Err(error) = socket.set_send_buffer_size(SEND_BUFFER_BYTES) {
        debug!(%error, "SO_SNDBUF");
    }
    // Frames are small and go out whole: waiting for more would only add 40 ms.
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

/// Whether all that this listener accepts is set up so, which only Linux promises.
#[cfg(target_os = "linux")]
fn is_set_up(listener: &TcpListener, peer_timeout: Option<Duration>) -> bool {
    let socket = SockRef::from(listener);
    // The kernel may allow less (`net.core.wmem_max`), and where it was not asked it begins with less than that.
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

/// A listener that neither spins nor dies.
pub(super) struct Acceptor {
    listener: TcpListener,
    peer_timeout: Option<Duration>,
    /// Whether its sockets inherit all that they need.
    is_set_up: bool,
    warned: Option<Instant>,
    failures_untold: u64,
}

impl Acceptor {
    /// What it accepts gives up peers that confirm nothing for so long.
    pub(super) fn new(listener: TcpListener, peer_timeout: Option<Duration>) -> Self {
        Self {
            is_set_up: is_set_up(&listener, peer_timeout),
            listener,
            peer_timeout,
            warned: None,
            failures_untold: 0,
        }
    }

    /// The next connection. Cancel-safe: a connection is either returned or still in the backlog.
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

    /// A connection that the kernel accepted before and nobody took yet.
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

/// The client went away before we took its connection: the next one is not concerned.
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

    /// Accepts a connection. Returns whether its socket has TCP_NODELAY and a capped send buffer, and its user timeout.
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
            // Inherited, of another listener, and of one that is not ours.
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
        // The kernel may allow less than we ask for; 1,000 is far beyond the usual 128.
        const CLIENTS: usize = 1_000;
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = (0..CLIENTS).map(|_| TcpStream::connect(address));
        // Whoever finds no place waits for ever here, since nobody is accepted.
        let connected = tokio::time::timeout(
            Duration::from_secs(10),
            futures_util::future::join_all(connecting),
        )
        .await;
        assert!(connected.unwrap().iter().all(Result::is_ok));
    }
}
