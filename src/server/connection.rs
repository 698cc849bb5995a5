//! One connection: hyper reads requests and writes responses, and this file enforces the deadlines.
//!
//! Each connection has one task and at most one timer. Knows no route, and nothing about the contents of requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower::Service;
use tracing::debug;

use super::ServerContext;
use super::activity::{ConnectionActivity, MonitoredSocket};
use super::body::{BusyBody, BusyGuard, TimedBody, UpgradedBody};
use super::deadlines::{ConnectionDeadlines, DriverCall};
use super::drain::DrainStage;
use super::fast_path::{self, IdleOutcome, IdleTimer, Wait};
use super::permits::{AddressPermit, ConnectionPermit};
use super::proxy;
use super::refuse;
use super::streams::{StreamExecutor, UpgradedStreamGuard};
use crate::protocol::peer::{ConnectionGuard, Peer, StreamWatcher};
use crate::server::socket::{
    Chain, Handover, HandoverOffer, HeldSocket, NextRequest, PendingResponse, ResponseGuard,
    ResponseOutcome,
};

/// Bytes of one request head, and of data that is read ahead of it. Browsers send at most some 16 KiB of cookies. The
/// response to a larger head is 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Concurrent HTTP/2 streams of one connection. A page opens few. A proxy that needs more opens another connection.
const STREAMS_MAX: u32 = 100;
/// Bytes that an HTTP/2 peer may send of one body, and of all bodies, before they are read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes of one stream that h2 buffers before they are sent. A reader is a cursor, not a queue. One part of a body is
/// accepted whole, and each part is a write of its own, so a larger buffer makes nothing faster.
const STREAM_SEND_BYTES: usize = 1024;

/// The state that every request of one connection needs.
struct RequestContext {
    app: Router,
    shared: Arc<ServerContext>,
    peer: Peer,
    activity: Arc<ConnectionActivity>,
    guard: ConnectionGuard,
    offer: HandoverOffer,
}

/// The permits that keep a connection counted.
#[derive(Debug)]
pub(super) struct Permits {
    pub(super) _seat: ConnectionPermit,
    pub(super) _address: Option<AddressPermit>,
}

/// The configuration of hyper, once for all connections.
pub(super) struct Builders {
    one: http1::Builder,
}

impl Builders {
    pub(super) fn new() -> Self {
        let mut one = http1::Builder::new();
        // hyper's own limit of heads also runs between requests, so it is off, and only this server's deadline applies.
        one.max_buf_size(HEAD_BYTES_MAX).header_read_timeout(None);
        Self { one }
    }

    /// Returns the builder of one connection, whose streams the executor runs.
    fn two(executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
        let mut two = http2::Builder::new(executor);
        two.enable_connect_protocol()
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(STREAM_SEND_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX as u32);
        two
    }
}

/// The state that serves a connection, however often its socket is handed over.
pub(super) struct ConnectionContext {
    pub(super) peer: Peer,
    pub(super) _places: Permits,
    pub(super) shared: Arc<ServerContext>,
    pub(super) app: Router,
}

/// Serves one connection until it ends, a limit is reached, or the drain is over. Everything large is boxed, and freed
/// while a response is written to the socket itself, so this task is as small as an idle reader. This is no `async fn`,
/// because that would hold its arguments twice.
pub(super) fn drive(
    owned: HeldSocket,
    served: Arc<ConnectionContext>,
) -> impl Future<Output = ()> + Send {
    let mut back = Some(Box::new(owned));
    async move {
        // Kept while one request soon follows another.
        let mut wait = None;
        while let Some(owned) = back.take() {
            let Some((making, held)) = Box::pin(next(owned, &served, &mut wait)).await else {
                return;
            };
            let owned = match making {
                PendingResponse::Once(answer) => {
                    wait = None;
                    answer.await
                }
                PendingResponse::Chain(chain) => {
                    let patience = IdleTimer::new(&served.shared, &mut wait);
                    let mut following = RepeatedPolls::new(chain, patience);
                    let is_free = std::future::poll_fn(|cx| following.poll(cx)).await;
                    is_free.then(|| following.chain.give_back())
                }
            };
            drop(held);
            back = owned.map(Box::new);
        }
    }
}

/// The responses of a poll exchange, as long as no other request arrives.
struct RepeatedPolls<'a, 'b> {
    chain: Box<dyn Chain>,
    patience: IdleTimer<'a, 'b>,
    at: PollPhase,
}

/// The phase of a poll exchange.
#[derive(PartialEq, Eq)]
enum PollPhase {
    /// The first response is being prepared.
    First,
    /// A later response is being prepared.
    Later,
    /// The exchange waits for the next request.
    Parked,
}

impl<'a, 'b> RepeatedPolls<'a, 'b> {
    fn new(chain: Box<dyn Chain>, patience: IdleTimer<'a, 'b>) -> Self {
        Self {
            chain,
            patience,
            at: PollPhase::First,
        }
    }

