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

/// The status line, the headers, and the empty line.
pub(super) fn bytes(head: &Parts, length: Length) -> Bytes {
    let reason = head.status.canonical_reason().unwrap_or_default();
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_str()).into_bytes();
    for (name, value) in &head.headers {
        // axum says that an empty body has no bytes; what follows is told below.
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match length {
        Length::None => {}
        Length::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Length::Bytes(bytes) => {
            out.extend_from_slice(format!("content-length: {bytes}\r\n").as_bytes())
        }
    }
    if !head.headers.contains_key(DATE) {
        out.extend_from_slice(
            format!("date: {}\r\n", httpdate::fmt_http_date(SystemTime::now())).as_bytes(),
        );
    }
    out.extend_from_slice(b"\r\n");
    out.into()
}
