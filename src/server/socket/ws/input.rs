//! Reads a WebSocket's socket and splits the bytes into messages.
//!
//! This file knows frames as bytes only. The socket interprets the messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::session::{InboundBudget, InboundPermit, UNCOUNTED_BYTES};
use crate::transport::write_queue::WriteQueue;
use crate::transport::ws::codec::{ClientMessage, Codec, ProtocolViolation};

/// Bytes of one read. Each thread has one buffer, which its connections share.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Most parsed messages that wait to be handled.
const PENDING_MAX: usize = 64;

/// The outcome of one read.
pub(super) enum InputOutcome {
    /// Bytes arrived. Any complete messages are pending.
    Some,
    /// The peer violated the protocol or a limit.
    Broken(ProtocolViolation),
    /// The unfinished messages of all peers exceed their budget.
    Full,
    /// The peer is gone.
    Ended,
}

/// Bytes and messages that were read but not yet handled.
pub(super) struct Input {
    codec: Codec,
    inbound: Arc<InboundBudget>,
    /// `None` while few bytes are held.
    unfinished: Option<Box<UnfinishedInput>>,
    /// `None` for an idle reader.
    behind: Option<Box<InputBacklog>>,
}

/// A large message that is not complete, or many bytes that wait to be handled.
struct UnfinishedInput {
    counted: InboundPermit,
    since: Instant,
}

/// Messages and bytes that wait to be handled.
#[derive(Default)]
struct InputBacklog {
    /// The first messages of one read.
    pending: VecDeque<ClientMessage>,
    /// The bytes after them. As parsed messages, tiny ones would take ten times as much memory while they wait.
    unparsed: Bytes,
    /// The answer to the peer's Close. It is held back until everything before it is handled, because nothing may
    /// follow it.
    echo: Vec<u8>,
}

impl Input {
    pub(super) fn new(message_bytes_max: usize, inbound: Arc<InboundBudget>) -> Self {
        Self {
            codec: Codec::new(message_bytes_max),
            inbound,
            unfinished: None,
            behind: None,
        }
    }

    /// Returns the oldest message that is not yet handled.
    pub(super) fn next(&mut self) -> Option<ClientMessage> {
        self.behind.as_mut()?.pending.pop_front()
    }

    /// Puts back a message that cannot be handled yet.
    pub(super) fn put_back(&mut self, incoming: ClientMessage) {
        let behind = self.behind.get_or_insert_default();
        behind.pending.push_front(incoming);
    }

    /// Takes the answer to the peer's Close.
    pub(super) fn take_echo(&mut self) -> Vec<u8> {
        let behind = self.behind.take();
        behind.map(|behind| behind.echo).unwrap_or_default()
    }

    /// Reads once and parses the messages. Pongs go to the write queue.
    pub(super) fn poll_read<R: AsyncRead>(
        &mut self,
        io: Pin<&mut R>,
        cx: &mut Context<'_>,
        output: &mut WriteQueue,
    ) -> Poll<InputOutcome> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            let Ok(()) = ready!(io.poll_read(cx, &mut buffer)) else {
                return Poll::Ready(InputOutcome::Ended);
            };
            if buffer.filled().is_empty() {
                return Poll::Ready(InputOutcome::Ended);
            }
            Poll::Ready(self.take(buffer.filled(), output))
        })
    }

    /// Returns whether something was read but not yet handled.
    pub(super) fn has_some(&self) -> bool {
        let waits = |behind: &InputBacklog| {
            let is_idle = behind.pending.is_empty() && behind.unparsed.is_empty();
            !is_idle
        };
        self.behind.as_deref().is_some_and(waits)
    }

    /// Parses further messages once those before them are handled.
    pub(super) fn take_rest(&mut self, output: &mut WriteQueue) -> InputOutcome {
        let Some(behind) = &mut self.behind else {
            return InputOutcome::Some;
        };
        if !behind.pending.is_empty() {
            return InputOutcome::Some;
        }
        let rest = std::mem::take(&mut behind.unparsed);
        // A reader that is idle again keeps no memory for messages.
        self.behind = None;
        self.take(&rest, output)
    }

    /// Parses messages from `input`. Keeps the bytes after the first few messages unparsed.
    pub(super) fn take(&mut self, mut input: &[u8], output: &mut WriteQueue) -> InputOutcome {
        let mut pongs = Vec::new();
        let reading = loop {
            let waiting = self
                .behind
                .as_ref()
                .map_or(0, |behind| behind.pending.len());
            if waiting >= PENDING_MAX {
                let behind = self.behind.get_or_insert_default();
                behind.unparsed = Bytes::copy_from_slice(input);
                break InputOutcome::Some;
            }
            let before = pongs.len();
            match self.codec.feed(&mut input, &mut pongs) {
                Ok(None) => break InputOutcome::Some,
                Ok(Some(incoming)) => {
                    let behind = self.behind.get_or_insert_default();
                    if matches!(incoming, ClientMessage::Close { .. }) {
                        behind.echo = pongs.split_off(before);
                    }
                    behind.pending.push_back(incoming);
                }
                Err(broken) => break InputOutcome::Broken(broken),
            }
        };
        if !pongs.is_empty() {
            output.push(pongs.into());
        }
        if self.count() {
            reading
        } else {
            InputOutcome::Full
        }
    }

    /// Discards everything that was read, without handling it.
    pub(super) fn give_up(&mut self) {
        self.codec.end();
        self.behind = None;
        self.unfinished = None;
    }

    /// Returns since when a large message is incomplete.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        let unfinished = self.unfinished.as_ref()?;
        Some(unfinished.since)
    }

    /// Counts the held bytes. Returns whether they fit into the budget.
    fn count(&mut self) -> bool {
        let behind = self.behind.as_deref();
        let is_other = behind.is_some_and(|behind| !behind.pending.is_empty());
        let held = self.codec.held_bytes() + behind.map_or(0, |behind| behind.unparsed.len());
        if held <= UNCOUNTED_BYTES {
            self.unfinished = None;
            return true;
        }
        let new = || UnfinishedInput {
            counted: self.inbound.begin(),
            since: Instant::now(),
        };
        let unfinished = self.unfinished.get_or_insert_with(|| Box::new(new()));
        if is_other {
            // A message before this one is complete.
            unfinished.since = Instant::now();
        }
        unfinished.counted.set(held)
    }
}
