//! Which requests are accepted: the Host is checked against DNS rebinding, the Origin against foreign pages.
//!
//! The same rules hold for every path except `/healthz` and `/readyz`. Does not check credentials.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::Either;
use hyper::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VIA};
use hyper::{Method, Version};

use super::authority::{HostPort, Origin};
use super::refused_hosts::printable;
use super::{App, RefusalResponse, SharedApp, assets, attach};
use crate::protocol::peer::Peer;
use crate::protocol::{Code, Refusal, Transport};

/// Paths that are exempt from both rules: probes and load balancers use their own names for the hub, and the responses
/// hold no secret.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];
/// The name under which a client reached the proxy.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Passes a request on or refuses it, and counts every refused response.
pub(super) async fn guard(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    guarded(&app, request, |request| next.run(request)).await
}

/// Guards any handler in the same way.
pub(super) fn guarded<F, N>(
    app: &SharedApp,
    request: Request,
    next: N,
) -> impl Future<Output = Response> + use<F, N>
where
    F: Future<Output = Response>,
    N: FnOnce(Request) -> F,
{
    let (parts, body) = request.into_parts();
    let allowed = may_ask(app, &parts);
    let request = Request::from_parts(parts, body);
    let answer = match allowed {
        Ok(()) => Either::Right(next(request)),
        Err(refusal) => Either::Left(Box::pin(refuse(app.clone(), request, refusal))),
    };
    let app = app.clone();
    answer.map(move |response| {
        if let Some(code) = response.extensions().get::<Code>() {
            let refusal = Refusal::new(*code, "");
            app.sessions.hub().metrics().refusal(&refusal);
        }
        response
    })
}

/// Refuses a request without executing it, in a form that the page can read.
async fn refuse(app: SharedApp, mut request: Request, refusal: Refusal) -> Response {
    if matches!(refusal.code, Code::OriginRefused | Code::HostRefused) {
        app.strangers.log(&refusal);
    }
    let refused = RefusalResponse::at(request.uri(), refusal);
    // A browser does not show its page the status of a refused handshake.
    if attach::is_address_of(Transport::Ws, request.uri().path())
        && let Some(response) = attach::refuse_socket(&app, &mut request, refused.0.clone())
    {
        return response;
    }
    if request.method() != Method::CONNECT {
        // A connection that is closed with unread bytes is reset, and its page would see no response. The body is
        // discarded, and it does not matter whether it arrives in full.
        let _ = app.bodies.read(request.into_body(), 0).await;
    }
    refused.into_response()
}

fn may_ask(app: &App, parts: &Parts) -> Result<(), Refusal> {
    // RFC 9112, section 3.2: a proxy in front may have used the other one.
    if parts.headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Refusal::bad_parameter("the request has more than one Host"));
    }
    if OPEN_PATHS.contains(&parts.uri.path()) {
        return Ok(());
    }
    let Some(host) = host_of(parts) else {
        // HTTP/1.0 has no Host, and browsers do not use it, so there is no name that could have been rebound.
        if parts.version == Version::HTTP_10 && !parts.headers.contains_key(ORIGIN) {
            return Ok(());
        }
        return Err(Refusal::new(Code::HostRefused, "the request has no Host"));
    };
    if app.options.refuse_forwarded && !is_proxied(parts) && is_forwarded(&parts.headers) {
        return Err(Refusal::new(
            Code::NotOpen,
            "a proxy forwarded the request, and the hub has no credentials",
        ));
    }
    if !host_is_served(app, parts, host) {
        return Err(Refusal::new(
            Code::HostRefused,
            format!("unknown Host `{}`", printable(&host.to_ascii_lowercase())),
        ));
    }
    match parts.headers.get(ORIGIN) {
        Some(origin)
            if !origin_is_allowed(app, origin, parts) && !assets::is_client(parts.uri.path()) =>
        {
            let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
            Err(Refusal::new(
                Code::OriginRefused,
                format!("origin `{}` is not allowed", printable(&origin)),
            ))
        }
        _ => Ok(()),
    }
}

/// Returns the name and port under which the client reached the hub. The header of a trusted proxy takes precedence
/// over its own Host.
fn host_of(parts: &Parts) -> Option<&str> {
    let forwarded = is_proxied(parts)
        .then(|| text(&parts.headers, &FORWARDED_HOST))
        .flatten();
    let authority = parts.uri.authority().map(Authority::as_str);
    forwarded
        .or(authority)
        .or_else(|| text(&parts.headers, &HOST))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reports whether a request says that a proxy forwarded it.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName| {
        *name == FORWARDED || *name == VIA || name.as_str().starts_with("x-forwarded-")
    };
    headers.keys().any(says)
}

fn is_proxied(parts: &Parts) -> bool {
    parts
        .extensions
        .get::<Peer>()
        .is_some_and(|peer| peer.proxied)
}

fn is_local(parts: &Parts) -> bool {
    parts
        .extensions
        .get::<Peer>()
        .is_some_and(Peer::on_loopback_listener)
}

fn host_is_served(app: &App, parts: &Parts, text: &str) -> bool {
    let options = &app.options;
    let host = HostPort::parse(text);
    let named = |name: &String| {
        name == "*"
            || name.eq_ignore_ascii_case(text)
            || host
                .as_ref()
                .is_some_and(|host| name.eq_ignore_ascii_case(host.name()))
    };
    if options.hosts.iter().any(named) {
        return true;
    }
    let Some(host) = &host else {
        return false;
    };
    let of_origin = |origin: &String| {
        Origin::parse(origin)
            .is_some_and(|origin| origin.host.name().eq_ignore_ascii_case(host.name()))
    };
    // DNS rebinding changes the address of a name. An IP address in the Host is not affected.
    host.address().is_some()
        || (is_local(parts) && host.is_loopback())
        || options.origins.iter().any(of_origin)
}

/// Returns whether a page of this origin may send requests.
fn origin_is_allowed(app: &App, origin: &HeaderValue, parts: &Parts) -> bool {
    let is_loopback = |text| Origin::parse(text).is_some_and(|origin| origin.host.is_loopback());
    let of_this_machine = is_local(parts) && origin.to_str().is_ok_and(is_loopback);
    of_this_machine || origin_is_own(app, origin, parts)
}

/// Reports whether an origin is that of the hub or one that the operator lists. Other pages of this machine may use the
/// hub too, but not with the cookies of their visitor.
pub(super) fn origin_is_own(app: &App, origin: &HeaderValue, parts: &Parts) -> bool {
    let Ok(text) = origin.to_str() else {
        return false;
    };
    let Some(origin) = Origin::parse(text) else {
        return false;
    };
    let same_site = parts
        .headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "same-origin");
    let listed = app
        .options
        .origins
        .iter()
        .any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(text));
    listed
        || same_site
        || host_of(parts)
            .and_then(HostPort::parse)
            .is_some_and(|host| origin.is_of(&host))
}
