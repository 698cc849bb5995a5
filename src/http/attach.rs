//! Opening a reader: one entry for all three transports, which then take separate paths.
//!
//! Reads the request into an `AttachRequest`. The transports encode the response.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{Either, Ready, ready};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::publish::check_encoding;
use super::{App, RefusalResponse, SharedApp};
use crate::protocol::peer::{ConnectionGuard, Peer, StreamWatcher};
use crate::protocol::{
    AttachBody, AttachRequest, BodyEcho, Code, Format, Refusal, ShownIn, Transport,
};
use crate::server::socket::ws;
use crate::server::socket::{
    self, Connection, HandoverOffer, Io, NarrowWrites, PendingResponse, ResponseFuture,
};
use crate::session::Attachment;
use crate::transport::{RequestFacts, poll, sse, streaming_headers};

/// The largest body of a reader's request: 10,000 channels with their starts.
const OPENING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The subprotocol of the contract.
const PROTOCOL: &str = "triway.v1";
/// The header of an event stream that reconnects.
const LAST_EVENT_ID: &str = "last-event-id";

/// A request to read.
struct ReadRequest {
    transport: Transport,
    /// The handshake of a WebSocket.
    handshake: Option<Handshake>,
    parts: Parts,
    body: Body,
}

/// The outcome of a request: mostly a response that is ready.
type AttachOutcome = Either<Ready<Response>, ResponseFuture>;

/// Serves a reading path. This is no `async fn`, because that would hold its arguments twice.
pub(super) fn read(
    app: SharedApp,
    transport: Transport,
    request: Request,
) -> impl Future<Output = Response> + Send {
    match ReadRequest::of(transport, request) {
        Ok(mut asked) => Either::Right(async move {
            let attach = open(&app, &mut asked).await;
            begin(&app, attach, asked).await
        }),
        Err(response) => Either::Left(ready(*response)),
    }
}

impl ReadRequest {
    fn of(transport: Transport, mut request: Request) -> Result<Self, Box<Response>> {
        let handshake = match transport {
            Transport::Ws => match Handshake::of(&mut request) {
                Ok(handshake) => Some(handshake),
                Err(refusal) => {
                    // Sent with every refusal of the handshake, as RFC 6455, section 4.4, requires for a wrong version.
                    let version = [(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))];
                    let refused = RefusalResponse::at(request.uri(), refusal);
                    return Err(Box::new((version, refused).into_response()));
                }
            },
            Transport::Sse | Transport::Poll => None,
        };
        let (parts, body) = request.into_parts();
        Ok(Self {
            transport,
            handshake,
            parts,
            body,
        })
    }
}

fn begin(
    app: &SharedApp,
    attach: Result<Attachment, Refusal>,
    asked: ReadRequest,
) -> AttachOutcome {
    let ReadRequest {
        transport,
        handshake,
        parts,
        ..
    } = asked;
    let facts = RequestFacts {
        client: parts.extensions.get::<Peer>().map(|peer| peer.client),
    };
    let offer = parts.extensions.get::<HandoverOffer>();
    let beside = || HandshakeContext {
        offer: offer.cloned(),
        guard: parts.extensions.get::<ConnectionGuard>().cloned(),
        watcher: parts.extensions.get::<StreamWatcher>().cloned(),
    };
    let response = match (attach, handshake) {
        (Ok(attach), Some(handshake)) => handshake.accept(app, attach, facts, beside()),
        (Err(refusal), Some(handshake)) => {
            handshake.refuse(app, refusal, asked_format(&parts.uri), beside())
        }
        (Err(refusal), None) => RefusalResponse(refusal).into_response(),
        (Ok(_), None) if parts.method == Method::HEAD => {
            // A body of unknown length, as in the response to a GET.
            let nothing = futures_util::stream::empty::<Result<Bytes, Infallible>>();
            let body = Body::from_stream(nothing);
            (streaming_headers(content_type(transport)), body).into_response()
        }
        (Ok(attach), None) => {
            // Each request is authenticated, and a header may state where to continue.
            let judges = app.authenticator.is_set() || app.sessions.judges_access();
            let by_head = !judges && !parts.headers.contains_key(LAST_EVENT_ID);
            return answer(app, attach, facts, offer, by_head);
        }
    };
    Either::Left(ready(response))
}

