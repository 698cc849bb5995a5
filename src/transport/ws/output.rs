//! The two ends of a WebSocket's socket: what waits to be written, in one write, and one read into messages.
//!
//! Knows frames as bytes only.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::codec::{Broken, Codec, Incoming};

/// Bytes of one read. One buffer a thread, not one a connection.
const READ_BYTES: usize = 64 * 1024;
/// Pieces of one vectored write: what Linux takes at once (`IOV_MAX`).
const WRITE_PIECES_MAX: usize = 1_024;
/// Pieces up to this size are joined with their neighbours: copying them is cheaper than an entry each in the
/// list that the kernel walks.
const JOIN_BYTES_MAX: usize = 2_048;
/// A joined piece grows no further than this.
const JOINED_BYTES_MAX: usize = 64 * 1024;
/// With so many bytes waiting, no further command is acted on: one read can hold thousands of them.
const LARGE_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Output {
    pieces: VecDeque<Bytes>,
    /// The small pieces since the last large one, while there is more than one.
    joined: BytesMut,
    blocked_since: Option<Instant>,
}

impl Output {
    /// Adds a piece behind all others.
    pub(super) fn push(&mut self, piece: Bytes) {
        let is_first = self.pieces.is_empty() && self.joined.is_empty();
        if is_first || piece.len() > JOIN_BYTES_MAX {
            self.settle();
            self.pieces.push_back(piece);
            return;
        }
        if self.joined.len() + piece.len() > JOINED_BYTES_MAX {
            self.settle();
        }
        self.joined.extend_from_slice(&piece);
    }

    fn settle(&mut self) {
        if !self.joined.is_empty() {
            self.pieces.push_back(self.joined.split().freeze());
            self.joined = BytesMut::new();
        }
    }

    /// Whether so much waits that it should be written before more is made.
    pub(super) fn is_large(&self) -> bool {
        let pieces = self.pieces.iter().map(Bytes::len).sum::<usize>();
        self.joined.len() + pieces > LARGE_BYTES
    }

    /// Since when the peer has taken nothing.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Writes all that waits; ready when nothing is left.
    pub(super) fn poll_write<W: AsyncWrite>(
        &mut self,
        mut io: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.settle();
        if self.pieces.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.pieces.is_empty() {
            let written = if self.pieces.len() == 1 {
                io.as_mut().poll_write(cx, &self.pieces[0])
            } else {
                let slices: Vec<IoSlice<'_>> = self
                    .pieces
                    .iter()
                    .take(WRITE_PIECES_MAX)
                    .map(|piece| IoSlice::new(piece))
                    .collect();
                io.as_mut().poll_write_vectored(cx, &slices)
            };
            match written {
                Poll::Pending => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
                Poll::Ready(result) => self.written(result?)?,
            }
        }
        // An idle reader keeps no room for a burst.
        self.pieces.shrink_to(4);
        io.poll_flush(cx)
    }

    fn written(&mut self, mut bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.blocked_since = None;
        while bytes > 0 {
            let Some(first) = self.pieces.front_mut() else {
                return Ok(());
            };
            let taken = bytes.min(first.len());
            first.advance(taken);
            bytes -= taken;
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
        Ok(())
    }

    /// All that waits, as one piece, to be written with the last words.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        self.settle();
        self.pieces.drain(..).flatten().collect()
    }
}

/// What one read brought.
pub(super) enum Reading {
    /// Something; messages, if there are any, are pending.
    Some,
    /// The peer broke the protocol or a limit.
    Broken(Broken),
    /// The peer is gone.
    Ended,
}

/// Reads once, into messages; answers of the codec go to the output.
pub(super) fn poll_read<R: AsyncRead>(
    io: Pin<&mut R>,
    cx: &mut Context<'_>,
    codec: &mut Codec,
    pending: &mut VecDeque<Incoming>,
    output: &mut Output,
) -> Poll<Reading> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        let Ok(()) = ready!(io.poll_read(cx, &mut buffer)) else {
            return Poll::Ready(Reading::Ended);
        };
        if buffer.filled().is_empty() {
            return Poll::Ready(Reading::Ended);
        }
        Poll::Ready(take(buffer.filled(), codec, pending, output))
    })
}

fn take(
    mut input: &[u8],
    codec: &mut Codec,
    pending: &mut VecDeque<Incoming>,
    output: &mut Output,
) -> Reading {
    let mut answers = Vec::new();
    let reading = loop {
        match codec.feed(&mut input, &mut answers) {
            Ok(None) => break Reading::Some,
            Ok(Some(incoming)) => pending.push_back(incoming),
            Err(broken) => break Reading::Broken(broken),
        }
    };
    if !answers.is_empty() {
        output.push(answers.into());
    }
    reading
}
