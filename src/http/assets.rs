//! The built client and the chat page, embedded, each with an ETag. Knows no channel and no session.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
};
use hyper::{StatusCode, Uri};
use rust_embed::RustEmbed;

use super::{RefusalResponse, SharedApp};
use crate::protocol::{Code, Refusal};

/// The permissions of the page: run its scripts and styles, connect to this hub, show images that it received.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct BuiltAssets;

/// `GET /`: the chat page.
pub(super) async fn page(State(app): State<SharedApp>, request: Request) -> Response {
    if !app.options.page {
        return missing(request.uri());
    }
    let mut response = serve("chat/index.html", &request);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(PAGE_POLICY),
    );
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("x-frame-options"),
        HeaderValue::from_static("DENY"),
    );
    response
}

/// `GET /chat/{file}`: the files of the chat page.
pub(super) async fn chat(
    State(app): State<SharedApp>,
    Path(file): Path<String>,
    request: Request,
) -> Response {
    if app.options.page {
        serve(&format!("chat/{file}"), &request)
    } else {
        missing(request.uri())
    }
}

/// `GET /client.js`, `/client.mjs` and their parts. Pages of any origin may load them: they hold no secret.
pub(super) async fn client(Path(file): Path<String>, request: Request) -> Response {
    let mut response = serve(&file, &request);
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Returns whether this is the path of a part of the client. A page of any origin may load it. The guard checks the
/// requests that the client sends afterwards.
pub(super) fn is_client(path: &str) -> bool {
    let name = path.strip_prefix('/').unwrap_or_default();
    !name.contains('/') && BuiltAssets::get(name).is_some()
}

/// Returns the refusal of an unknown path.
pub(super) fn missing(uri: &Uri) -> Response {
    RefusalResponse::at(uri, Refusal::new(Code::NotFound, "no such address")).into_response()
}

fn serve(path: &str, request: &Request) -> Response {
    let Some(file) = BuiltAssets::get(path) else {
        return missing(request.uri());
    };
    let hash: String = file.metadata.sha256_hash()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{hash}\"");
    let headers = [
        // A weak ETag, because the same file may also be sent compressed.
        (ETAG, format!("W/{tag}")),
        // The browser revalidates it each time, mostly with a 304, so a new build reaches every page at once.
        (CACHE_CONTROL, "public, no-cache".to_owned()),
        (CONTENT_TYPE, media_type(path).to_owned()),
    ];
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| {
        known.to_str().is_ok_and(|known| {
            known
                .split(',')
                .any(|one| one.trim().trim_start_matches("W/") == tag)
        })
    });
    if known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, file.data).into_response()
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("map" | "json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
