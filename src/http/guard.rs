//! Who may ask: the Host against DNS rebinding, the Origin against other people's pages.
//!
//! The same on every address but `/healthz` and `/readyz`. Credentials are another matter.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::Either;
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::{Method, Version};

use super::refused_hosts::printable;
use super::{App, Refused, Shared, assets, attach};
use crate::protocol::peer::Peer;
use crate::protocol::{Code, Refusal, Transport};

/// Addresses that are exempt from both rules: probes and load balancers use names of their own, and the answers hold
/// no secret.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];
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

/// Refuses a request without acting on it, such that the page can read the refusal.
async fn refuse(app: Shared, mut request: Request, refusal: Refusal) -> Response {
    if matches!(refusal.code, Code::OriginRefused | Code::HostRefused) {
        app.strangers.log(&refusal);
    }
    let refused = Refused::at(request.uri(), refusal);
    // A browser shows its page no status of a refused handshake.
    if attach::is_address_of(Transport::Ws, request.uri().path())
        && let Some(response) = attach::refuse_socket(&app, &mut request, refused.0.clone())
    {
        return response;
    }
    if request.method() != Method::CONNECT {
        // A connection that is closed with unread bytes is reset, and its page would see no answer. Of the body
        // nothing is kept, and nothing depends on whether it comes to its end.
        let _ = app.bodies.read(request.into_body(), 0).await;
    }
    refused.into_response()
}

fn may_ask(app: &App, parts: &Parts) -> Result<(), Refusal> {
    // RFC 9112 section 3.2; a proxy before us may have believed the other one.
    if parts.headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Refusal::bad_parameter("the request has more than one Host"));
    }
    if OPEN_PATHS.contains(&parts.uri.path()) {
        return Ok(());
    }
    let Some(host) = host_of(parts) else {
        // HTTP/1.0 has no Host, and no browser speaks it: there is no name that could have been rebound.
        if parts.version == Version::HTTP_10 && !parts.headers.contains_key(ORIGIN) {
            return Ok(());
        }
        return Err(Refusal::new(Code::HostRefused, "the request has no Host"));
    };
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
    // The hub mostly listens on another port than the page's own server.
    let of_origin = |origin: &String| {
        let name = authority_of(origin).map(name_of);
        name.is_some_and(|name| name.eq_ignore_ascii_case(name_of(host)))
    };
    // Rebinding makes a name stand for another address. An address stands for itself.
    is_address(name_of(host))
        || (is_local(parts) && is_loopback_name(name_of(host)))
        || options.hosts.iter().any(named)
        || options.origins.iter().any(of_origin)
}

/// Whether a page of this origin may ask.
fn origin_is_allowed(app: &App, origin: &HeaderValue, parts: &Parts) -> bool {
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

/// Whether a host without its port is an IP address; one of IPv6 stands in brackets.
fn is_address(name: &str) -> bool {
    let inside = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match inside {
        // The zone of a link-local address, `%25eth0`, is a matter of the client's machine.
        Some(inside) => {
            let address = inside.split('%').next().unwrap_or_default();
            address.parse::<Ipv6Addr>().is_ok()
        }
        None => name.parse::<Ipv4Addr>().is_ok(),
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
    fn an_address_is_told_from_a_name() {
        for host in [
            "10.0.0.1",
            "10.0.0.1:80",
            "[2001:db8::1]:80",
            "[::]",
            "[fe80::1%25eth0]:80",
            "[fe80::1%eth0]",
            "0.0.0.0",
        ] {
            assert!(is_address(name_of(host)), "{host}");
        }
        for host in [
            "10.0.0.1.example",
            "10.0.0",
            "10.0.0.256",
            "2130706433",
            "0x7f.1",
            "::1",
            "[::1].example",
            "[10.0.0.1]",
            "a",
            "",
        ] {
            assert!(!is_address(name_of(host)), "{host}");
        }
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
