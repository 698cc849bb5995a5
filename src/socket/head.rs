//! The head of an answer as bytes, for sockets that are written to directly.

use std::time::SystemTime;

use axum::http::response::Parts;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};

/// How the length of what follows is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// It is not: a handshake.
    None,
    /// In chunks.
    Chunked,
    /// In bytes.
    Bytes(usize),
}

/// The status line and the headers but for the length, encoded at once: a held answer keeps these bytes and not the
/// map, which is four times as large.
pub(super) struct Head {
    lines: Box<[u8]>,
    is_dated: bool,
}

impl Head {
    pub(super) fn of(head: &Parts) -> Self {
        let reason = head.status.canonical_reason().unwrap_or_default();
        let mut lines = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_str()).into_bytes();
        for (name, value) in &head.headers {
            // axum says that an empty body has no bytes; what follows is told below.
            if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
                continue;
            }
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        Self {
            lines: lines.into(),
            is_dated: head.headers.contains_key(DATE),
        }
    }

    /// The whole head, with the length, the time of now and the empty line.
    pub(super) fn bytes(&self, length: Length) -> Bytes {
        let mut out = self.lines.to_vec();
        match length {
            Length::None => {}
            Length::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Length::Bytes(bytes) => {
                out.extend_from_slice(format!("content-length: {bytes}\r\n").as_bytes());
            }
        }
        if !self.is_dated {
            let now = httpdate::fmt_http_date(SystemTime::now());
            out.extend_from_slice(format!("date: {now}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.into()
    }
}
