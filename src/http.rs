//! The routes of the contract, on one screen, and the parts that all responses share.
//!
//! Knows how requests are parsed and responses encoded. The modules below hold the rules.

mod assets;
mod attach;
mod authenticator;
mod authority;
mod body;
mod channels;
mod credentials;
mod error;
mod guard;
mod health;
#[cfg(feature = "jwt")]
mod jwt_verifier;
mod problems;
mod publish;
mod refused_hosts;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Extensions;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, AUTHORIZATION,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
};
use hyper::{Method, StatusCode, Uri, Version};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::Grants;
use crate::protocol::{Code, Paged, Refusal, Transport};
use crate::server::socket::{FastPath, WriteConfig};
use crate::session::Sessions;
use crate::transport::FrameBody;

pub(crate) use authenticator::Authenticator;
pub use authenticator::Credentials;
#[cfg(feature = "cli")]
pub(crate) use authority::{HostPort, Origin};
pub(crate) use body::BodyReader;
pub(crate) use error::RefusalResponse;
pub(crate) use health::metrics_text;
#[cfg(feature = "jwt")]
pub use jwt_verifier::JwtVerifier;
pub(crate) use refused_hosts::RefusedHosts;

/// Lets a page see the timing of a response (W3C Resource Timing).
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");
/// The number of headers of a JSON response, including those of every response.
const JSON_HEADERS: usize = 5;
/// How long a browser may cache a preflight, in seconds.
const PREFLIGHT_AGE_S: u64 = 600;

/// Which requests are accepted, and where credentials are read from.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Origins of pages that may send requests, such as `https://app.example.com`.
    pub origins: Vec<String>,
    /// Names under which clients reach this hub. `*` trusts the proxy in front to check the name.
    pub hosts: Vec<String>,
    /// The grants of a request without credentials. `None` means no grants.
    pub anonymous: Option<Arc<Grants>>,
    /// Whether a token is accepted as `?token=`.
    pub token_in_query: bool,
    /// The name of a cookie that holds a token.
    pub cookie: Option<String>,
    /// Whether the chat page is served.
    pub page: bool,
    /// Refuse requests without a trusted proxy that say that a proxy forwarded them. For a hub that is open because only
    /// this machine reaches it: a proxy on this machine lets everyone in.
    pub refuse_forwarded: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            hosts: Vec::new(),
            anonymous: Some(Arc::new(Grants::everything())),
            token_in_query: false,
            cookie: None,
            page: true,
            refuse_forwarded: false,
        }
    }
}

/// The state that every route shares.
pub(crate) struct App {
    pub(crate) sessions: Arc<Sessions>,
    /// The limits and counters of every response that is written to a socket.
    pub(crate) write_config: Arc<WriteConfig>,
    pub(crate) bodies: BodyReader,
    pub(crate) options: HttpOptions,
    pub(crate) authenticator: Authenticator,
    /// The origins and hosts that the guard refused.
    pub(crate) strangers: Arc<RefusedHosts>,
}

pub(crate) type SharedApp = Arc<App>;

/// The router of a hub. It nests under any prefix and any state.
///
/// Other layers of tower-http are not used. A time limit would end held polls and streams, which have limits of their
/// own. A limit of one body does not count all bodies together. Request ids and spans would cost each event, and the
/// log needs an id only for a refusal, which creates it.
pub(crate) fn router(app: &SharedApp) -> Router {
    let read = |transport| {
        let app = app.clone();
        let methods = MethodFilter::GET.or(MethodFilter::POST);
        // WebSockets over HTTP/2 arrive by CONNECT.
        let methods = match transport {
            Transport::Ws => methods.or(MethodFilter::CONNECT),
            Transport::Sse | Transport::Poll => methods,
        };
        only(on(methods, move |request: Request| {
            attach::read(app, transport, request)
        }))
    };
    let [ws, sse, poll] = Transport::ALL.map(read);
    let routes = Router::new()
        .route("/ws", ws.clone())
        .route("/ws/", ws.clone())
        .route("/ws/{*channels}", ws)
        .route("/sse", sse.clone())
        .route("/sse/", sse.clone())
        .route("/sse/{*channels}", sse)
        .route("/poll", poll.clone())
        .route("/poll/", poll.clone())
        .route("/poll/{*channels}", poll)
        .route("/pub", publishing())
        .route("/pub/", publishing())
        .route("/pub/{*channel}", publishing())
        .route("/send", only(post(publish::send)))
        .route("/history", only(get(channels::history)))
        .route("/history/", only(get(channels::history)))
        .route("/history/{*channel}", only(get(channels::history)))
        .route("/presence", only(get(channels::presence)))
        .route("/presence/", only(get(channels::presence)))
        .route("/presence/{*channel}", only(get(channels::presence)))
        .route("/session", only(post(session::begin).delete(session::end)))
        .route("/revoke", only(post(session::revoke)))
        .route("/problems/{code}", only(get(problems::explain)))
        .route("/healthz", only(get(health::live)))
        .route("/readyz", only(get(health::ready)))
        .route("/metrics", only(get(health::metrics)))
        .merge(asset_routes())
        .fallback(|uri: Uri| async move { assets::missing(&uri) });
    routes
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(cors())
        .layer(middleware::map_response(common_headers))
        .with_state(app.clone())
}

