//! Handover of the socket of an HTTP/1.1 connection. Streams are written to it directly, because hyper needs ten times
//! the memory of an idle reader and half as much CPU again.
//!
//! A server offers its sockets with each request. Without an offer (HTTP/2, or another server), the same frames are
//! sent as an ordinary body. Only this file makes the decision, and the transports do not know it.

mod driver;
mod poll_exchange;
pub(crate) mod ws;

use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::response::Parts;
use axum::response::Response;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::header::{CONNECTION, HeaderMap};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

use self::driver::SocketDriver;
use self::poll_exchange::PollExchange;
use crate::fanout::Fanouts;
use crate::protocol::peer::ConnectionGuard;
use crate::session::Sessions;
pub use crate::transport::connection::{Connection, Io};
pub(crate) use crate::transport::connection::{NarrowWrites, with_room};
use crate::transport::response_head;
use crate::transport::{FrameBody, Frames, Piece, WriteWatch};

/// Bytes of a complete response that did not need the socket. A refusal that names a thousand channels is smaller.
const FINISHED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a peer may accept no bytes of such a response.
const FINISHED_BUDGET: Duration = Duration::from_secs(30);

/// A socket, with the bytes that were read from it but not used.
pub struct HeldSocket {
    /// The socket.
    pub io: Connection,
    /// Bytes of the client that precede those still in the socket.
    pub unread: Bytes,
    /// The head of the current request, if it was plain and arrived whole.
    pub asked: Bytes,
}

impl HeldSocket {
    /// Returns a socket without a request.
    #[must_use]
    pub fn new(io: Connection, unread: Bytes) -> Self {
        Self {
            io,
            unread,
            asked: Bytes::new(),
        }
    }
}

/// Continues a response on a socket. Receives the head of the response, which is not yet written. Returns the socket if
/// the next request may be read from it.
type HandoverFn = Box<dyn FnOnce(Parts, HeldSocket) -> PendingResponse + Send>;

/// The offer of a server to hand its socket over, in the extensions of a request.
#[derive(Clone)]
pub struct HandoverOffer {
    /// Where the response waits for its socket. `None` if the socket is ready.
    slot: Option<Arc<Mutex<Option<Handover>>>>,
}

/// A response that is written to the socket itself.
pub struct Handover {
    head: Parts,
    go_on: HandoverFn,
    held: ResponseGuard,
}

/// A guard that must live until a response ends, if there is one. It is small, because an idle reader keeps it too.
pub type ResponseGuard = Option<Box<ConnectionGuard>>;

/// A response in progress.
pub enum PendingResponse {
    /// Returns the socket if the next request may be read from it.
    Once(Pin<Box<dyn Future<Output = Option<HeldSocket>> + Send>>),
    /// May be followed by responses of its kind.
    Chain(Box<dyn Chain>),
}

impl PendingResponse {
    /// Returns a response that no other one of its kind follows.
    pub(crate) fn once(answer: impl Future<Output = Option<HeldSocket>> + Send + 'static) -> Self {
        Self::Once(Box::pin(answer))
    }
}

/// Responds on one socket, one after the other, to requests that differ only in their cursor.
pub trait Chain: Send {
    /// Finishes the current response.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<ResponseOutcome>;

    /// Waits for the next request while the last response is parked.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<NextRequest>;

    /// Returns the socket, with the bytes that were read from it but not used.
    fn give_back(self: Box<Self>) -> HeldSocket;
}

/// The outcome of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// The connection has ended.
    Gone,
    /// The socket is free for any next request.
    Over,
    /// The socket is free, and a repeated request can be answered again.
    Parked,
}

/// What follows a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRequest {
    /// A repeated request, whose response has begun.
    Same,
    /// Bytes of another request, or of one that needs a new check.
    Other,
    /// The peer closed the connection.
    Gone,
}

/// The continuation that needs the socket, in the extensions of a response. The server that offered the socket takes it
/// out.
#[derive(Clone)]
pub struct HandoverRequest(Arc<Mutex<Option<HandoverFn>>>);

