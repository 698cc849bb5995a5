//! The server: its accept loop, its limits, and the drain at its end.
//!
//! Serves any [`Router`], so that embedders get the same limits and the same clean shutdown as the binary. Knows no
//! route. Work that must happen before connections are asked to close is a hook.

mod accept;
mod activity;
mod body;
mod connection;
mod deadlines;
mod drain;
mod fast_path;
mod permits;
mod proxy;
mod refuse;
pub(crate) mod socket;
mod streams;
mod tasks;
mod untaken_bodies;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info};

pub use crate::server::socket::FastPath;
pub(crate) use accept::BACKLOG_CONNECTIONS;
pub use accept::listen;
#[cfg(feature = "cli")]
pub(crate) use accept::listen_with;
pub use proxy::{BadNetwork, Network};

use crate::metrics::Metrics;
use crate::protocol::peer::Peer;
use crate::server::socket::{Connection, HeldSocket};
use accept::Acceptor;
use activity::{ConnectionLimits, StreamCrowdLimits};
use connection::{Builders, ConnectionContext, Permits};
use drain::ServerDrain;
use permits::Connections;
use refuse::Refusals;
use tasks::ConnectionTasks;

/// Added to the write limit of a connection. A transport with the same limit then closes its reader with a reason
/// first, and only a connection without such a transport is cut.
const WRITE_LIMIT_MARGIN: Duration = Duration::from_secs(5);
/// How long an HTTP/2 peer may accept no bytes while many of its streams wait for it. Each stream holds some KiB, so
/// they must not all wait for the write timeout.
const CROWD_LIMIT: Duration = Duration::from_secs(2);
/// The same limit while its socket is full. A slow peer frees a third of the kernel's buffer in this time.
const CROWD_STALLED_LIMIT: Duration = Duration::from_secs(10);

/// The limits of a server: its number of clients and their time limits. `None` means no limit.
#[derive(Clone, Debug)]
pub struct Options {
    /// Concurrent connections. Each further one is answered with 503 `too_many_connections`.
    pub connections: Option<usize>,
    /// Concurrent connections of one client address, or of one /64 network for IPv6. Loopback has no such limit.
    pub address_connections: Option<usize>,
    /// The time from the first byte of a request head to its end.
    pub head_timeout: Option<Duration>,
    /// The time for reading the body of a request, from the first read on.
    pub body_timeout: Option<Duration>,
    /// The time without a request on a kept-alive connection.
    pub idle_timeout: Option<Duration>,
    /// A peer that accepts no bytes of its response for this long plus five seconds is cut. An HTTP/2 stream whose
    /// bytes are not accepted is reset after this time.
    pub write_timeout: Option<Duration>,
    /// How long the kernel keeps a connection whose peer acknowledges nothing (`TCP_USER_TIMEOUT`, on Linux): two
    /// heartbeats.
    pub peer_timeout: Option<Duration>,
    /// How long connections may take to end once the shutdown has begun.
    pub drain: Duration,
    /// Peers whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<Network>,
    /// Answers plain GETs of readers and plain publishes on the socket itself, without hyper and its cost per request.
    /// Set it only if the router of that hub is at the root of the app. Without it, the app handles every request.
    pub reader: Option<FastPath>,
    /// Counts connections, refusals because of limits, and failed accepts.
    pub metrics: Metrics,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: Some(100_000),
            address_connections: Some(1_000),
            head_timeout: Some(Duration::from_secs(10)),
            body_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(75)),
            write_timeout: Some(Duration::from_secs(30)),
            peer_timeout: Some(Duration::from_secs(30)),
            drain: Duration::from_secs(20),
            trusted_proxies: Vec::new(),
            reader: None,
            metrics: Metrics::default(),
        }
    }
}

/// The outcome of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not ended when the time of the drain was over, and were cut.
    pub cut: usize,
}

/// The state that all connections of one server share.
struct ServerContext {
    builders: Builders,
    limits: ConnectionLimits,
    body_limit: Option<Duration>,
    trusted_proxies: Vec<Network>,
    reader: Option<FastPath>,
    connections: Arc<Connections>,
    metrics: Metrics,
    drain: ServerDrain,
    /// The tasks that serve the connections.
    tasks: Arc<ConnectionTasks>,
}

