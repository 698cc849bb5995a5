//! Owning the socket of an HTTP/1.1 connection: answers that trickle are written to it directly, since going
//! through hyper costs ten times the memory of an idle reader and half as much CPU again.
//!
//! A server offers its sockets with each request; where there is no offer (HTTP/2, somebody else's server) the same
//! frames go out as an ordinary body. One place decides, and the transports do not know.

mod again;
mod head;

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::response::Parts;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use hyper::header::{CONNECTION, HeaderMap};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use self::again::Whole;
use crate::transport::output::Output;
use crate::transport::{FrameBody, Frames, Piece};

/// Bytes that a client may send ahead while its answer trickles; they are kept for the next request, and beyond
/// them the socket is read no further.
const AHEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one read of what a client sends ahead.
const READ_BYTES: usize = 1_024;

/// Bytes of an answer that is written whole though it did not want the socket: refusals are far smaller.
const FINISHED_BYTES_MAX: usize = 64 * 1024;
/// How long a peer may take nothing of such an answer.
const FINISHED_BUDGET: Duration = Duration::from_secs(30);

/// A socket of any kind.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A socket that is owned, and what was read from it but not used.
pub struct Owned {
    /// The socket.
    pub io: Box<dyn Io>,
    /// Bytes of the client that come before those still in the socket.
    pub unread: Bytes,
    /// The head of the request that is answered, where it came plain and whole.
    pub asked: Bytes,
    /// The answer that was made last, where it can be made again.
    pub again: Option<Box<dyn Again>>,
}

impl Owned {
    /// A socket on which nothing was answered yet.
    #[must_use]
    pub fn new(io: Box<dyn Io>, unread: Bytes) -> Self {
        Self {
            io,
            unread,
            asked: Bytes::new(),
            again: None,
        }
    }
}

/// What goes on with an owned socket. It gets the head of the answer, not yet written, and gives the socket back
/// where the next request may be read from it.
type GoOn = Box<dyn FnOnce(Parts, Owned) -> Making + Send>;

/// What a server puts into the extensions of a request whose socket it would hand over.
#[derive(Clone, Default)]
pub struct Offer {
    slot: Arc<Mutex<Option<Taken>>>,
}

/// An answer that is made on the socket itself.
pub struct Taken {
    answer: Answer,
    /// What must live until the answer ends.
    held: Box<dyn Any + Send>,
}

enum Answer {
    First(Parts, GoOn),
    Again(Box<dyn Again>),
}

/// An answer that can be made again, to a request that asks for the same from another place.
pub trait Again: Send {
    /// Begins the answer to the request at the beginning of these bytes, and says how long its head is. `None` where
    /// that request is another one, or must be judged anew.
    fn begin(&mut self, unread: &[u8]) -> Option<usize>;

    /// Makes the answer. Gives the socket back where the next request may be read from it.
    fn make(self: Box<Self>, owned: Owned) -> Making;
}

/// An answer on its way; gives the socket back where the next request may be read from it.
pub type Making = Pin<Box<dyn Future<Output = Option<Owned>> + Send>>;

/// In the extensions of a response: what wants the socket. Taken out by the server that offered it.
#[derive(Clone)]
pub struct TakeOver(Arc<Mutex<Option<GoOn>>>);

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Offer")
    }
}

/// What comes of an answer.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers plain requests whose socket is at hand, and leaves those that are not for it.
#[derive(Clone)]
pub struct Reader(Arc<dyn Fn(Request) -> Option<Answering> + Send + Sync>);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    pub(crate) fn new(read: impl Fn(Request) -> Option<Answering> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Begins an answer; `None` where the request is not for a reader.
    #[must_use]
    pub fn read(&self, request: Request) -> Option<Answering> {
        self.0(request)
    }
}

impl Offer {
    /// Takes the answer out of a response that wants the socket, to be made once hyper is out of the way; `held`
    /// lives until it ends. Gives the response back where it wants no socket.
    #[must_use]
    pub fn accept(&self, response: Response, held: impl Any + Send) -> Option<Response> {
        let (mut head, body) = response.into_parts();
        let wish = head.extensions.remove::<TakeOver>();
        let Some(go_on) = wish.and_then(|wish| wish.0.lock().take()) else {
            return Some(Response::from_parts(head, body));
        };
        *self.slot.lock() = Some(Taken {
            answer: Answer::First(head, go_on),
            held: Box::new(held),
        });
        None
    }

    /// The answer that waits for its socket.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        self.slot.lock().take()
    }
}