impl HandoverRequest {
    /// Takes the continuation out of the head of a response.
    fn take(head: &mut Parts) -> Option<HandoverFn> {
        head.extensions.remove::<Self>()?.0.lock().take()
    }
}

impl std::fmt::Debug for HandoverOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandoverOffer")
    }
}

/// A response in the future.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers plain requests whose socket is ready, and leaves all others to the router.
#[derive(Clone)]
pub struct FastPath(Arc<dyn Fn(Request) -> Option<ResponseFuture> + Send + Sync>);

impl std::fmt::Debug for FastPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FastPath")
    }
}

impl FastPath {
    pub(crate) fn new(
        read: impl Fn(Request) -> Option<ResponseFuture> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }

    /// Begins a response. Returns `None` if the request is not for this path.
    #[must_use]
    pub(crate) fn read(&self, request: Request) -> Option<ResponseFuture> {
        self.0(request)
    }
}

impl HandoverOffer {
    /// Returns an offer of a socket that hyper must release first.
    #[must_use]
    pub fn later() -> Self {
        Self {
            slot: Some(Arc::default()),
        }
    }

    /// Returns an offer of a socket that is ready.
    #[must_use]
    pub fn now() -> Self {
        Self { slot: None }
    }

    /// Takes the handover out of a response that needs the socket; it begins once hyper has released the socket. `held`
    /// lives until it ends. Returns the response if it needs no socket.
    #[must_use]
    pub fn accept(&self, response: Response, held: ConnectionGuard) -> Option<Response> {
        let Some(slot) = &self.slot else {
            return Some(response);
        };
        let (mut head, body) = response.into_parts();
        let Some(go_on) = HandoverRequest::take(&mut head) else {
            return Some(Response::from_parts(head, body));
        };
        *slot.lock() = Some(Handover {
            head,
            go_on,
            held: Some(Box::new(held)),
        });
        None
    }

    /// Returns the handover that waits for its socket.
    #[must_use]
    pub fn taken(&self) -> Option<Handover> {
        self.slot.as_ref()?.lock().take()
    }
}

impl Handover {
    /// Returns a handover whose socket is ready. A response that does not need the socket is written whole. The caller
    /// holds the guards that must live until it ends.
    pub async fn of(response: Response) -> Self {
        let (mut head, body) = response.into_parts();
        let go_on = match HandoverRequest::take(&mut head) {
            Some(go_on) => go_on,
            None => finished(body).await,
        };
        Self {
            head,
            go_on,
            held: None,
        }
    }

    /// Begins the response. The returned guard must live until it ends.
    #[must_use]
    pub fn make(self, owned: HeldSocket) -> (PendingResponse, ResponseGuard) {
        ((self.go_on)(self.head, owned), self.held)
    }
}

/// Returns a response that needs the socket. Its head is that of `response`, and `go_on` writes the rest.
pub(crate) fn take_over(
    mut response: Response,
    go_on: impl FnOnce(Parts, HeldSocket) -> PendingResponse + Send + 'static,
) -> Response {
    let go_on: HandoverFn = Box::new(go_on);
    response
        .extensions_mut()
        .insert(HandoverRequest(Arc::new(Mutex::new(Some(go_on)))));
    response
}

/// The limits and counters of a response on a socket.
pub(crate) struct WriteConfig {
    /// A peer that accepts no bytes for this long is disconnected.
    pub(crate) budget: Option<Duration>,
    /// Counts the writes.
    pub(crate) writes: Counter,
    /// Counts the disconnected slow peers.
    pub(crate) slow: Counter,
    /// The fan-out tasks that may write to readers. `None` if no events follow.
    pub(crate) fanouts: Option<Arc<Fanouts>>,
    /// Watches responses whose sockets belong to another server.
    pub(crate) watch: Arc<WriteWatch>,
}

