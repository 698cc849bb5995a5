//! The socket of a connection, as its readers and writers see it.
//!
//! A kernel socket is shared, so that a fan-out task can write to it for its reader. Any other kind has one owner.
//! Knows no HTTP and no session.

use std::cell::Cell;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::protocol::peer::StreamWatcher;

/// Bytes of one read of a request head: a usual head with some cookies.
const ROOM_BYTES: usize = 4 * 1024;

/// Bytes of one write to an HTTP/2 stream.
const NARROW_BYTES: usize = 1024;

thread_local! {
    /// The buffer of one read: one per thread, not one per connection.
    static ROOM: Cell<Box<[u8]>> = Cell::default();
}

/// Lends the buffer of this thread for one read.
pub(crate) fn with_room<T>(act: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut room = ROOM.take();
    if room.is_empty() {
        room = vec![0; ROOM_BYTES].into();
    }
    let done = act(&mut room);
    ROOM.set(room);
    done
}

/// A socket of any kind.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Accepts few bytes at a time, for an HTTP/2 stream: hyper copies what it gets, and keeps up to four writes for a peer
/// that reads nothing.
pub(crate) struct NarrowWrites<I> {
    io: I,
    watcher: Option<StreamWatcher>,
    /// The state that the watcher knows.
    is_waiting: bool,
}

impl<I> NarrowWrites<I> {
    pub(crate) fn new(io: I, watcher: Option<StreamWatcher>) -> Self {
        Self {
            io,
            watcher,
            is_waiting: false,
        }
    }

    fn note<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_pending() != self.is_waiting {
            self.is_waiting = !self.is_waiting;
            if let Some(watcher) = &self.watcher {
                watcher.0.note(self.is_waiting);
            }
        }
        outcome
    }
}

impl<I: Io> AsyncRead for NarrowWrites<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<I: Io> AsyncWrite for NarrowWrites<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(NARROW_BYTES)];
        let outcome = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// An owned socket.
pub enum Connection {
    /// A kernel socket: the bytes written are the bytes on the wire.
    Tcp(Arc<TcpStream>),
    /// Any other socket, such as one within HTTP/2.
    Other(Box<dyn Io>),
}

impl Connection {
    /// Returns the connection of a kernel socket.
    #[must_use]
    pub fn tcp(stream: TcpStream) -> Self {
        Self::Tcp(Arc::new(stream))
    }

    /// Reads the bytes that are available. 0 bytes mean that the peer has closed its side, or that reading failed.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<usize> {
        let mut buffer = ReadBuf::new(room);
        let read = ready!(Pin::new(self).poll_read(cx, &mut buffer));
        Poll::Ready(read.map_or(0, |()| buffer.filled().len()))
    }

    /// Returns the socket that a fan-out task may write to.
    pub(crate) fn shared(&self) -> Option<&Arc<TcpStream>> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Other(_) => None,
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

/// Makes one system call. If it transfers fewer bytes than requested, the socket has no more data or room at present. A
/// `WouldBlock` reports this to tokio, which then waits until the kernel signals the socket.
fn call(
    stream: &TcpStream,
    interest: Interest,
    asked: usize,
    act: impl FnOnce(&socket2::Socket) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = None;
    let outcome = stream.try_io(interest, || {
        let bytes = act(&SockRef::from(stream))?;
        done = Some(bytes);
        if 0 < bytes && bytes < asked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match (done, outcome) {
        (Some(bytes), _) => Ok(bytes),
        (None, outcome) => outcome.map(|()| 0),
    }
}

fn is_pending<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn poll_read(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    into: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let asked = into.remaining();
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let buffer = into.initialize_unfilled();
        let read = call(stream, Interest::READABLE, asked, |mut socket| {
            socket.read(buffer)
        });
        if !is_pending(&read) {
            return Poll::Ready(read.map(|bytes| into.advance(bytes)));
        }
    }
}

fn poll_write(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    asked: usize,
    write: impl Fn(&socket2::Socket) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let written = call(stream, Interest::WRITABLE, asked, &write);
        if !is_pending(&written) {
            return Poll::Ready(written);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => poll_read(stream, cx, into),
            Self::Other(io) => Pin::new(io).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => poll_write(stream, cx, bytes.len(), |socket| socket.send(bytes)),
            Self::Other(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => {
                let bytes = pieces.iter().map(|piece| piece.len()).sum();
                poll_write(stream, cx, bytes, |mut socket| {
                    socket.write_vectored(pieces)
                })
            }
            Self::Other(io) => Pin::new(io).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            Self::Other(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // The kernel holds nothing back.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Other(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Poll::Ready(SockRef::from(&**stream).shutdown(Shutdown::Write)),
            Self::Other(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
