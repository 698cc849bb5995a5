//! One connection: hyper reads requests and writes answers, and we watch the clock.
//!
//! One task and at most one timer each. Knows no route, and nothing of what is asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tower::Service;
use tracing::debug;

use super::Shared;
use super::admit::{AddressSeat, Seat};
use super::body::{Busy, BusyBody, TimedBody};
use super::drain::Stage;
use super::proxy;
use super::pulse::{Limits, Pulse, Reached, Wire};
use super::refuse;
use crate::peer::{ConnectionGuard, Peer};

/// Bytes of one request head, and of what is read ahead of it. Browsers send at most some 16 KiB of cookies;
/// beyond this the answer is 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2 streams of one connection. A page opens few; a proxy that needs more opens another connection.
const STREAMS_MAX: u32 = 250;
/// What an HTTP/2 peer may send of one body, and of all, before we read it.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// What one HTTP/2 stream holds for a peer that takes nothing: a reader is a cursor, not a queue.
const STREAM_SEND_BYTES: usize = 64 * 1024;
/// How long a connection that is told to end may take for its last words, such as GOAWAY.
const FAREWELL: Duration = Duration::from_secs(1);
/// On drain, how long a connection that has not asked yet may still ask: its request may be on its way.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);

/// What every request of one connection needs.
struct Entry {
    app: Router,
    shared: Arc<Shared>,
    peer: Peer,
    pulse: Arc<Pulse>,
    guard: ConnectionGuard,
}

/// What keeps a connection counted: its places.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) _seat: Seat,
    pub(super) _address: Option<AddressSeat>,
}

/// How hyper is set up, once for all connections.
pub(super) fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The auto builder has no limit for the bytes by which it tells the versions apart, and hyper's own
    // limit of heads runs between requests too: so no limit is set here, and ours is the only clock.
    builder
        .http1()
        .max_buf_size(HEAD_BYTES_MAX)
        .header_read_timeout(None);
    builder
        .http2()
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_SEND_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    builder
}

/// Serves one connection until it ends, a limit is reached, or the drain is over.
pub(super) async fn drive<T>(
    stream: T,
    peer: Peer,
    places: Arc<Places>,
    shared: Arc<Shared>,
    app: Router,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Arc::new(Pulse::new());
    let wire = TokioIo::new(Wire::new(stream, pulse.clone()));
    let entry = Arc::new(Entry {
        app,
        shared: shared.clone(),
        peer,
        pulse: pulse.clone(),
        guard: ConnectionGuard::new(places),
    });
    let service = service_fn(move |request| answer(entry.clone(), request));
    let mut connection =
        std::pin::pin!(shared.builder.serve_connection_with_upgrades(wire, service));
    let mut stages = std::pin::pin!(shared.drain.stages());
    let mut clock = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    let mut watch = Watch::default();

    std::future::poll_fn(|cx| {
        pulse.set_driver(cx.waker());
        Poll::Ready(())
    })
    .await;
    let ended = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = connection.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            let stage = stages.as_mut().poll_stage(cx);
            match watch.step(stage, &pulse, &shared.limits) {
                Step::Wait => return Poll::Pending,
                Step::WaitUntil(at) => ready!(poll_clock(clock.as_mut(), at, cx)),
                Step::Farewell => connection.as_mut().graceful_shutdown(),
                Step::Cut(why) => {
                    debug!(peer = %peer.address, ?why, "connection cut");
                    return Poll::Ready(Ok(()));
                }
            }
        }
    })
    .await;
    if let Err(error) = ended {
        debug!(peer = %peer.address, %error, "connection ended");
    }
}

/// What the driver does next, once hyper can do no more for now.
enum Step {
    Wait,
    WaitUntil(Instant),
    /// Tell the peer that no further request is taken.
    Farewell,
    Cut(Why),
}

