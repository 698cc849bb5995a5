//! Owning the socket of an HTTP/1.1 connection: answers that trickle are written to it directly, since going
//! through hyper costs ten times the memory of an idle reader and half as much CPU again.
//!
//! A server offers its sockets with each request; where there is no offer (HTTP/2, somebody else's server) the same
//! frames go out as an ordinary body. One place decides, and the transports do not know.

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

/// Bytes of an answer that is written whole though it did not want the socket: a refusal that names a thousand channels
/// is smaller.
const FINISHED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a peer may take nothing of such an answer.
const FINISHED_BUDGET: Duration = Duration::from_secs(30);

/// A socket that is owned, and what was read from it but not used.
pub struct HeldSocket {
    /// The socket.
    pub io: Connection,
    /// Bytes of the client that come before those still in the socket.
    pub unread: Bytes,
    /// The head of the request that is answered, where it came plain and whole.
    pub asked: Bytes,
}

impl HeldSocket {
    /// A socket on which nothing was answered yet.
    #[must_use]
    pub fn new(io: Connection, unread: Bytes) -> Self {
        Self {
            io,
            unread,
            asked: Bytes::new(),
        }
    }
}

/// What goes on with an owned socket. It gets the head of the answer, not yet written, and gives the socket back
/// where the next request may be read from it.
type HandoverFn = Box<dyn FnOnce(Parts, HeldSocket) -> PendingResponse + Send>;

/// What a server puts into the extensions of a request whose socket it would hand over.
#[derive(Clone)]
pub struct HandoverOffer {
    /// Where the answer waits for its socket; absent where that is at hand.
    slot: Option<Arc<Mutex<Option<Handover>>>>,
}

/// An answer that is made on the socket itself.
pub struct Handover {
    head: Parts,
    go_on: HandoverFn,
    held: ResponseGuard,
}

/// What must live until an answer ends, where that is anything. Small, since an idle reader keeps it too.
pub type ResponseGuard = Option<Box<ConnectionGuard>>;

/// An answer on its way.
pub enum PendingResponse {
    /// Gives the socket back where the next request may be read from it.
    Once(Pin<Box<dyn Future<Output = Option<HeldSocket>> + Send>>),
    /// May be followed by others of its kind.
    Chain(Box<dyn Chain>),
}

impl PendingResponse {
    /// One that no other follows.
    pub(crate) fn once(answer: impl Future<Output = Option<HeldSocket>> + Send + 'static) -> Self {
        Self::Once(Box::pin(answer))
    }
}

/// Answers on one socket, one after the other, to requests that ask for the same from another place.
pub trait Chain: Send {
    /// Makes the answer that was begun.
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<ResponseOutcome>;

    /// Waits for the next request while the last answer rests.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<NextRequest>;

    /// Gives the socket back, with what was read from it and not used.
    fn give_back(self: Box<Self>) -> HeldSocket;
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// With the connection.
    Gone,
    /// The socket is free for the next request, whatever that is.
    Over,
    /// So, and one that asks for the same can be answered again.
    Rests,
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRequest {
    /// A request that asks for the same; its answer is begun.
    Same,
    /// Bytes of anything else, or of what must be judged anew.
    Other,
    /// The end of the peer.
    Gone,
}

/// In the extensions of a response: what wants the socket. Taken out by the server that offered it.
#[derive(Clone)]
pub struct HandoverRequest(Arc<Mutex<Option<HandoverFn>>>);

impl std::fmt::Debug for HandoverOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offer")
    }
}

/// An answer that is waited for.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers plain requests whose socket is at hand, and leaves those that are not for it.
#[derive(Clone)]
pub struct FastPath(Arc<dyn Fn(Request) -> Option<ResponseFuture> + Send + Sync>);

impl std::fmt::Debug for FastPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl FastPath {
    pub(crate) fn new(
        read: impl Fn(Request) -> Option<ResponseFuture> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }

    /// Begins an answer; `None` where the request is not for a reader.
    #[must_use]
    pub(crate) fn read(&self, request: Request) -> Option<ResponseFuture> {
        self.0(request)
    }
}

impl HandoverOffer {
    /// Of a socket that hyper has to let go first.
    #[must_use]
    pub fn later() -> Self {
        Self {
            slot: Some(Arc::default()),
        }
    }

    /// Of a socket that is at hand.
    #[must_use]
    pub fn now() -> Self {
        Self { slot: None }
    }

