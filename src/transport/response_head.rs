//! The head of an HTTP/1.1 response as bytes, for sockets that are written to directly.

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::response::Parts;
use hyper::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};

/// Room for the status line and the headers of an answer; ours need some 250.
const LINES_BYTES: usize = 384;
/// Room for a length and a date.
const LENGTH_AND_DATE_BYTES: usize = 80;

/// Room behind a head for the hello that goes out with it.
pub(crate) const HELLO_BYTES: usize = 512;

/// How the length of what follows is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// It is not: a handshake.
    None,
    /// In chunks.
    Chunked,
    /// In bytes.
    Bytes(usize),
}

/// The status line and the headers but for the length, encoded at once: a held answer keeps these bytes and not the
/// map, which is four times as large.
pub(crate) struct Head {
    lines: Box<[u8]>,
    is_dated: bool,
}

impl Head {
    pub(crate) fn of(head: &Parts) -> Arc<Self> {
        let reason = head.status.canonical_reason().unwrap_or_default();
        let mut lines = Vec::with_capacity(LINES_BYTES);
        for part in ["HTTP/1.1 ", head.status.as_str(), " ", reason, "\r\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
        for (name, value) in &head.headers {
            // axum says that an empty body has no bytes; what follows is told below.
            if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
                continue;
            }
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                lines.extend_from_slice(part);
            }
        }
        shared(&lines, head.headers.contains_key(DATE))
    }

    /// The whole head, with the length, the time of now and the empty line; behind it there is room for so many bytes.
    pub(crate) fn bytes(&self, length: Length, room: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.room(room));
        self.write(&mut out, length);
        out
    }

    fn write(&self, out: &mut Vec<u8>, length: Length) {
        out.extend_from_slice(&self.lines);
        // Writing to memory cannot fail.
        let _ = match length {
            Length::None => Ok(()),
            Length::Chunked => write!(out, "transfer-encoding: chunked\r\n"),
            Length::Bytes(bytes) => write!(out, "content-length: {bytes}\r\n"),
        };
        if !self.is_dated {
            push_date(out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Returns the most bytes that a response with a body of so many bytes has.
    pub(crate) fn room(&self, bytes: usize) -> usize {
        self.lines.len() + LENGTH_AND_DATE_BYTES + bytes
    }

    /// Writes the head of a response with a body of so many bytes.
    pub(crate) fn begin(&self, out: &mut Vec<u8>, bytes: usize) {
        self.write(out, Length::Bytes(bytes));
    }

    /// Writes the whole response.
    pub(crate) fn enclose(&self, out: &mut Vec<u8>, answer: &[u8]) {
        self.begin(out, answer.len());
        // In one piece: copying is cheaper than a vectored write.
        out.extend_from_slice(answer);
    }
}

thread_local! {
    /// The head of the last answer: those of all polls are the same, but for what a client asks for.
    static LAST: RefCell<Option<Arc<Head>>> = const { RefCell::new(None) };
}

fn shared(lines: &[u8], is_dated: bool) -> Arc<Head> {
    LAST.with_borrow_mut(|last| {
        let same = last.as_ref().filter(|last| *last.lines == *lines);
        if let Some(head) = same {
            return head.clone();
        }
        let lines = lines.into();
        last.insert(Arc::new(Head { lines, is_dated })).clone()
    })
}

thread_local! {
    /// The line of a date, and the second since 1970 of which it is.
    static DATE_LINE: RefCell<(u64, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
}

/// The time of now, worded once in a second.
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