#[derive(Debug)]
enum Why {
    Limit(#[expect(dead_code, reason = "read by Debug, for the log")] Reached),
    Farewell,
    DrainOver,
}

/// Whether the peer was told to end, and until when it may.
#[derive(Default)]
struct Watch {
    told: bool,
    farewell_until: Option<Instant>,
}

impl Watch {
    fn step(&mut self, stage: Stage, pulse: &Pulse, limits: &Limits) -> Step {
        match stage {
            Stage::Over => return Step::Cut(Why::DrainOver),
            Stage::Draining { since } if !self.told => {
                let grace_until = since + FIRST_REQUEST_GRACE;
                if pulse.is_fresh() && Instant::now() < grace_until {
                    return Step::WaitUntil(grace_until);
                }
                self.told = true;
                return Step::Farewell;
            }
            Stage::Serving | Stage::Draining { .. } => {}
        }
        if self.told && pulse.is_idle() {
            // HTTP/1 has closed by now; an HTTP/2 peer was asked to, and may be dead.
            let now = Instant::now();
            let until = *self.farewell_until.get_or_insert(now + FAREWELL);
            return if now < until {
                Step::WaitUntil(until)
            } else {
                Step::Cut(Why::Farewell)
            };
        }
        self.farewell_until = None;
        let Some((at, reached)) = pulse.nearest(limits) else {
            return Step::Wait;
        };
        if Instant::now() < at {
            return Step::WaitUntil(at);
        }
        if reached == Reached::Idle {
            self.told = true;
            return Step::Farewell;
        }
        Step::Cut(Why::Limit(reached))
    }
}

/// Ready once `at` has passed. A clock that is set earlier than `at` is left to fire once before it is moved:
/// that is cheaper than moving it at every request.
fn poll_clock(mut clock: Pin<&mut Sleep>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        if clock.deadline() > at || clock.is_elapsed() {
            clock.as_mut().reset(at);
        }
        ready!(clock.as_mut().poll(cx));
        if clock.deadline() >= at {
            return Poll::Ready(());
        }
    }
}

/// One request, as the app gets it, and its answer, as the wire gets it.
async fn answer(
    entry: Arc<Entry>,
    request: Request<Incoming>,
) -> Result<Response<BusyBody<(Busy, ConnectionGuard)>>, Infallible> {
    let busy = Busy::new(entry.pulse.clone());
    let (mut head, incoming) = request.into_parts();
    let mut peer = entry.peer;
    let mut guard = entry.guard.clone();
    if peer.proxied {
        peer.client = proxy::forwarded_client(
            &entry.shared.trusted_proxies,
            peer.address.ip(),
            &head.headers,
        );
        match entry.shared.connections.address_seat(peer.client) {
            Ok(None) => {}
            Ok(Some(seat)) => guard = ConnectionGuard::new(Arc::new((guard, seat))),
            Err(full) => {
                entry.shared.metrics.refusal(&refuse::refusal(full));
                return Ok(refuse::response(full).map(|body| BusyBody::new(body, (busy, guard))));
            }
        }
    }
    if head.method == Method::CONNECT {
        // hyper lets go of a stream that was upgraded (RFC 8441), but its connection must not pass for idle.
        guard = ConnectionGuard::new(Arc::new((guard, Busy::new(entry.pulse.clone()))));
    }
    head.extensions.insert(peer);
    head.extensions.insert(ConnectInfo(peer.address));
    head.extensions.insert(guard.clone());
    let body = timed(incoming, &head.method, entry.shared.body_limit);
    let keeps_alive = head.version != Version::HTTP_2;
    let mut app = entry.app.clone();
    let mut response = match app.call(Request::from_parts(head, body)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if keeps_alive && entry.shared.drain.stage() != Stage::Serving {
        response
            .headers_mut()
            .entry(header::CONNECTION)
            .or_insert(HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| BusyBody::new(body, (busy, guard))))
}

fn timed(incoming: Incoming, method: &Method, limit: Option<Duration>) -> Body {
    match limit {
        _ if incoming.is_end_stream() => Body::empty(),
        // The body of a CONNECT (RFC 8441) is a conversation and has no end in time.
        Some(limit) if method != Method::CONNECT => Body::new(TimedBody::new(incoming, limit)),
        _ => Body::new(incoming),
    }
}
