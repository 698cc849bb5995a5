//! One connection of the load generator. All connections share one read buffer, so each needs little memory.
//!
//! Knows HTTP/1.1 heads and bodies, but not what they carry.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frame::shown;

/// The most bytes of one read. All connections of the thread share the buffer.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The most bytes that a connection holds until they can be parsed: the largest event, with room.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most headers of a response.
const HEADERS_MAX: usize = 64;
/// How long opening a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// The hub's address, and the fixed parts of each request.
#[derive(Debug)]
pub(super) struct BenchTarget {
    pub(super) address: SocketAddr,
    /// The path prefix of the hub, without a slash at its end.
    pub(super) prefix: String,
    /// The header lines that all requests share.
    pub(super) headers: String,
}

impl BenchTarget {
    /// Returns a request without a body, or the head of one whose body is described by the `more` headers.
    pub(super) fn request(&self, method: &str, path: &str, more: &str) -> String {
        let Self {
            prefix, headers, ..
        } = self;
        format!("{method} {prefix}{path} HTTP/1.1\r\n{headers}{more}\r\n")
    }
}

/// A connection, and the bytes that were read but not parsed yet.
#[derive(Debug)]
pub(super) struct BenchConnection {
    stream: TcpStream,
    held: Vec<u8>,
}

/// The head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BenchHead {
    pub(super) status: u16,
    pub(super) body: Body,
    /// Length of the head, in bytes.
    pub(super) bytes: usize,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(usize),
    Chunked,
    Close,
}

impl BenchConnection {
    pub(super) async fn connect(target: &Arc<BenchTarget>) -> anyhow::Result<Self> {
        let address = target.address;
        let stream = timeout(CONNECT_LIMIT, TcpStream::connect(address))
            .await
            .with_context(|| format!("{address} accepted no connection within {CONNECT_LIMIT:?}"))?
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        // Close with a reset. Otherwise, the ports of thousands of readers would stay in use for a minute.
        stream.set_zero_linger()?;
        Ok(Self {
            stream,
            held: Vec::new(),
        })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await.context("cannot write")
    }

    /// Reads once and passes the bytes to `take`, which returns how many of them it has handled. Returns the number of
    /// bytes read.
    pub(super) fn poll_take(
        &mut self,
        context: &mut Context<'_>,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<usize>,
    ) -> Poll<anyhow::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let stream = Pin::new(&mut self.stream);
            ready!(stream.poll_read(context, &mut buffer)).context("the connection broke")?;
            let new = buffer.filled();
            if new.is_empty() {
                bail_ready("the hub closed the connection")?;
            }
            if self.held.is_empty() {
                let done = take(new)?;
                self.held.extend_from_slice(&new[done..]);
            } else {
                self.held.extend_from_slice(new);
                let done = take(&self.held)?;
                self.held.drain(..done);
            }
            if self.held.is_empty() {
                self.held = Vec::new();
            } else if self.held.len() > HELD_BYTES_MAX {
                bail_ready("the answer is not from a triway hub: it has no end")?;
            }
            Poll::Ready(Ok(new.len()))
        })
    }

    /// Passes the held bytes to `take`.
    pub(super) fn take_held(
        &mut self,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<usize>,
    ) -> anyhow::Result<()> {
        let done = take(&self.held)?;
        self.held.drain(..done);
        Ok(())
    }

    /// Reads the head of a response and holds the bytes after it. Also returns the number of bytes read.
    pub(super) async fn head(&mut self, expected: u16) -> anyhow::Result<(BenchHead, usize)> {
        let mut read = 0;
        let mut found = None;
        while found.is_none() {
            read += std::future::poll_fn(|context| {
                self.poll_take(context, |bytes| {
                    let Some(head) = head(bytes)? else {
                        return Ok(0);
                    };
                    found = Some(head);
                    if head.status != expected {
                        bail!("status {}, not {expected}: {}", head.status, shown(bytes));
                    }
                    Ok(head.bytes)
                })
            })
            .await?;
        }
        Ok((found.context("an answer has a head")?, read))
    }

    /// Reads a complete response and passes its body to `read`. Also returns the number of bytes read.
    pub(super) async fn answer<T>(
        &mut self,
        expected: u16,
        mut read: impl FnMut(&[u8]) -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, usize)> {
        let mut bytes_read = 0;
        let mut found = None;
        while found.is_none() {
            bytes_read += std::future::poll_fn(|context| {
                self.poll_take(context, |bytes| {
                    let Some((head, end)) = whole(bytes)? else {
                        return Ok(0);
                    };
                    if head.status != expected {
                        bail!(
                            "status {}, not {expected}: {}",
                            head.status,
                            shown(&bytes[head.bytes..end])
                        );
                    }
                    found = Some(match head.body {
                        Body::Chunked => read(&unchunked(&bytes[head.bytes..end])?)?,
                        Body::Length(_) | Body::Close => read(&bytes[head.bytes..end])?,
                    });
                    Ok(end)
                })
            })
            .await?;
        }
        Ok((found.context("an answer was read")?, bytes_read))
    }
}