fn answer(
    app: &App,
    attach: Attachment,
    facts: RequestFacts,
    offer: Option<&HandoverOffer>,
    by_head: bool,
) -> AttachOutcome {
    let transport = attach.transport();
    let write_config = app.write_config.clone();
    let mut headers = streaming_headers(content_type(transport));
    if transport == Transport::Sse {
        let stream = sse::SseStream::new(attach, facts);
        return Either::Left(ready(socket::stream(offer, headers, stream, write_config)));
    }
    let answer = poll::PollResponse::new(attach, facts);
    if answer.is_early() {
        return Either::Left(ready(socket::stream(offer, headers, answer, write_config)));
    }
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    );
    headers.remove(CONTENT_ENCODING);
    let answer = if by_head { answer.repeatable() } else { answer };
    match offer {
        Some(_) => Either::Left(ready(socket::complete(headers, answer, write_config))),
        None => Either::Right(Box::pin(async move {
            socket::whole_body(headers, answer, &write_config).await
        })),
    }
}

fn content_type(transport: Transport) -> &'static str {
    match transport {
        Transport::Sse => sse::CONTENT_TYPE,
        Transport::Poll | Transport::Ws => poll::CONTENT_TYPE,
    }
}

async fn open(app: &SharedApp, asked: &mut ReadRequest) -> Result<Attachment, Refusal> {
    let mut echo = BodyEcho::default();
    let attach = open_with(app, asked, &mut echo).await;
    match attach {
        // Most readers never repeat it, and each poll would parse its query twice.
        Ok(attach) if !attach.may_refuse() => Ok(attach),
        Ok(attach) => {
            let (nonce, place) = app.body_echo(&asked.parts, &echo);
            Ok(attach.answering(nonce.as_deref(), place))
        }
        Err(refusal) => {
            let (nonce, place) = app.body_echo(&asked.parts, &echo);
            Err(refusal.answering(nonce, place))
        }
    }
}

/// Opens the attachment, and stores in `echo` the parts of the body that a refusal repeats.
async fn open_with(
    app: &SharedApp,
    asked: &mut ReadRequest,
    echo: &mut BodyEcho,
) -> Result<Attachment, Refusal> {
    let (parts, transport) = (&asked.parts, asked.transport);
    let body = if parts.method == Method::POST {
        check_encoding(parts)?;
        let body = std::mem::take(&mut asked.body);
        let (bytes, _counted) = Box::pin(app.bodies.read(body, OPENING_BYTES_MAX)).await?;
        *echo = BodyEcho::of(&bytes);
        if bytes.is_empty() {
            None
        } else {
            Some(AttachBody::parse(&bytes)?)
        }
    } else {
        None
    };
    let path = rest_of_path(parts);
    let last_event_id = parts.headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    let query = parts.uri.query().unwrap_or_default();
    let mut attach_request = AttachRequest::parse(transport, path, query, last_event_id, body)?;
    if parts.method == Method::HEAD {
        // The request asks for a reader's response without becoming a reader.
        attach_request.presence = ShownIn::Nowhere;
    }
    let credential = app.reader_credential(parts, &attach_request).await?;
    let address = parts.extensions.get::<Peer>().map(|peer| peer.client);
    app.sessions.open(attach_request, &credential, address)
}

/// Returns whether a path is a reading path of this transport.
pub(super) fn is_address_of(transport: Transport, path: &str) -> bool {
    is_below(transport.as_str(), path)
}

/// Returns whether the first segment of a path is this one.
pub(super) fn is_below(segment: &str, path: &str) -> bool {
    let rest = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(segment));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Refuses a WebSocket over the open socket if the handshake is valid. Returns `None` if it is not.
pub(super) fn refuse_socket(
    app: &SharedApp,
    request: &mut Request,
    refusal: Refusal,
) -> Option<Response> {
    let handshake = Handshake::of(request).ok()?;
    let extensions = request.extensions();
    let beside = HandshakeContext {
        offer: extensions.get::<HandoverOffer>().cloned(),
        guard: extensions.get::<ConnectionGuard>().cloned(),
        watcher: extensions.get::<StreamWatcher>().cloned(),
    };
    Some(handshake.refuse(app, refusal, asked_format(request.uri()), beside))
}

/// Returns the path after its first segment, still encoded: `a,b` of `/sse/a,b`.
pub(super) fn rest_of_path(parts: &Parts) -> Option<&str> {
    let path = parts.uri.path();
    path.get(1..)?.split_once('/').map(|(_, rest)| rest)
}