/// The built files, compressed for clients that accept it. No other response is compressed: an event is written as it
/// is stored, and a compressor would hold it back.
fn asset_routes() -> Router<SharedApp> {
    let is_asset =
        |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| headers.contains_key(ETAG);
    Router::new()
        .route("/", only(get(assets::page)))
        .route("/{file}", only(get(assets::client)))
        .route("/chat/{file}", only(get(assets::chat)))
        .layer(CompressionLayer::new().compress_when(SizeAbove::default().and(is_asset)))
}

/// Returns the fast path for plain GETs of readers and plain POSTs that publish, for a hub at the root of its server.
/// These requests pass the same guard and get the same headers, but skip the layers of the router, which cost each
/// request as much as all its other work. Requests from pages of other origins go through the router, which adds the
/// CORS headers.
pub(crate) fn reader(app: SharedApp) -> FastPath {
    FastPath::new(move |request: Request| {
        if request.headers().contains_key(ORIGIN) {
            return None;
        }
        let path = request.uri().path();
        let own = app.clone();
        if request.method() == Method::POST {
            if !attach::is_below("pub", path) {
                return None;
            }
            let next = move |request| {
                publish::publish(State(own), request).map(IntoResponse::into_response)
            };
            let answer = guard::guarded(&app, request, next);
            return Some(Box::pin(answer.map(with_common_headers)));
        }
        let mut transports = Transport::ALL.into_iter();
        let transport = transports.find(|transport| attach::is_address_of(*transport, path))?;
        let next = move |request| attach::read(own, transport, request);
        let answer = guard::guarded(&app, request, next);
        Some(Box::pin(answer.map(with_common_headers)))
    })
}

fn publishing() -> MethodRouter<SharedApp> {
    only(post(publish::publish).get(publish::publish_by_get))
}

/// A route that refuses other methods with the usual refusal.
fn only(route: MethodRouter<SharedApp>) -> MethodRouter<SharedApp> {
    route.fallback(|uri: Uri| async move {
        let refusal = Refusal::new(
            Code::MethodNotAllowed,
            "this address does not accept this method",
        );
        RefusalResponse::at(&uri, refusal)
    })
}

/// Lets the page that sent a request read the response, whatever its origin. The guard runs inside this layer: an
/// origin that it refuses gets only the refusal, which holds no secret, and the page must be able to read its code and
/// hint. So every origin gets the same response to a preflight, and the guard refuses the request that follows.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([RETRY_AFTER, ALLOW])
        .max_age(std::time::Duration::from_secs(PREFLIGHT_AGE_S))
        .vary([])
}

async fn common_headers(response: Response) -> Response {
    with_common_headers(response)
}

/// Adds the headers that every response carries, including refusals.
fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is_asset = headers.contains_key(ETAG);
    headers.insert(
        hyper::header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if is_asset && headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        // One value for all origins, because caches store these files without `Vary`. They hold no secret.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    }
    if let Some(origin) = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).cloned() {
        // A page that may read a response may also see how long each step of it took.
        headers.insert(TIMING_ALLOW_ORIGIN, origin);
    }
    if !is_asset {
        // An address may contain a session key.
        let policy = HeaderValue::from_static("no-referrer");
        headers.insert(hyper::header::REFERRER_POLICY, policy);
        let vary = HeaderValue::from_static("Origin, Authorization, Cookie");
        headers.insert(hyper::header::VARY, vary);
        let private = HeaderValue::from_static("private, no-store");
        headers
            .entry(hyper::header::CACHE_CONTROL)
            .or_insert(private);
    }
    response
}

/// Returns a JSON response. It ends with a line feed, for use in a shell.
pub(crate) fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    let mut text = serde_json::to_string(answer).unwrap_or_default();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    // Reserve room for the headers of every response.
    let mut headers = HeaderMap::with_capacity(JSON_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}

/// Returns a JSON response for a text that may be large. It is encoded at the pace of its peer.
pub(crate) fn paged(app: &App, mut text: Paged) -> Response {
    text.words("\n");
    let body = if text.is_large() {
        Body::new(FrameBody::of_text(text, &app.write_config.watch))
    } else {
        // An event that is forgotten by now cuts the response off, as it does with a large one.
        let cut = |forgotten| Body::from_stream(stream::iter([Err::<Bytes, _>(forgotten)]));
        text.whole().map_or_else(cut, Body::from)
    };
    let content_type = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, content_type)], body).into_response()
}

/// Adds the braces of an object around its members.
pub(crate) fn object(fields: Paged) -> Paged {
    let mut text = Paged::from("{".to_owned());
    text.append(fields);
    text.words("}");
    text
}