    /// Returns whether the socket may be read further, once the exchange is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.at != PollPhase::Parked {
                let Poll::Ready(made) = self.chain.poll_outcome(cx) else {
                    if self.at == PollPhase::First {
                        // The poll may be held for long, and most exchanges wait for no request between two polls.
                        self.patience.forget();
                    }
                    return Poll::Pending;
                };
                match made {
                    ResponseOutcome::Gone => return Poll::Ready(false),
                    ResponseOutcome::Over => return Poll::Ready(true),
                    ResponseOutcome::Parked => self.at = PollPhase::Parked,
                }
            }
            let chain = &mut *self.chain;
            match ready!(self.patience.poll(cx, |cx| chain.poll_next(cx))) {
                IdleOutcome::Next(NextRequest::Same) => self.at = PollPhase::Later,
                IdleOutcome::Next(NextRequest::Other) | IdleOutcome::Draining => {
                    return Poll::Ready(true);
                }
                IdleOutcome::Next(NextRequest::Gone) | IdleOutcome::Idle => {
                    return Poll::Ready(false);
                }
            }
        }
    }
}

/// Waits for a request, and reads on until a response needs the socket. Its arguments are dropped by then.
async fn next<'a>(
    mut owned: Box<HeldSocket>,
    served: &'a Arc<ConnectionContext>,
    wait: &mut Option<Pin<Box<Wait<'a>>>>,
) -> Option<(PendingResponse, ResponseGuard)> {
    let asked = fast_path::first(&mut owned, IdleTimer::new(&served.shared, wait)).await;
    let (taken, owned) = Box::pin(take_request(asked, *owned, served)).await?;
    Some(taken.make(owned))
}

/// Reads requests and answers them until a response needs the socket.
async fn take_request(
    asked: IdleOutcome,
    mut owned: HeldSocket,
    served: &Arc<ConnectionContext>,
) -> Option<(Handover, HeldSocket)> {
    match asked {
        IdleOutcome::Idle | IdleOutcome::Next(NextRequest::Gone) => return None,
        IdleOutcome::Draining => {}
        IdleOutcome::Next(_) => {
            if let Some(taken) = answer_plain(&mut owned, served).await {
                return Some((taken, owned));
            }
        }
    }
    Box::pin(through_hyper(owned, served)).await
}

/// Answers a plain request that arrived whole.
async fn answer_plain(owned: &mut HeldSocket, served: &Arc<ConnectionContext>) -> Option<Handover> {
    // Behind a trusted proxy, each request is checked by the client address that the proxy states.
    let reader = served
        .shared
        .reader
        .as_ref()
        .filter(|_| !served.peer.proxied)?;
    let (mut request, length) = fast_path::request(&owned.unread)?;
    let is_read = request.method() == Method::GET;
    let extensions = request.extensions_mut();
    extensions.insert(served.peer);
    if is_read {
        // A publish is answered before its socket is needed.
        extensions.insert(ConnectionGuard::new(served.clone()));
        extensions.insert(HandoverOffer::now());
    }
    let answering = reader.read(request)?;
    owned.asked = owned.unread.split_to(length);
    // A response that does not need the socket is a refusal. It is written to the socket all the same.
    Some(Handover::of(answering.await).await)
}

async fn through_hyper(
    owned: HeldSocket,
    served: &Arc<ConnectionContext>,
) -> Option<(Handover, HeldSocket)> {
    let activity = Arc::new(ConnectionActivity::new());
    let mut wire = MonitoredSocket::new(owned.io, owned.unread, activity.clone());
    let mut clocked = ConnectionDeadlines::new(&served.shared, served.peer.address, &activity);
    let start = clocked.run(|call| match call {
        DriverCall::Poll(cx) => wire.poll_start(cx).map(Result::ok),
        DriverCall::Farewell => Poll::Ready(None),
    });
    let is_http2 = start.await??;
    let entry = Arc::new(RequestContext {
        app: served.app.clone(),
        shared: served.shared.clone(),
        peer: served.peer,
        activity: activity.clone(),
        guard: ConnectionGuard::new(served.clone()),
        offer: HandoverOffer::later(),
    });
    if is_http2 {
        drive_two(&mut clocked, wire, entry).await;
        return None;
    }
    drive_one(&mut clocked, wire, entry).await
}

async fn drive_two(
    clocked: &mut ConnectionDeadlines<'_>,
    wire: MonitoredSocket,
    entry: Arc<RequestContext>,
) {
    clocked.speak_http2();
    let peer = entry.peer;
    let executor = StreamExecutor(entry.activity.streams.clone());
    let service = service_fn(move |request| {
        let busy = BusyGuard::new(entry.activity.clone());
        // On the heap, and freed once the response begins: the task of a stream is as small as the writer of its body.
        Box::pin(answer(entry.clone(), request, busy))
    });
    let mut connection =
        std::pin::pin!(Builders::two(executor).serve_connection(TokioIo::new(wire), service));
    let ended = clocked.run(|call| match call {
        DriverCall::Poll(cx) => connection.as_mut().poll(cx),
        DriverCall::Farewell => {
            connection.as_mut().graceful_shutdown();
            Poll::Pending
        }
    });
    log_end(&peer, ended.await);
}