    /// Takes the answer out of a response that wants the socket, to be made once hyper is out of the way; `held`
    /// lives until it ends. Gives the response back where it wants no socket.
    #[must_use]
    pub fn accept(&self, response: Response, held: ConnectionGuard) -> Option<Response> {
        let Some(slot) = &self.slot else {
            return Some(response);
        };
        let (mut head, body) = response.into_parts();
        let wish = head.extensions.remove::<HandoverRequest>();
        let Some(go_on) = wish.and_then(|wish| wish.0.lock().take()) else {
            return Some(Response::from_parts(head, body));
        };
        *slot.lock() = Some(Handover {
            head,
            go_on,
            held: Some(Box::new(held)),
        });
        None
    }

    /// The answer that waits for its socket.
    #[must_use]
    pub fn taken(&self) -> Option<Handover> {
        self.slot.as_ref()?.lock().take()
    }
}

impl Handover {
    /// An answer whose socket is there already: where it wants none, it is written as a whole. Whoever makes it holds
    /// what must live until it ends.
    pub async fn of(response: Response) -> Self {
        let (mut head, body) = response.into_parts();
        let wish = head.extensions.remove::<HandoverRequest>();
        let wish = wish.and_then(|wish| wish.0.lock().take());
        let go_on = match wish {
            Some(go_on) => go_on,
            None => finished(body).await,
        };
        Self {
            head,
            go_on,
            held: None,
        }
    }

    /// Begins the answer; what is beside it must live until it ends.
    #[must_use]
    pub fn make(self, owned: HeldSocket) -> (PendingResponse, ResponseGuard) {
        ((self.go_on)(self.head, owned), self.held)
    }
}

/// An answer that wants the socket: its head is this response's, what follows is up to `go_on`.
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

/// What an answer on a socket is held to.
pub(crate) struct WriteConfig {
    /// A peer that takes nothing for this long is left.
    pub(crate) budget: Option<Duration>,
    /// Counts the writes.
    pub(crate) writes: Counter,
    /// Counts the peers that were left.
    pub(crate) slow: Counter,
    /// Who may write what comes in a reader's stead; absent where nothing is to come.
    pub(crate) fanouts: Option<Arc<Fanouts>>,
    /// Watches answers whose sockets are not ours.
    pub(crate) watch: Arc<WriteWatch>,
}

impl WriteConfig {
    /// Those of readers.
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

/// A trickling answer: on the socket where one is offered, else as a body.
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

/// An answer that comes as a whole, after a while, held on the socket that is offered.
pub(crate) fn complete<F: Frames + 'static>(
    headers: HeaderMap,
    frames: F,
    write_config: Arc<WriteConfig>,
) -> Response {
    take_over(response_of(headers, Body::empty()), move |head, owned| {
        PendingResponse::Chain(PollExchange::new(&head, owned, frames, &write_config))
    })
}

/// The same where no socket is offered.
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

/// An answer that is ready, to be written as a whole. A body that fails is told by the end of the connection.
async fn finished(body: Body) -> HandoverFn {
    let bytes = bytes_of(body).await;
    Box::new(move |head, owned| match bytes {
        Some(bytes) => PendingResponse::Chain(PollExchange::new(
            &head,
            owned,
            ReadyBytes(bytes),
            &FINISHED_TERMS,
        )),
        None => PendingResponse::once(std::future::ready(None)),
    })
}

/// The bytes of a body that is ready, mostly in one part; `None` where it fails, or is too large.
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

/// What answers are held to that are ready before they have the socket. Nobody counts their writes.
static FINISHED_TERMS: LazyLock<Arc<WriteConfig>> = LazyLock::new(|| {
    Arc::new(WriteConfig {
        budget: Some(FINISHED_BUDGET),
        writes: Counter::default(),
        slow: Counter::default(),
        fanouts: None,
        watch: WriteWatch::new(None, Counter::default()),
    })
});

/// Bytes that are there already.
struct ReadyBytes(Bytes);

impl Frames for ReadyBytes {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(Some(Piece::Bytes(std::mem::take(&mut self.0))))
    }
}

/// The head of a handshake, which goes out with whatever is written first.
pub(crate) fn handshake(head: &Parts) -> Bytes {
    let lines = response_head::ResponseHead::of(head);
    lines
        .bytes(response_head::BodyLength::None, response_head::HELLO_BYTES)
        .into()
}

/// Whether this answer is the last one of its connection.
fn is_last(head: &Parts) -> bool {
    let word = head.headers.get(CONNECTION);
    word.is_some_and(|word| word == "close")
}
