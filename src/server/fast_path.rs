//! Plain requests: a GET, or a POST of a known length, that arrived whole in one read. They are parsed without hyper,
//! whose buffers and work per request cost more than all else that a poll or a publish needs. A request that is longer
//! than one read, or arrives in parts, is left to hyper.
//!
//! Knows which heads are plain, and passes all others to hyper byte for byte. Does not answer requests.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request, Uri, Version};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::ServerContext;
use super::drain::{DrainStage, Stages};
use crate::server::socket::{HeldSocket, NextRequest, with_room};

/// The most headers of a plain head. Browsers send some twenty.
const HEADERS_MAX: usize = 40;
/// Headers by which a request is not plain: a body of unknown length, another protocol, or another form of the
/// response.
const UNUSUAL: [HeaderName; 5] = [
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    HeaderName::from_static("http2-settings"),
];

/// The end of an idle wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IdleOutcome {
    /// A request arrived, or the peer closed the connection.
    Next(NextRequest),
    /// The server is shutting down.
    Draining,
    /// No request arrived within the idle timeout.
    Idle,
}

/// Waits for the first bytes of a request.
pub(super) async fn first(owned: &mut HeldSocket, mut patience: IdleTimer<'_, '_>) -> IdleOutcome {
    std::future::poll_fn(|cx| patience.poll(cx, |cx| poll_read(owned, cx))).await
}

/// Waits for requests, one after the other, each within the idle timeout.
pub(super) struct IdleTimer<'a, 'b> {
    shared: &'a ServerContext,
    /// Kept from one request to the next.
    wait: &'b mut Option<Pin<Box<Wait<'a>>>>,
    has_begun: bool,
}

impl<'a, 'b> IdleTimer<'a, 'b> {
    pub(super) fn new(shared: &'a ServerContext, wait: &'b mut Option<Pin<Box<Wait<'a>>>>) -> Self {
        Self {
            shared,
            wait,
            has_begun: false,
        }
    }

    /// Frees its timer until the next poll.
    pub(super) fn forget(&mut self) {
        *self.wait = None;
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Context<'_>) -> Poll<NextRequest>,
    ) -> Poll<IdleOutcome> {
        if self.shared.drain.stage() != DrainStage::Serving {
            return Poll::Ready(IdleOutcome::Draining);
        }
        if let Poll::Ready(next) = read(cx) {
            self.has_begun = false;
            return Poll::Ready(IdleOutcome::Next(next));
        }
        let new = || Box::pin(Wait::new(self.shared));
        let wait = self.wait.get_or_insert_with(new);
        if !std::mem::replace(&mut self.has_begun, true) {
            wait.as_mut().begin(self.shared.limits.idle);
        }
        wait.as_mut().poll(cx)
    }
}

fn poll_read(owned: &mut HeldSocket, cx: &mut Context<'_>) -> Poll<NextRequest> {
    if !owned.unread.is_empty() {
        return Poll::Ready(NextRequest::Other);
    }
    with_room(|room| {
        Poll::Ready(match ready!(owned.io.poll_bytes(cx, room)) {
            0 => NextRequest::Gone,
            bytes => {
                owned.unread = Bytes::copy_from_slice(&room[..bytes]);
                NextRequest::Other
            }
        })
    })
}

pin_project! {
    /// The events besides bytes that end a wait. Created only if there is something to wait for. Consecutive waits may
    /// reuse it.
    pub(super) struct Wait<'a> {
        #[pin]
        stages: Stages<'a>,
        until: Option<Instant>,
        #[pin]
        clock: Option<Sleep>,
    }
}

impl<'a> Wait<'a> {
    fn new(shared: &'a ServerContext) -> Self {
        Self {
            stages: shared.drain.stages(),
            until: None,
            clock: None,
        }
    }

    fn begin(self: Pin<&mut Self>, limit: Option<Duration>) {
        let mut this = self.project();
        *this.until = limit.map(|limit| Instant::now() + limit);
        if let (Some(until), None) = (*this.until, this.clock.as_ref().get_ref()) {
            this.clock.set(Some(tokio::time::sleep_until(until)));
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<IdleOutcome> {
        let mut this = self.project();
        if this.stages.poll_stage(cx) != DrainStage::Serving {
            return Poll::Ready(IdleOutcome::Draining);
        }
        // A clock that was set for an earlier wait fires first, and is then reset to the end of this wait.
        while let (Some(until), Some(mut clock)) = (*this.until, this.clock.as_mut().as_pin_mut()) {
            ready!(clock.as_mut().poll(cx));
            if clock.deadline() >= until {
                return Poll::Ready(IdleOutcome::Idle);
            }
            clock.reset(until);
        }
        Poll::Pending
    }
}

/// Returns the request at the start of these bytes, and its length including its body. Returns `None` if it is not
/// complete or not plain. A plain request is an HTTP/1.1 GET or POST of a path that needs only its head and its body.
pub(super) fn request(bytes: &Bytes) -> Option<(Request<Body>, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head_bytes)) = head.parse(bytes) else {
        return None;
    };
    let target = head.path?;
    let method = match head.method? {
        "GET" => Method::GET,
        "POST" => Method::POST,
        _ => return None,
    };
    if head.version != Some(1) || !target.starts_with('/') {
        return None;
    }
    let slice = |part: &[u8]| bytes.slice_ref(part);
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from_maybe_shared(slice(target.as_bytes())).ok()?;
    request.headers_mut().reserve(head.headers.len());
    let mut length = None;
    for header in head.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        if UNUSUAL.contains(&name) {
            return None;
        }
        if name == header::CONTENT_LENGTH && length.replace(header.value).is_some() {
            return None;
        }
        let value = HeaderValue::from_maybe_shared(slice(header.value)).ok()?;
        request.headers_mut().append(name, value);
    }
    if !is_plain(request.headers()) {
        return None;
    }
    let body_bytes = body_bytes(request.method(), length)?;
    let body = bytes.get(head_bytes..)?.get(..body_bytes)?;
    if !body.is_empty() {
        *request.body_mut() = Body::from(slice(body));
    }
    Some((request, head_bytes + body_bytes))
}

