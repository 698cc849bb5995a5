//! The response to a connection that gets no permit: `too_many_connections`, as a problem with a `Retry-After`.
//!
//! Knows only as much of HTTP as a proper refusal needs: it responds after the request has arrived, and closes the
//! socket in a way that keeps the response intact.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::permits::AdmissionError;
use crate::protocol::{Code, Refusal, nonce_of_query};

/// When a refused client may retry, in seconds. By then a few of many connections have ended.
const RETRY_AFTER_S: u64 = 5;
/// Concurrent refusals. Further connections are closed without a response: a flood must not hold more resources by
/// being refused than by being accepted.
const REFUSALS_AT_ONCE: usize = 64;
/// How long one refusal may take, including reading the request and closing.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// The most headers of a request that are parsed. Browsers send some twenty.
const HEADERS_MAX: usize = 64;
/// Bytes of a refused client that are read.
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

    /// Responds to this connection with 503 in a separate task, or closes it if too many refusals are running.
    pub(super) fn refuse(&self, stream: TcpStream, full: AdmissionError) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return;
        };
        tokio::spawn(answer(stream, full, place));
    }
}

async fn answer(mut stream: TcpStream, full: AdmissionError, _place: OwnedSemaphorePermit) {
    let talk = async {
        let mut asked = [0; 4096];
        // A response before the request confuses some clients. A socket that is closed with unread bytes sends a reset
        // that overtakes the response.
        let asked_bytes = stream.read(&mut asked).await?;
        if asked_bytes == 0 {
            return Ok(());
        }
        let answer = raw_answer(full, RequestEcho::of(&asked[..asked_bytes]));
        stream.write_all(answer.as_bytes()).await?;
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
    // Ignore the outcome: the connection ends either way.
    let _ = tokio::time::timeout(REFUSAL_TIME, talk).await;
}

/// The parts of a request that its response repeats.
#[derive(Debug, Default, PartialEq, Eq)]
struct RequestEcho {
    /// The origin of the page that sent the request.
    origin: Option<HeaderValue>,
    nonce: Option<Box<str>>,
}

impl RequestEcho {
    /// Parses the first bytes of a request. The result is empty if they are no complete head.
    fn of(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(_)) = head.parse(bytes) else {
            return Self::default();
        };
        let query = head.path.and_then(|path| path.split_once('?'));
        let mut headers = head.headers.iter();
        let origin = headers.find(|header| header.name.eq_ignore_ascii_case("origin"));
        Self {
            origin: origin.and_then(|header| HeaderValue::from_bytes(header.value).ok()),
            nonce: query.and_then(|(_, query)| nonce_of_query(query)),
        }
    }

    /// Returns the headers with which a browser lets the page read the response.
    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let named = |(name, value)| (name, HeaderValue::from_static(value));
        let origin = self.origin.iter().flat_map(move |origin| {
            let own = [
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
                (
                    HeaderName::from_static("timing-allow-origin"),
                    origin.clone(),
                ),
            ];
            own.into_iter().chain(READABLE.map(named))
        });
        HEADERS.map(named).into_iter().chain(origin)
    }
}

/// Returns the refusal of one request of a proxy's client, on a connection that stays open.
pub(super) fn response(full: AdmissionError, head: &Parts) -> Response<Body> {
    let echo = RequestEcho {
        origin: head.headers.get(header::ORIGIN).cloned(),
        nonce: head.uri.query().and_then(nonce_of_query),
    };
    let added = echo.headers();
    let refusal = refusal(full).answering(echo.nonce.clone(), None);
    let mut response = Response::new(Body::from(refusal.to_json(None) + "\n"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.extend(added);
    headers.insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

/// The headers of every refusal (`docs/protocol.md`, Refusals).
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "application/problem+json"),
    (header::CACHE_CONTROL, "private, no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::VARY, "Origin, Authorization, Cookie"),
];

/// Further headers if a page sent the request. A page whose origin is not allowed learns only that the hub is full.
const READABLE: [(HeaderName, &str); 2] = [
    (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "retry-after"),
];

fn raw_answer(full: AdmissionError, echo: RequestEcho) -> String {
    let headers: String = echo
        .headers()
        .filter_map(|(name, value)| Some(format!("{name}: {}\r\n", value.to_str().ok()?)))
        .collect();
    let body = refusal(full).answering(echo.nonce, None).to_json(None) + "\n";
    let length = body.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\n{headers}retry-after: {RETRY_AFTER_S}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

pub(super) fn refusal(full: AdmissionError) -> Refusal {
    let detail = match full {
        AdmissionError::Overall => "the hub has reached its limit of connections (--connections)",
        AdmissionError::Address => {
            "this address has reached its limit of connections (--address-connections)"
        }
    };
    Refusal {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Refusal::new(Code::TooManyConnections, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_answers_in_words_that_the_page_can_read() {
        let head =
            "GET /poll/a?nonce=n1 HTTP/1.1\r\nHost: h\r\nORIGIN: https://page.example\r\n\r\n";
        let answer = raw_answer(AdmissionError::Overall, RequestEcho::of(head.as_bytes()));
        for words in [
            "access-control-allow-origin: https://page.example\r\n",
            "timing-allow-origin: https://page.example\r\n",
            "access-control-allow-credentials: true\r\n",
            "access-control-expose-headers: retry-after\r\n",
            "\"nonce\":\"n1\"",
        ] {
            assert!(answer.contains(words), "{words} in {answer}");
        }
        for head in ["GET /poll/a?nonce=n1 HTTP/1.1\r\nOri", "\x16\x03\x01", ""] {
            assert_eq!(RequestEcho::of(head.as_bytes()), RequestEcho::default());
        }
        let silent = raw_answer(AdmissionError::Overall, RequestEcho::default());
        assert!(!silent.contains("access-control"), "{silent}");
    }
}