/// Serves `app` on `listener` until `shutdown` is ready, then drains.
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge, and with WebSockets over it, RFC 8441). Each request carries a
/// [`Peer`], a [`ConnectionGuard`](crate::protocol::peer::ConnectionGuard) and axum's `ConnectInfo<SocketAddr>`
/// in its extensions.
///
/// On a runtime of your own, set `event_interval(512)`: with the default of 61, a worker interrupts a fan-out to check
/// sockets, and readers find less to write at once.
///
/// The drain begins when `shutdown` is ready. The server accepts no more connections and calls `on_drain`; end long
/// responses there. Each connection finishes its current request, and after `options.drain` the remaining connections are cut.
///
/// # Errors
/// If the listener has no address. The server survives failed accepts.
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use axum::{Router, routing::get};
/// use triway::server;
///
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let listener = server::listen("127.0.0.1:0".parse().unwrap())?;
/// let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
/// server::serve(listener, app, server::Options::default(), shutdown, || {}).await?;
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
    on_drain: impl FnOnce() + Send + 'static,
) -> io::Result<Drained> {
    let local = listener.local_addr()?;
    let mut door = Listener {
        acceptor: Acceptor::new(listener, options.peer_timeout),
        local,
        refusals: Refusals::new(),
        shared: Arc::new(ServerContext {
            builders: Builders::new(),
            limits: ConnectionLimits {
                head: options.head_timeout,
                idle: options.idle_timeout,
                write: options
                    .write_timeout
                    .map(|limit| limit + WRITE_LIMIT_MARGIN),
                // The reader is dropped with its stream, so no bye can be sent to it.
                stream: options.write_timeout,
                crowd: options.write_timeout.map(|limit| StreamCrowdLimits {
                    limit: limit.min(CROWD_LIMIT),
                    stalled: limit.min(CROWD_STALLED_LIMIT),
                }),
            },
            body_limit: options.body_timeout,
            trusted_proxies: options.trusted_proxies,
            reader: options.reader,
            connections: Connections::new(
                options.connections,
                options.address_connections,
                options.metrics.connections.clone(),
            ),
            metrics: options.metrics,
            drain: ServerDrain::new(),
            tasks: Arc::default(),
        }),
        app,
    };
    // Run in a task of the runtime, like the connections. A caller of `block_on` is a separate thread: each connection
    // would move from it to a worker and wake that worker.
    let mut served = JoinSet::new();
    served.spawn(async move {
        door.accept_until(shutdown).await;
        door.drain(options.drain, on_drain).await
    });
    match served.join_next().await {
        Some(Ok(drained)) => Ok(drained),
        Some(Err(error)) => Err(io::Error::other(error)),
        None => Ok(Drained { cut: 0 }),
    }
}

/// The accept loop.
struct Listener {
    acceptor: Acceptor,
    local: SocketAddr,
    refusals: Refusals,
    shared: Arc<ServerContext>,
    app: Router,
}

impl Listener {
    async fn accept_until(&mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let failures = self.shared.metrics.accept_failures.clone();
        loop {
            // Both arms are cancel-safe. The shutdown has priority, or a flood of clients could starve it.
            let (stream, address) = tokio::select! {
                biased;
                () = &mut shutdown => return,
                accepted = self.acceptor.next(&failures) => accepted,
            };
            self.admit(stream, address);
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let shared = &self.shared;
        let proxied = proxy::is_trusted(&shared.trusted_proxies, address.ip());
        let places = shared.connections.connection_permit().and_then(|seat| {
            // A trusted proxy serves many clients. They are counted per request, by the address that the proxy states.
            let address = if proxied {
                None
            } else {
                shared.connections.address_permit(address.ip())?
            };
            Ok(Permits {
                _seat: seat,
                _address: address,
            })
        });
        match places {
            Ok(places) => {
                let peer = Peer {
                    proxied,
                    ..Peer::direct(address, self.local)
                };
                let owned = HeldSocket::new(Connection::tcp(stream), axum::body::Bytes::new());
                let served = Arc::new(ConnectionContext {
                    peer,
                    _places: places,
                    shared: shared.clone(),
                    app: self.app.clone(),
                });
                let tasks = served.shared.tasks.clone();
                tasks.spawn(connection::drive(owned, served));
            }
            Err(full) => {
                debug!(peer = %address, ?full, "connection refused");
                shared.metrics.refusal(&refuse::refusal(full));
                self.refusals.refuse(stream, full);
            }
        }
    }

    async fn drain(mut self, limit: Duration, on_drain: impl FnOnce()) -> Drained {
        let since = Instant::now();
        // Accept the rest of the backlog first: closing the listener would reset those connections.
        for _ in 0..BACKLOG_CONNECTIONS {
            let Some((stream, address)) = self.acceptor.waiting() else {
                break;
            };
            self.admit(stream, address);
        }
        drop(self.acceptor);
        on_drain();
        info!(connections = self.shared.connections.count(), "draining");
        self.shared.drain.begin(since);
        let in_time = tokio::time::timeout_at(since + limit, self.shared.connections.empty())
            .await
            .is_ok();
        let cut = if in_time {
            0
        } else {
            self.shared.connections.count()
        };
        self.shared.drain.finish();
        self.shared.tasks.abort_all();
        info!(cut, "drained");
        Drained { cut }
    }
}
