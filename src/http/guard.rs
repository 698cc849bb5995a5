//! Who may ask: the Host against DNS rebinding, the Origin against other people's pages.
//!
//! The same on every address. Credentials are another matter.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::{Either, ready};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use super::{App, Refused, Shared};
use crate::peer::Peer;
use crate::protocol::{Code, Refusal};

/// The name under which a proxy was asked.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Lets a request pass, or refuses it; counts every refusal that comes back.
pub(super) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    guarded(&app, request, |request| next.run(request)).await
}

/// The same before whatever comes next.
pub(super) fn guarded<F, N>(
    app: &Shared,
    request: Request,
    next: N,
) -> impl Future<Output = Response> + use<F, N>
where
    F: Future<Output = Response>,
    N: FnOnce(Request) -> F,
{
    let (parts, body) = request.into_parts();
    let answer = match may_ask(app, &parts) {
        Ok(()) => Either::Right(next(Request::from_parts(parts, body))),
        Err(refusal) => Either::Left(ready(Refused::at(&parts.uri, refusal).into_response())),
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

fn may_ask(app: &App, parts: &Parts) -> Result<(), Refusal> {
    // RFC 9112 section 3.2; a proxy before us may have believed the other one.
    if parts.headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Refusal::bad_parameter("the request has more than one Host"));
    }
    let host =
        host_of(parts).ok_or_else(|| Refusal::new(Code::HostRefused, "the request has no Host"))?;
    if !host_is_served(app, parts, host) {
        return Err(Refusal::new(
            Code::HostRefused,
            format!(
                "this hub is not asked under the name `{}`",
                host.to_ascii_lowercase()
            ),
        ));
    }
    match parts.headers.get(ORIGIN) {
        Some(origin) if !origin_is_allowed(app, origin, parts) => {
            let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
            Err(Refusal::new(
                Code::OriginRefused,
                format!("pages of `{origin}` may not ask"),
            ))
        }
        _ => Ok(()),
    }
}

/// The name and port under which the client asked; a trusted proxy's word counts above its own.
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

fn host_is_served(app: &App, parts: &Parts, host: &str) -> bool {
    let options = &app.options;
    let named = |name: &String| {
        name == "*" || name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(name_of(host))
    };
    let of_origin = |origin: &String| {
        authority_of(origin).is_some_and(|authority| same_authority(origin, authority, host))
    };
    (is_local(parts) && is_loopback_name(name_of(host)))
        || options.hosts.iter().any(named)
        || options.origins.iter().any(of_origin)
}

/// Whether a page of this origin may ask.
pub(super) fn origin_is_allowed(app: &App, origin: &HeaderValue, parts: &Parts) -> bool {
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let Some(authority) = authority_of(origin) else {
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
        .any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(origin));
    listed
        || same_site
        || host_of(parts).is_some_and(|host| same_authority(origin, authority, host))
        || (is_local(parts) && is_loopback_name(name_of(authority)))
}

/// `host:port` of an origin; none for `null` and whatever else is no origin.
fn authority_of(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    let authority = authority.trim_end_matches('/');
    (!authority.is_empty() && !authority.contains('/')).then_some(authority)
}

/// Whether an origin's authority and a Host are the same, the origin's default port left out or not.
fn same_authority(origin: &str, authority: &str, host: &str) -> bool {
    let port = if origin.starts_with("https:") {
        ":443"
    } else {
        ":80"
    };
    let bare = |text| str::strip_suffix(text, port).unwrap_or(text);
    bare(authority).eq_ignore_ascii_case(bare(host))
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rfind(':') {
        // The colons of an IPv6 address stand in brackets.
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

fn is_loopback_name(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    is_address
        || bare.eq_ignore_ascii_case("localhost")
        || bare.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_port() {
        assert_eq!(name_of("a.example:80"), "a.example");
        assert_eq!(name_of("[::1]:80"), "[::1]");
        assert_eq!(name_of("[::1]"), "[::1]");
        assert!(
            is_loopback_name("[::1]")
                && is_loopback_name("127.3.2.1")
                && is_loopback_name("LOCALHOST")
        );
        assert!(!is_loopback_name("localhost.evil.example") && !is_loopback_name("10.0.0.1"));
    }

    #[test]
    fn an_origin_equals_a_host_with_its_default_port() {
        let same = |origin, host| same_authority(origin, authority_of(origin).unwrap(), host);
        assert!(
            same("https://a.example", "a.example:443")
                && same("http://a.example:81", "a.example:81")
        );
        assert!(
            !same("http://a.example", "a.example:443") && !same("http://a.example", "b.example")
        );
        assert_eq!(authority_of("null"), None);
    }
}