impl Taken {
    /// An answer whose socket is there already: where it wants none, it is written as a whole.
    pub async fn of(response: Response, held: impl Any + Send) -> Self {
        let (mut head, body) = response.into_parts();
        let wish = head.extensions.remove::<TakeOver>();
        let wish = wish.and_then(|wish| wish.0.lock().take());
        let go_on = match wish {
            Some(go_on) => go_on,
            None => finished(body).await,
        };
        Self {
            answer: Answer::First(head, go_on),
            held: Box::new(held),
        }
    }

    /// An answer that was begun again; whoever makes it holds what must live until it ends.
    #[must_use]
    pub fn again(again: Box<dyn Again>) -> Self {
        Self {
            answer: Answer::Again(again),
            held: Box::new(()),
        }
    }

    /// Makes the answer. Gives the socket back where the next request may be read from it.
    pub fn make(self, owned: Owned) -> impl Future<Output = Option<Owned>> + Send {
        let Self { answer, held } = self;
        let answer = match answer {
            Answer::First(head, go_on) => go_on(head, owned),
            Answer::Again(again) => again.make(owned),
        };
        async move {
            let owned = answer.await;
            drop(held);
            owned
        }
    }
}

/// An answer that wants the socket: its head is this response's, what follows is up to `go_on`.
pub(crate) fn take_over<F>(
    mut response: Response,
    go_on: impl FnOnce(Parts, Owned) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Option<Owned>> + Send + 'static,
{
    let go_on: GoOn = Box::new(|head, owned| Box::pin(go_on(head, owned)));
    response
        .extensions_mut()
        .insert(TakeOver(Arc::new(Mutex::new(Some(go_on)))));
    response
}

/// What an answer on a socket is held to.
pub(crate) struct Terms {
    /// A peer that takes nothing for this long is left.
    pub(crate) budget: Option<Duration>,
    /// Counts the writes.
    pub(crate) writes: Counter,
    /// Counts the peers that were left.
    pub(crate) slow: Counter,
}

fn response_of(headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// A trickling answer: on the socket where one is offered, else as a body.
pub(crate) fn trickle<F: Frames + 'static>(
    offer: Option<&Offer>,
    headers: HeaderMap,
    frames: F,
    terms: Terms,
) -> Response {
    if offer.is_none() {
        let body = FrameBody::new(frames, terms.budget, &terms.slow);
        return response_of(headers, Body::new(body));
    }
    take_over(response_of(headers, Body::empty()), move |head, owned| {
        Conversation::new(is_last(&head), owned, &terms).trickle(&head, frames)
    })
}

/// An answer that comes as a whole, after a while: held on the socket where one is offered.
pub(crate) async fn whole<F: Frames + 'static>(
    offer: Option<&Offer>,
    headers: HeaderMap,
    mut frames: F,
    terms: Terms,
) -> Response {
    if offer.is_none() {
        let bytes = std::future::poll_fn(|cx| frames.poll_piece(cx))
            .await
            .map_or_else(Bytes::new, Piece::into_bytes);
        return response_of(headers, Body::from(bytes));
    }
    take_over(response_of(headers, Body::empty()), move |head, owned| {
        Whole::new(&head, &owned, frames, terms).make(owned)
    })
}

/// An answer that is ready, to be written as a whole. A body that fails is told by the end of the connection.
async fn finished(body: Body) -> GoOn {
    let bytes = axum::body::to_bytes(body, FINISHED_BYTES_MAX).await.ok();
    Box::new(move |head, owned| {
        let terms = Terms {
            budget: Some(FINISHED_BUDGET),
            writes: Counter::default(),
            slow: Counter::default(),
        };
        match bytes {
            Some(bytes) => Whole::new(&head, &owned, Ready(bytes), terms).make(owned),
            None => Box::pin(std::future::ready(None)),
        }
    })
}

/// Bytes that are there already.
struct Ready(Bytes);

impl Frames for Ready {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(Some(Piece::Bytes(std::mem::take(&mut self.0))))
    }
}

/// The head of a handshake, which goes out with whatever is written first.
pub(crate) fn handshake(head: &Parts) -> Bytes {
    head::Head::of(head).bytes(head::Length::None, 0).into()
}

/// Whether this answer is the last one of its connection.
fn is_last(head: &Parts) -> bool {
    let word = head.headers.get(CONNECTION);
    word.is_some_and(|word| word == "close")
}