/// Serves HTTP/1.1. Returns the socket if a response needs it.
async fn drive_one(
    clocked: &mut ConnectionDeadlines<'_>,
    wire: MonitoredSocket,
    entry: Arc<RequestContext>,
) -> Option<(Handover, HeldSocket)> {
    let (peer, shared, offer) = (entry.peer, entry.shared.clone(), entry.offer.clone());
    let activity = entry.activity.clone();
    // Busy from the call on: hyper may check whether the peer has closed before it first polls the response.
    let service = service_fn(move |request| {
        let busy = BusyGuard::new(entry.activity.clone());
        answer(entry.clone(), request, busy)
    });
    let mut connection = shared
        .builders
        .one
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let ended = clocked.run(|call| match call {
        DriverCall::Poll(cx) => match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Err(outcome)),
            // Wait while an earlier response is still in hyper's buffers.
            Poll::Pending if activity.is_stalled() => Poll::Pending,
            Poll::Pending => offer
                .taken()
                .map_or(Poll::Pending, |taken| Poll::Ready(Ok(taken))),
        },
        DriverCall::Farewell => {
            Pin::new(&mut connection).graceful_shutdown();
            Poll::Pending
        }
    });
    match ended.await? {
        Ok(taken) => {
            let parts = connection.into_parts()?;
            Some((taken, parts.io.into_inner().into_owned(&parts.read_buf)))
        }
        Err(outcome) => {
            log_end(&peer, Some(outcome));
            None
        }
    }
}

fn log_end(peer: &Peer, outcome: Option<hyper::Result<()>>) {
    if let Some(Err(error)) = outcome {
        debug!(peer = %peer.address, %error, "connection ended");
    }
}

/// Passes one request to the app, and returns the response for the wire.
async fn answer(
    entry: Arc<RequestContext>,
    request: Request<Incoming>,
    busy: BusyGuard,
) -> Result<Response<BusyBody<ConnectionGuard>>, Infallible> {
    let (mut head, incoming) = request.into_parts();
    let mut peer = entry.peer;
    let mut guard = entry.guard.clone();
    if peer.proxied {
        peer.client = proxy::forwarded_client(
            &entry.shared.trusted_proxies,
            peer.address.ip(),
            &head.headers,
        );
        match entry.shared.connections.address_permit(peer.client) {
            Ok(None) => {}
            Ok(Some(seat)) => guard = ConnectionGuard::new(Arc::new((guard, seat))),
            Err(full) => {
                entry.shared.metrics.refusal(&refuse::refusal(full));
                return Ok(
                    refuse::response(full, &head).map(|body| BusyBody::new(body, busy, guard))
                );
            }
        }
    }
    if head.method == Method::CONNECT {
        // hyper releases an upgraded stream (RFC 8441), but its connection must not count as idle.
        let upgraded = UpgradedStreamGuard::here(&entry.activity.streams);
        let busy = BusyGuard::new(entry.activity.clone());
        guard = ConnectionGuard::new(Arc::new((guard, busy, upgraded)));
        let body = UpgradedBody::new(&entry.activity);
        head.extensions.insert(StreamWatcher(Arc::new(body)));
    }
    head.extensions.insert(peer);
    head.extensions.insert(ConnectInfo(peer.address));
    head.extensions.insert(guard.clone());
    // The socket is not offered if the request has an unread body: its bytes would be parsed as the next request. A
    // response to a POST takes the socket over only after the body was read to its end.
    let body_is_read = incoming.is_end_stream() || head.method == Method::POST;
    let may_be_taken =
        head.version == Version::HTTP_11 && head.method != Method::HEAD && body_is_read;
    if may_be_taken {
        head.extensions.insert(entry.offer.clone());
    }
    let body = timed(
        incoming,
        &head.method,
        entry.shared.body_limit,
        &entry.activity,
    );
    let is_http1 = head.version != Version::HTTP_2;
    let asks_close = has_close(&head.headers);
    let mut app = entry.app.clone();
    let mut response = match app.call(Request::from_parts(head, body)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let ends = asks_close || entry.shared.drain.stage() != DrainStage::Serving;
    if is_http1 && ends {
        let close = HeaderValue::from_static("close");
        response
            .headers_mut()
            .entry(header::CONNECTION)
            .or_insert(close);
    }
    if may_be_taken {
        response = match entry.offer.accept(response, guard.clone()) {
            Some(response) => response,
            // The driver takes the socket over at this point.
            None => std::future::pending().await,
        };
    }
    Ok(response.map(|body| BusyBody::new(body, busy, guard)))
}

/// Returns whether a request is the last one of its connection.
fn has_close(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("close"))
}

fn timed(
    incoming: Incoming,
    method: &Method,
    limit: Option<Duration>,
    activity: &Arc<ConnectionActivity>,
) -> Body {
    if incoming.is_end_stream() {
        return Body::empty();
    }
    // The body of a CONNECT (RFC 8441) is a two-way stream, which has no time limit.
    if method == Method::CONNECT {
        return Body::new(incoming);
    }
    Body::new(TimedBody::new(incoming, limit, activity))
}
