//! One read of a WebSocket's socket, into messages.
//!
//! Knows frames as bytes only; what they mean is the socket's business.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::codec::{Broken, Codec, Incoming};
use crate::transport::output::Output;

/// Bytes of one read. One buffer a thread, not one a connection.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
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

/// What was read and not yet acted on.
pub(super) struct Input {
    codec: Codec,
    /// What one read brought, at most.
    pub(super) pending: VecDeque<Incoming>,
    /// The answer to the peer's Close, kept back until all before it is acted on: nothing may follow it.
    pub(super) echo: Vec<u8>,
}

impl Input {
    pub(super) fn new(message_bytes_max: usize) -> Self {
        Self {
            codec: Codec::new(message_bytes_max),
            pending: VecDeque::new(),
            echo: Vec::new(),
        }
    }

    /// Reads once, into messages; Pongs go to the output.
    pub(super) fn poll_read<R: AsyncRead>(
        &mut self,
        io: Pin<&mut R>,
        cx: &mut Context<'_>,
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
            Poll::Ready(self.take(buffer.filled(), output))
        })
    }

    /// Takes bytes that were read, into messages.
    pub(super) fn take(&mut self, mut input: &[u8], output: &mut Output) -> Reading {
        let mut pongs = Vec::new();
        let reading = loop {
            let before = pongs.len();
            match self.codec.feed(&mut input, &mut pongs) {
                Ok(None) => break Reading::Some,
                Ok(Some(incoming)) => {
                    if matches!(incoming, Incoming::Close { .. }) {
                        self.echo = pongs.split_off(before);
                    }
                    self.pending.push_back(incoming);
                }
                Err(broken) => break Reading::Broken(broken),
            }
        };
        if !pongs.is_empty() {
            output.push(pongs.into());
        }
        reading
    }
}