/// A socket while an answer is made on it.
struct Conversation {
    io: Box<dyn Io>,
    ahead: BytesMut,
    output: Output,
    budget: Option<Duration>,
    slow: Counter,
    /// Whether this answer is the last one.
    closes: bool,
    /// Whether what is to be written now is all that there is, until the task is woken.
    is_settled: bool,
    /// Exists only while the peer takes nothing.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What ended a wait.
enum Step {
    Piece(Option<Piece>),
    Written,
    Gone,
}

impl Conversation {
    fn new(closes: bool, owned: Owned, terms: &Terms) -> Self {
        let ahead = BytesMut::from(&owned.unread[..]);
        Self {
            io: owned.io,
            ahead,
            output: Output::new(&terms.writes),
            budget: terms.budget,
            slow: terms.slow.clone(),
            closes,
            is_settled: false,
            timer: None,
        }
    }

    /// No `async fn`, which would hold its arguments twice; an idle reader holds this
    /// future whole.
    fn trickle<F: Frames>(
        mut self,
        head: &Parts,
        mut frames: F,
    ) -> impl Future<Output = Option<Owned>> + Send + use<F> {
        let head = head::Head::of(head).bytes(head::Length::Chunked, 0);
        self.output.push(head.into());
        async move {
            let is_whole = self.chunks(&mut frames).await;
            drop(frames);
            if is_whole && self.finish().await {
                return Some(self.give_back());
            }
            None
        }
    }

    /// Sends chunks up to the last one. Whether the peer is still there.
    async fn chunks(&mut self, frames: &mut impl Frames) -> bool {
        loop {
            match std::future::poll_fn(|cx| self.poll_step(frames, cx)).await {
                // A chunk of no bytes would be the last one.
                Step::Piece(Some(Piece::Bytes(bytes))) if bytes.is_empty() => {}
                Step::Piece(Some(piece)) => self.output.push(piece.into_chunk()),
                Step::Piece(None) => {
                    self.output.push(Bytes::from_static(b"0\r\n\r\n"));
                    return true;
                }
                Step::Written => {}
                Step::Gone => return false,
            }
        }
    }

    /// Waits for the one answer; none where the peer is gone.
    async fn answer(&mut self, frames: &mut impl Frames) -> Option<Bytes> {
        loop {
            match std::future::poll_fn(|cx| self.poll_step(frames, cx)).await {
                Step::Piece(piece) => {
                    return Some(piece.map_or_else(Bytes::new, Piece::into_bytes));
                }
                Step::Written => {}
                Step::Gone => return None,
            }
        }
    }

    /// Writes what is left. Whether the next request may be read from the socket.
    async fn finish(&mut self) -> bool {
        while !self.output.is_empty() {
            match std::future::poll_fn(|cx| self.poll_write(cx)).await {
                Step::Gone => return false,
                Step::Written | Step::Piece(_) => {}
            }
        }
        if self.closes {
            let _ = std::future::poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
        }
        !self.closes
    }

    fn give_back(self) -> Owned {
        Owned::new(self.io, self.ahead.freeze())
    }

    /// Asks for all that is pending, then writes it at once, and listens for the end of the peer.
    fn poll_step(&mut self, frames: &mut impl Frames, cx: &mut Context<'_>) -> Poll<Step> {
        // Where the piece before was all that there is, nobody is asked again until the task is woken.
        let is_settled = std::mem::take(&mut self.is_settled);
        if !is_settled
            && !self.output.is_due()
            && let Poll::Ready(piece) = frames.poll_piece(cx)
        {
            self.output.gather();
            self.is_settled = frames.is_settled();
            return Poll::Ready(Step::Piece(piece));
        }
        if !self.output.is_empty() {
            match ready!(self.poll_write(cx)) {
                Step::Written if is_settled => {}
                step => return Poll::Ready(step),
            }
        }
        if self.is_gone(cx) {
            Poll::Ready(Step::Gone)
        } else {
            Poll::Pending
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match self.output.poll_write(Pin::new(&mut self.io), cx) {
            Poll::Ready(Ok(())) => {
                self.timer = None;
                Poll::Ready(Step::Written)
            }
            Poll::Ready(Err(_)) => Poll::Ready(Step::Gone),
            Poll::Pending => self.poll_budget(cx),
        }
    }

    fn poll_budget(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let (Some(budget), Some(since)) = (self.budget, self.output.blocked_since()) else {
            return Poll::Pending;
        };
        let at: Instant = since + budget;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).map(|()| {
            // Its socket is full: no last word would get through.
            self.slow.inc();
            Step::Gone
        })
    }

    /// Reads what the client sends ahead, which is mostly its end.
    fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        while self.ahead.len() < AHEAD_BYTES_MAX {
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => return true,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return true,
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(buffer.filled()),
            }
        }
        false
    }
}