/// Returns the length of the body, or `None` if hyper must determine it or refuse the request.
fn body_bytes(method: &Method, length: Option<&[u8]>) -> Option<usize> {
    if method == Method::GET {
        return length.is_none().then_some(0);
    }
    let digits = str::from_utf8(length?).ok()?;
    // `parse` alone would accept a sign.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

fn is_plain(headers: &HeaderMap) -> bool {
    let only = |name, word: &str| {
        let mut values = headers.get_all(name).iter();
        let is_word = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(word.as_bytes());
        values.next().is_some_and(is_word) && values.next().is_none()
    };
    let stays = !headers.contains_key(header::CONNECTION) || only(header::CONNECTION, "keep-alive");
    if headers.contains_key(header::UPGRADE) {
        let firefox = only(header::CONNECTION, "keep-alive, Upgrade");
        return only(header::UPGRADE, "websocket")
            && (firefox || only(header::CONNECTION, "Upgrade"));
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Option<(Request<Body>, usize)> {
        request(&Bytes::copy_from_slice(head.as_bytes()))
    }

    #[test]
    fn a_plain_head_is_understood_and_what_follows_is_left() {
        let head = "GET /poll/a%2Cb?since=k-1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n";
        let (request, length) = read(&format!("{head}GET /")).unwrap();
        assert_eq!(length, head.len());
        assert_eq!(request.uri(), "/poll/a%2Cb?since=k-1");
        assert_eq!(request.headers()["host"], "h");
        assert_eq!(request.headers().get_all("x-a").iter().count(), 2);
    }

    #[tokio::test]
    async fn a_plain_post_is_understood_with_its_body() {
        let post = |lines: &str, body: &str| {
            read(&format!(
                "POST /pub/a HTTP/1.1\r\nHost: h\r\n{lines}\r\n{body}"
            ))
        };
        for (length, body, rest) in [(2, "ab", ""), (2, "ab", "POST /"), (0, "", "GET /")] {
            let lines = format!("Content-Length: {length}\r\n");
            let (request, whole) = post(&lines, &format!("{body}{rest}")).unwrap();
            let without = post(&lines, body).unwrap().1;
            assert_eq!((request.method(), whole), (&Method::POST, without));
            let read = axum::body::to_bytes(request.into_body(), 10).await.unwrap();
            assert_eq!(read, body);
        }
        for (lines, body) in [
            ("", ""),
            ("Content-Length: 3\r\n", "ab"),
            ("Content-Length: +2\r\n", "ab"),
            ("Content-Length: 2, 2\r\n", "ab"),
            ("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"),
            ("Content-Length: 2\r\nExpect: 100-continue\r\n", "ab"),
            ("Content-Length: 2\r\nConnection: close\r\n", "ab"),
            ("Content-Length: 99999999999999999999\r\n", "ab"),
            ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            (
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
        ] {
            assert!(post(lines, body).is_none(), "{lines}{body}");
        }
    }

    #[test]
    fn whatever_is_unusual_is_left_to_hyper() {
        let get = |target: &str, lines: &str| {
            read(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n"))
        };
        for target in ["/poll", "/poll?a", "/poll/", "/ws/a"] {
            assert!(get(target, "").is_some(), "{target}");
        }
        for target in ["http://h/poll", "*", "h:80", "poll"] {
            assert!(get(target, "").is_none(), "{target}");
        }
        for lines in [
            "Connection: keep-alive\r\n",
            "Connection: Upgrade\r\nUpgrade: WebSocket\r\n",
        ] {
            assert!(get("/ws", lines).is_some(), "{lines}");
        }
        for lines in [
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Expect: 100-continue\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive\r\nConnection: close\r\n",
            "Connection: keep-alive, te\r\n",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            "Upgrade: websocket\r\n",
            "TE: trailers\r\n",
            " folded: 1\r\n",
            "no colon\r\n",
            "name : 1\r\n",
        ] {
            assert!(get("/poll", lines).is_none(), "{lines}");
        }
        for head in [
            "POST /poll HTTP/1.1\r\nHost: h\r\n\r\n",
            "HEAD /poll HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /poll HTTP/1.0\r\nHost: h\r\n\r\n",
            "GET /poll HTTP/1.1\r\nHost: h\r\n",
            "GET /poll HTTP/1.1\r\nHost: h\r\n\r",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "",
        ] {
            assert!(read(head).is_none(), "{head}");
        }
        let many = "a: 1\r\n".repeat(HEADERS_MAX);
        assert!(get("/poll", &many).is_none());
    }
}
