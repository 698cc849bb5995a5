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

/// Takes bytes that were read, into messages.
pub(super) fn take(
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
