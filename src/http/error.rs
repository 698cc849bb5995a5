//! Refusals as HTTP responses: status, problem JSON, and the headers that some codes add. Knows no route.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use hyper::{StatusCode, Uri};

use crate::protocol::{Code, Refusal, nonce_of_query};

/// A refusal that is to be sent to an HTTP client.
#[derive(Debug)]
pub(crate) struct RefusalResponse(pub(crate) Refusal);

impl RefusalResponse {
    /// Returns the refusal of a request for this path when its credential does not matter.
    pub(crate) fn at(uri: &Uri, refusal: Refusal) -> Self {
        let nonce = nonce_of_query(uri.query().unwrap_or_default());
        Self(refusal.answering(nonce, None))
    }
}

impl IntoResponse for RefusalResponse {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        let request_id = request_id();
        tracing::debug!(%refusal, request_id, "refused");
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let problem = refusal.to_json(Some(&request_id)) + "\n";
        let mut response = (status, problem).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = refusal.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        match refusal.code {
            Code::UpgradeMissing => {
                drop(headers.insert(UPGRADE, HeaderValue::from_static("websocket")))
            }
            Code::Unauthorized | Code::SessionExpired => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        // For the counters, which are outside of all handlers.
        response.extensions_mut().insert(refusal.code);
        response
    }
}

/// Returns an id by which the log entry of one request can be found.
fn request_id() -> String {
    let mut random = [0; 6];
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the response after a panic in a handler: an internal error that affects no other request.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(super) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<&str>().copied();
    let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(cause = text.unwrap_or("unknown"), "a handler panicked");
    RefusalResponse(Refusal::new(
        Code::Internal,
        "the request could not be handled",
    ))
    .into_response()
}
