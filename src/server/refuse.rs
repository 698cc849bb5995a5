//! The answer to a connection that has no place: `too_many_connections`, as a problem that says when to come again.
//!
//! Knows only enough of HTTP to be polite: the answer is written once something was asked, and the socket is closed
//! so that the answer survives.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admit::Full;
use crate::protocol::{Code, Refusal};

/// When a refused client may come again, in seconds: by then a few of many connections have ended.
const RETRY_AFTER_S: u64 = 5;
/// Connections that are being refused at one time. Beyond it they are closed without a word:
/// a flood must not hold more by being refused than by being let in.
const REFUSALS_AT_ONCE: usize = 64;
/// How long one refusal may take, for reading what was asked and for closing.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Bytes that are read of what a refused client sends.
const REFUSED_READ_BYTES: usize = 64 * 1024;

/// Refuses connections, a bounded number at once.
#[derive(Debug)]
pub(super) struct Refusals {
    places: Arc<Semaphore>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(REFUSALS_AT_ONCE)),
        }
    }

    /// Answers this connection with 503, in a task of its own, or closes it when too many are being answered.
    pub(super) fn refuse(&self, stream: TcpStream, full: Full) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return;
        };
        tokio::spawn(answer(stream, full, place));
    }
}

async fn answer(mut stream: TcpStream, full: Full, _place: OwnedSemaphorePermit) {
    let talk = async {
        let mut asked = [0; 4096];
        // An answer before the question confuses some clients, and a socket that is closed
        // with unread bytes sends a reset that overtakes the answer.
        if stream.read(&mut asked).await? == 0 {
            return Ok(());
        }
        stream.write_all(raw_answer(full).as_bytes()).await?;
        stream.shutdown().await?;
        let mut read_bytes = 0;
        while read_bytes < REFUSED_READ_BYTES {
            match stream.read(&mut asked).await? {
                0 => break,
                count => read_bytes += count,
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whether the peer heard it is not our concern: it is gone either way.
    let _ = tokio::time::timeout(REFUSAL_TIME, talk).await;
}

/// The refusal of one request on a connection that stays, for a client that a proxy speaks for.
pub(super) fn response(full: Full) -> Response<Body> {
    let refusal = refusal(full);
    let mut response = Response::new(Body::from(refusal.to_json(None)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

/// What every refusal carries (`docs/protocol.md`, Refusals).
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_TYPE, "application/problem+json"),
    (header::CACHE_CONTROL, "private, no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::VARY, "Origin, Authorization, Cookie"),
];

fn raw_answer(full: Full) -> String {
    let body = refusal(full).to_json(None);
    let headers: String = HEADERS
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = body.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\n{headers}retry-after: {RETRY_AFTER_S}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

pub(super) fn refusal(full: Full) -> Refusal {
    let detail = match full {
        Full::Overall => "the server has as many connections as it may (--connections)",
        Full::Address => "this address has as many connections as it may (--address-connections)",
    };
    Refusal {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Refusal::new(Code::TooManyConnections, detail)
    }
}
