//! One read of a WebSocket's socket, into messages.
//!
//! Knows frames as bytes only; what they mean is the socket's business.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::session::{Counted, Inbound, UNCOUNTED_BYTES};
use crate::transport::write_queue::Output;
use crate::transport::ws::codec::{Broken, Codec, Incoming};

/// Bytes of one read. One buffer a thread, not one a connection.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Messages that are made of what was read before they are acted on.
const PENDING_MAX: usize = 64;

/// What one read brought.
pub(super) enum Reading {
    /// Something; messages, if there are any, are pending.
    Some,
    /// The peer broke the protocol or a limit.
    Broken(Broken),
    /// Too much of what all peers send has not ended.
    Full,
    /// The peer is gone.
    Ended,
}

/// What was read and not yet acted on.
pub(super) struct Input {
    codec: Codec,
    inbound: Arc<Inbound>,
    /// Absent while little is held.
    unfinished: Option<Box<Unfinished>>,
    /// Absent with an idle reader.
    behind: Option<Box<Behind>>,
}

/// A large message that has begun and not ended, or much that waits to be acted on.
struct Unfinished {
    counted: Counted,
    since: Instant,
}

/// What waits to be acted on.
#[derive(Default)]
struct Behind {
    /// Some of the messages that one read brought.
    pending: VecDeque<Incoming>,
    /// The bytes behind them: as messages, tiny ones would cost ten times as much for as long as they wait.
    unparsed: Bytes,
    /// The answer to the peer's Close, kept back until all before it is acted on: nothing may follow it.
    echo: Vec<u8>,
}

impl Input {
    pub(super) fn new(message_bytes_max: usize, inbound: Arc<Inbound>) -> Self {
        Self {
            codec: Codec::new(message_bytes_max),
            inbound,
            unfinished: None,
            behind: None,
        }
    }

    /// The oldest message that is not yet acted on.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        self.behind.as_mut()?.pending.pop_front()
    }

    /// Puts a message back that cannot be acted on yet.
    pub(super) fn put_back(&mut self, incoming: Incoming) {
        let behind = self.behind.get_or_insert_default();
        behind.pending.push_front(incoming);
    }

    /// The answer to the peer's Close.
    pub(super) fn take_echo(&mut self) -> Vec<u8> {
        let behind = self.behind.take();
        behind.map(|behind| behind.echo).unwrap_or_default()
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

    /// Whether something that was read is not yet acted on.
    pub(super) fn has_some(&self) -> bool {
        let waits = |behind: &Behind| {
            let is_idle = behind.pending.is_empty() && behind.unparsed.is_empty();
            !is_idle
        };
        self.behind.as_deref().is_some_and(waits)
    }

    /// Makes further messages of what was read, once those before them are acted on.
    pub(super) fn take_rest(&mut self, output: &mut Output) -> Reading {
        let Some(behind) = &mut self.behind else {
            return Reading::Some;
        };
        if !behind.pending.is_empty() {
            return Reading::Some;
        }
        let rest = std::mem::take(&mut behind.unparsed);
        // A reader that is idle again keeps no room for messages.
        self.behind = None;
        self.take(&rest, output)
    }

    /// Takes bytes that were read, into messages; keeps those behind the first few as they are.
    pub(super) fn take(&mut self, mut input: &[u8], output: &mut Output) -> Reading {
        let mut pongs = Vec::new();
        let reading = loop {
            let waiting = self
                .behind
                .as_ref()
                .map_or(0, |behind| behind.pending.len());
            if waiting >= PENDING_MAX {
                let behind = self.behind.get_or_insert_default();
                behind.unparsed = Bytes::copy_from_slice(input);
                break Reading::Some;
            }
            let before = pongs.len();
            match self.codec.feed(&mut input, &mut pongs) {
                Ok(None) => break Reading::Some,
                Ok(Some(incoming)) => {
                    let behind = self.behind.get_or_insert_default();
                    if matches!(incoming, Incoming::Close { .. }) {
                        behind.echo = pongs.split_off(before);
                    }
                    behind.pending.push_back(incoming);
                }
                Err(broken) => break Reading::Broken(broken),
            }
        };
        if !pongs.is_empty() {
            output.push(pongs.into());
        }
        if self.count() { reading } else { Reading::Full }
    }

    /// Gives up what was read: nothing of it is acted on.
    pub(super) fn give_up(&mut self) {
        self.codec.end();
        self.behind = None;
        self.unfinished = None;
    }

    /// Since when a large message has not ended.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        let unfinished = self.unfinished.as_ref()?;
        Some(unfinished.since)
    }

    /// Counts what is held. Whether there is room for it.
    fn count(&mut self) -> bool {
        let behind = self.behind.as_deref();
        let is_other = behind.is_some_and(|behind| !behind.pending.is_empty());
        let held = self.codec.held_bytes() + behind.map_or(0, |behind| behind.unparsed.len());
        if held <= UNCOUNTED_BYTES {
            self.unfinished = None;
            return true;
        }
        let new = || Unfinished {
            counted: self.inbound.begin(),
            since: Instant::now(),
        };
        let unfinished = self.unfinished.get_or_insert_with(|| Box::new(new()));
        if is_other {
            // A message before this one has ended.
            unfinished.since = Instant::now();
        }
        unfinished.counted.set(held)
    }
}