fn bail_ready(what: &'static str) -> anyhow::Result<()> {
    bail!(what)
}

/// Parses the head of a response, if it is complete.
fn head(bytes: &[u8]) -> anyhow::Result<Option<BenchHead>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer
        .parse(bytes)
        .with_context(|| format!("not an answer over HTTP: {}", shown(bytes)))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let mut body = Body::Close;
    for header in &*answer.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = str::from_utf8(header.value)?;
            body = Body::Length(value.trim().parse().context("content-length")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
            break;
        }
    }
    Ok(Some(BenchHead {
        status: answer.code.unwrap_or_default(),
        body,
        bytes: length,
    }))
}

/// Returns the head and the end of a response, if it is complete.
fn whole(bytes: &[u8]) -> anyhow::Result<Option<(BenchHead, usize)>> {
    let Some(head) = head(bytes)? else {
        return Ok(None);
    };
    let end = match head.body {
        Body::Length(length) => Some(head.bytes + length),
        Body::Chunked => end_of_chunks(&bytes[head.bytes..])?.map(|end| head.bytes + end),
        Body::Close => bail!("an answer without an end: {}", shown(bytes)),
    };
    Ok(end.filter(|end| *end <= bytes.len()).map(|end| (head, end)))
}

/// Returns position and length of the first chunk's data, if the head of the chunk is complete.
pub(super) fn chunk(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete((begin, length))) => {
            Ok(Some((begin, usize::try_from(length)?)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => bail!("not a chunk of an answer: {}", shown(bytes)),
    }
}

fn end_of_chunks(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut at = 0;
    while let Some((begin, length)) = chunk(bytes.get(at..).unwrap_or_default())? {
        at += begin + length + 2;
        if length == 0 {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn unchunked(mut bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some((begin, length)) = chunk(bytes)?.filter(|(_, length)| *length > 0) {
        body.extend_from_slice(&bytes[begin..begin + length]);
        bytes = &bytes[begin + length + 2..];
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_they_say() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1";
        let (head, end) = whole(plain).unwrap().unwrap();
        assert_eq!((head.status, &plain[head.bytes..end]), (200, &b"abc"[..]));
        assert_eq!(whole(&plain[..end - 1]).unwrap(), None);

        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nmore";
        let (head, end) = whole(chunked).unwrap().unwrap();
        assert_eq!(unchunked(&chunked[head.bytes..end]).unwrap(), b"abc");
        assert_eq!(&chunked[end..], b"more");
        for cut in 1..end {
            assert_eq!(whole(&chunked[..cut]).unwrap(), None, "{cut}");
        }
        assert!(whole(b"SSH-2.0-x\r\n").is_err());
    }
}