impl WriteConfig {
    /// Returns the configuration for readers.
    pub(crate) fn new(
        sessions: &Sessions,
        fanouts: &Arc<Fanouts>,
        watch: &Arc<WriteWatch>,
    ) -> Self {
        let metrics = sessions.hub().metrics();
        Self {
            budget: sessions.options().write_timeout,
            writes: metrics.writes.clone(),
            slow: metrics.slow_byes(),
            fanouts: Some(fanouts.clone()),
            watch: watch.clone(),
        }
    }
}

fn response_of(headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// Returns a streamed response: on the socket if one is offered, or else as a body.
pub(crate) fn stream<F: Frames + 'static>(
    offer: Option<&HandoverOffer>,
    headers: HeaderMap,
    frames: F,
    write_config: Arc<WriteConfig>,
) -> Response {
    if offer.is_none() {
        let body = FrameBody::new(frames, &write_config.watch);
        return response_of(headers, Body::new(body));
    }
    take_over(response_of(headers, Body::empty()), move |head, owned| {
        PendingResponse::once(
            SocketDriver::new(is_last(&head), owned, &write_config).stream(&head, frames),
        )
    })
}

/// Returns a complete response that is ready later, held on the offered socket.
pub(crate) fn complete<F: Frames + 'static>(
    headers: HeaderMap,
    frames: F,
    write_config: Arc<WriteConfig>,
) -> Response {
    take_over(response_of(headers, Body::empty()), move |head, owned| {
        PendingResponse::Chain(PollExchange::new(&head, owned, frames, &write_config))
    })
}

/// Returns a complete response if no socket is offered.
pub(crate) async fn whole_body(
    headers: HeaderMap,
    mut frames: impl Frames,
    write_config: &WriteConfig,
) -> Response {
    frames.narrow();
    let piece = std::future::poll_fn(|cx| frames.poll_piece(cx)).await;
    let body = match piece.map_or(Err(Bytes::new()), Piece::into_text) {
        Ok(text) => Body::new(FrameBody::of_text(text, &write_config.watch)),
        Err(bytes) => Body::from(bytes),
    };
    response_of(headers, body)
}

/// Returns the handover of a response that is ready, to be written whole. If its body fails, the connection ends.
async fn finished(body: Body) -> HandoverFn {
    let bytes = bytes_of(body).await;
    Box::new(move |head, owned| match bytes {
        Some(bytes) => PendingResponse::Chain(PollExchange::new(
            &head,
            owned,
            ReadyBytes(bytes),
            &FINISHED_CONFIG,
        )),
        None => PendingResponse::once(std::future::ready(None)),
    })
}

/// Returns the bytes of a body that is ready, mostly in one part. Returns `None` if it fails or is too large.
async fn bytes_of(mut body: Body) -> Option<Bytes> {
    let mut bytes = Bytes::new();
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let Ok(part) = frame.ok()?.into_data() else {
            continue;
        };
        bytes = if bytes.is_empty() {
            part
        } else {
            [bytes, part].concat().into()
        };
        if bytes.len() > FINISHED_BYTES_MAX {
            return None;
        }
    }
    Some(bytes)
}

/// The configuration for responses that are ready before they have the socket. Their writes are not counted.
static FINISHED_CONFIG: LazyLock<Arc<WriteConfig>> = LazyLock::new(|| {
    Arc::new(WriteConfig {
        budget: Some(FINISHED_BUDGET),
        writes: Counter::default(),
        slow: Counter::default(),
        fanouts: None,
        watch: WriteWatch::new(None, Counter::default()),
    })
});

/// Bytes that are ready.
struct ReadyBytes(Bytes);

impl Frames for ReadyBytes {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(Some(Piece::Bytes(std::mem::take(&mut self.0))))
    }
}

/// Returns the head of a handshake, which is sent with the first write.
pub(crate) fn handshake(head: &Parts) -> Bytes {
    let lines = response_head::ResponseHead::of(head);
    lines
        .bytes(response_head::BodyLength::None, response_head::HELLO_BYTES)
        .into()
}

/// Returns whether this response is the last one of its connection.
fn is_last(head: &Parts) -> bool {
    let word = head.headers.get(CONNECTION);
    word.is_some_and(|word| word == "close")
}