/// Returns the format of a request, even if the rest of the request is invalid.
fn asked_format(uri: &Uri) -> Format {
    let is_data = uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "format=data"));
    if is_data { Format::Data } else { Format::Full }
}

/// A valid WebSocket handshake.
struct Handshake {
    /// `None` if the server offers the socket itself.
    upgrade: Option<OnUpgrade>,
    /// The accept key. `None` over HTTP/2, which needs no key.
    accept: Option<String>,
    /// Whether the client offers the subprotocol of the contract.
    protocol: bool,
    over_http2: bool,
}

impl Handshake {
    fn of(request: &mut Request) -> Result<Self, Refusal> {
        let extended = request.extensions().get::<hyper::ext::Protocol>();
        let is_websocket = extended.is_some_and(|protocol| protocol.as_str() == "websocket");
        let over_http2 = request.method() == Method::CONNECT && is_websocket;
        let headers = request.headers();
        let asks =
            has_word(headers, &CONNECTION, "upgrade") && has_word(headers, &UPGRADE, "websocket");
        let missing = |detail| Err(Refusal::new(Code::UpgradeMissing, detail));
        if !(over_http2 || asks && request.method() == Method::GET) {
            return missing("a GET without `Upgrade: websocket`");
        }
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return missing("only version 13 of the WebSocket protocol is spoken");
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let key = key.filter(|key| is_handshake_key(key));
        if key.is_none() && !over_http2 {
            return Err(Refusal::bad_parameter(
                "Sec-WebSocket-Key is not 16 bytes in base64",
            ));
        }
        let accept = key.map(derive_accept_key);
        let protocol = has_word(headers, &SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        if upgrade.is_none() && request.extensions().get::<HandoverOffer>().is_none() {
            return missing("this connection cannot be upgraded");
        }
        Ok(Self {
            upgrade,
            accept: accept.filter(|_| !over_http2),
            protocol,
            over_http2,
        })
    }

    fn accept(
        self,
        app: &App,
        attach: Attachment,
        facts: RequestFacts,
        beside: HandshakeContext,
    ) -> Response {
        let fanouts = app.write_config.fanouts.clone();
        self.go_on(beside, move |io, unread, first| {
            ws::Socket::new(io, attach, &unread, first, fanouts).run(facts)
        })
    }

    /// Opens the socket only to close it with the reason, because a browser does not show the HTTP status to its page.
    fn refuse(
        self,
        app: &SharedApp,
        refusal: Refusal,
        format: Format,
        beside: HandshakeContext,
    ) -> Response {
        app.sessions.hub().metrics().refusal(&refusal);
        self.go_on(beside, move |io, _, first| {
            ws::refuse(io, refusal, format, first)
        })
    }

    fn go_on<F>(
        self,
        beside: HandshakeContext,
        go_on: impl FnOnce(Connection, Bytes, Bytes) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let response = self.answer();
        if beside.offer.is_some() {
            return socket::take_over(response, |head, owned| {
                let answer = socket::handshake(&head);
                // An `async` block would hold the socket's future twice.
                PendingResponse::once(go_on(owned.io, owned.unread, answer).map(|()| None))
            });
        }
        let (upgrade, over_http2) = (self.upgrade, self.over_http2);
        tokio::spawn(async move {
            // The connection stays counted as long as this task runs.
            let _guard = beside.guard;
            let Some(upgrade) = upgrade else { return };
            if let Ok(upgraded) = upgrade.await {
                let io = TokioIo::new(upgraded);
                let io: Box<dyn Io> = if over_http2 {
                    Box::new(NarrowWrites::new(io, beside.watcher))
                } else {
                    Box::new(io)
                };
                go_on(Connection::Other(io), Bytes::new(), Bytes::new()).await;
            }
        });
        response
    }

    fn answer(&self) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        if self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        }
        if let Some(accept) = self
            .accept
            .as_deref()
            .and_then(|accept| HeaderValue::from_str(accept).ok())
        {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        response
    }
}

/// Returns whether a handshake's key is valid by RFC 6455, section 4.2.1.
fn is_handshake_key(key: &[u8]) -> bool {
    const KEY_BYTES: usize = 16;
    STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_BYTES)
}

/// The facts besides its request that a handshake needs.
struct HandshakeContext {
    offer: Option<HandoverOffer>,
    guard: Option<ConnectionGuard>,
    watcher: Option<StreamWatcher>,
}

/// Returns whether a comma-separated header contains a word, in any case.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(word))
}
