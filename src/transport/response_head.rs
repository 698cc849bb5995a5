//! The head of an HTTP/1.1 response as bytes, for sockets that are written to directly.
//!
//! Knows no socket and no body.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::response::Parts;
use hyper::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};

/// Room for the status line and the headers of a response. The hub's own responses need about 250 bytes.
const LINES_BYTES: usize = 384;
/// Room for a length and a date.
const LENGTH_AND_DATE_BYTES: usize = 80;

/// Room behind a head for the hello that is sent together with it.
pub(crate) const HELLO_BYTES: usize = 512;

/// How a head states the length of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyLength {
    /// Not at all: a handshake.
    None,
    /// Chunked.
    Chunked,
    /// In bytes.
    Bytes(usize),
}

/// The status line and the headers except for the length, encoded at once. A held response keeps these bytes instead of
/// the header map, which is four times as large.
pub(crate) struct ResponseHead {
    lines: Box<[u8]>,
    is_dated: bool,
}

impl ResponseHead {
    pub(crate) fn of(head: &Parts) -> Arc<Self> {
        let reason = head.status.canonical_reason().unwrap_or_default();
        let mut lines = Vec::with_capacity(LINES_BYTES);
        for part in ["HTTP/1.1 ", head.status.as_str(), " ", reason, "\r\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
        for (name, value) in &head.headers {
            // axum states a length of 0 for an empty body. The actual length is written later.
            if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
                continue;
            }
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                lines.extend_from_slice(part);
            }
        }
        shared(&lines, head.headers.contains_key(DATE))
    }

    /// Returns the whole head with the length, the present date and the empty line. The buffer has room for this many
    /// bytes behind it.
    pub(crate) fn bytes(&self, length: BodyLength, room: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.room(room));
        self.write(&mut out, length);
        out
    }

    fn write(&self, out: &mut Vec<u8>, length: BodyLength) {
        out.extend_from_slice(&self.lines);
        // Writing to memory cannot fail.
        let _ = match length {
            BodyLength::None => Ok(()),
            BodyLength::Chunked => write!(out, "transfer-encoding: chunked\r\n"),
            BodyLength::Bytes(bytes) => write!(out, "content-length: {bytes}\r\n"),
        };
        if !self.is_dated {
            push_date(out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Returns the most bytes that a response with a body of this many bytes has.
    pub(crate) fn room(&self, bytes: usize) -> usize {
        self.lines.len() + LENGTH_AND_DATE_BYTES + bytes
    }

    /// Writes the head of a response with a body of this many bytes.
    pub(crate) fn begin(&self, out: &mut Vec<u8>, bytes: usize) {
        self.write(out, BodyLength::Bytes(bytes));
    }

    /// Writes the whole response.
    pub(crate) fn enclose(&self, out: &mut Vec<u8>, answer: &[u8]) {
        self.begin(out, answer.len());
        // In one piece: a copy is cheaper than a vectored write.
        out.extend_from_slice(answer);
    }
}

thread_local! {
    /// The head of the last response. The heads of all polls are the same, except for what depends on a client's
    /// request.
    static LAST: RefCell<Option<Arc<ResponseHead>>> = const { RefCell::new(None) };
}

fn shared(lines: &[u8], is_dated: bool) -> Arc<ResponseHead> {
    LAST.with_borrow_mut(|last| {
        let same = last.as_ref().filter(|last| *last.lines == *lines);
        if let Some(head) = same {
            return head.clone();
        }
        let lines = lines.into();
        last.insert(Arc::new(ResponseHead { lines, is_dated }))
            .clone()
    })
}

thread_local! {
    /// The date line, and the second since 1970 that it states.
    static DATE_LINE: RefCell<(u64, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
}

/// Appends the present date, which is formatted once a second.
fn push_date(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    let now_s = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    DATE_LINE.with_borrow_mut(|(of_s, line)| {
        if *of_s != now_s || line.is_empty() {
            *of_s = now_s;
            *line = format!("date: {}\r\n", httpdate::HttpDate::from(now)).into_bytes();
        }
        out.extend_from_slice(line);
    });
}
