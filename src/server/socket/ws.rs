//! WebSocket: outgoing items are written as pre-encoded frames, messages are read as commands, and each Close is sent
//! and answered.
//!
//! Owns the socket after the handshake, over any kind of connection. This file knows no other transport.

pub(crate) mod close;
mod input;
mod liveness;
mod refuse;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, timeout};

use crate::fanout::{Fanouts, SubscriberHandle};
use crate::hub::Items;
use crate::hub::feed::{Batch, Item};
use crate::protocol::parse_command;
use crate::protocol::{Bye, ByeReason, CommandRequest, Data, EventName, Format, Publish, Refusal};
use crate::session::{Attachment, CommandOutcome, Outgoing, full};
use crate::transport::connection::Connection;
use crate::transport::write_queue::{WriteQueue, is_forgotten};
use crate::transport::ws::codec::{ClientMessage, ProtocolViolation};
use crate::transport::ws::words::{farewell, run_frames};
use crate::transport::ws::{frame, words};
use crate::transport::{FanoutEncoder, RequestFacts};
use input::{Input, InputOutcome};
use refuse::hang_up;
pub(crate) use refuse::refuse;

/// Messages that one socket handles before readers get to run, including this socket's own reader. One read can
/// contain thousands of messages, and a thousand events at once would cause a gap for every reader.
const ACTS_AT_ONCE: usize = 64;
/// The write budget if none is configured.
const NEVER: Duration = Duration::from_secs(86_400);
/// Close code of a normal end.
const NORMAL: u16 = 1_000;
/// Close code of a page that goes away.
const GOING_AWAY: u16 = 1_001;

/// A WebSocket that reads and writes a session.
pub(crate) struct Socket {
    io: Connection,
    fanouts: Option<Arc<Fanouts>>,
    subscriber: SubscriberHandle,
    attach: Attachment,
    input: Input,
    output: WriteQueue,
    broken: Option<ProtocolViolation>,
    /// Whether the bytes to write now are everything there is until the task is woken.
    is_settled: bool,
    heard: Instant,
    /// Whether the socket is not being read, because a limit slows the peer down or because earlier messages wait.
    /// The peer's signs of life then wait too.
    is_unread: bool,
    /// When the peer was last pinged. A peer that was not pinged owes no sign of life.
    pinged: Option<Instant>,
    /// Set while the publish rate is used up: the socket is not read until then.
    rests_until: Option<Instant>,
    /// Exists only while the peer does not read or its publish rate is used up.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The next event on the socket.
enum WsStep {
    Turn(Outgoing),
    Written,
    Read,
    Rested,
    /// The peer sends more than the hub has room for.
    Full,
    TakesNothing,
    Gone,
}

/// The last frames to write.
type LastFrames = Vec<Bytes>;

impl Socket {
    /// Creates a socket after its handshake. `unread` are the bytes read after the handshake, and `first` is the
    /// answer to it.
    pub(crate) fn new(
        io: Connection,
        mut attach: Attachment,
        unread: &[u8],
        first: Bytes,
        fanouts: Option<Arc<Fanouts>>,
    ) -> Self {
        let limits = attach.sessions().limits();
        let message_bytes = match attach.format() {
            Format::Full => limits.message,
            Format::Data => limits.data,
        };
        let mut input = Input::new(message_bytes, attach.sessions().inbound().clone());
        let mut output = WriteQueue::new(&attach.sessions().hub().metrics().writes);
        if io.shared().is_none() {
            // Many WebSockets may share one HTTP/2 connection.
            attach.narrow();
            output.narrow();
        }
        if !first.is_empty() {
            output.push(first);
        }
        // One read of a head is far smaller than the size from which bytes are counted.
        let broken = match input.take(unread, &mut output) {
            InputOutcome::Broken(broken) => Some(broken),
            InputOutcome::Some | InputOutcome::Full | InputOutcome::Ended => None,
        };
        Self {
            io,
            fanouts,
            subscriber: SubscriberHandle::default(),
            attach,
            input,
            output,
            broken,
            is_settled: false,
            heard: Instant::now(),
            is_unread: false,
            pinged: None,
            rests_until: None,
            timer: None,
        }
    }

    /// Serves the socket to its end. Rare or short parts are boxed, because each idle reader holds the whole future.
    pub(crate) fn run(mut self, facts: RequestFacts) -> impl Future<Output = ()> + Send {
        if self.attach.format() == Format::Full {
            self.output
                .push(frame::text_frame(&self.attach.hello(facts.client)));
            if let Some(refused) = self.attach.refused_frame() {
                self.output.push(frame::text_frame(&refused));
            }
            self.attach.forget_opening();
        }
        async move {
            if let Some(ending) = self.converse().await {
                Box::pin(self.end(ending)).await;
            }
        }
    }

    /// Reads and writes until the end. Returns the last frames, if they can still be written.
    async fn converse(&mut self) -> Option<LastFrames> {
        loop {
            if self.has_pending()
                && let Some(ending) = Box::pin(self.act_on_pending()).await
            {
                return Some(ending);
            }
            match std::future::poll_fn(|cx| self.poll_step(cx)).await {
                WsStep::Turn(turn) => {
                    if let Some(ending) = self.write_turn(turn) {
                        return Some(ending);
                    }
                }
                WsStep::Written | WsStep::Read | WsStep::Rested => {}
                WsStep::Full => return Some(self.has_no_room()),
                WsStep::TakesNothing => {
                    // The socket is full or in the middle of a frame, so a last frame would not get through.
                    let _ = self.attach.bye(ByeReason::Slow);
                    return None;
                }
                WsStep::Gone => return None,
            }
        }
    }

    /// Returns whether something was read but not yet handled.
    fn has_pending(&self) -> bool {
        self.input.has_some() || self.broken.is_some()
    }

    /// Returns the next event. While there is none, a fan-out task may write to the socket.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<WsStep> {
        if let Some(rest) = self.subscriber.reclaim(&mut self.attach).unwritten {
            self.output.push(rest);
        }
        let step = self.poll_own(cx);
        if step.is_pending()
            && self.output.is_empty()
            && self.rests_until.is_none()
            && let (Some(fanouts), Some(stream)) = (&self.fanouts, self.io.shared())
        {
            let encoder = FanoutEncoder::Each(run_frames(self.attach.format()));
            let attach = &mut self.attach;
            self.subscriber
                .delegate(fanouts, attach, stream, (encoder, None));
        }
        step
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<WsStep> {
        // If the previous item was everything there was, nothing is polled again until the task is woken.
        let is_settled = std::mem::take(&mut self.is_settled);
        if !is_settled
            && !self.output.is_due()
            && let Poll::Ready(turn) = self.attach.poll_outgoing(cx)
        {
            self.output.gather();
            self.is_settled = self.attach.is_caught_up();
            return Poll::Ready(WsStep::Turn(turn));
        }
        let was_due = !is_settled && self.output.is_due();
        match self.output.poll_write(Pin::new(&mut self.io), cx) {
            Poll::Ready(Err(error)) if is_forgotten(&error) => {
                return Poll::Ready(WsStep::TakesNothing);
            }
            Poll::Ready(Err(_)) => return Poll::Ready(WsStep::Gone),
            // The socket is not read either: replies to a peer that only sends must not pile up.
            Poll::Pending => {
                self.is_unread = true;
                return self.poll_timer(cx);
            }
            Poll::Ready(Ok(())) => {}
        }
        // Read once even if more is ready to be written: a reader that is always behind may have something to send.
        match self.poll_input(cx) {
            Poll::Pending if was_due => Poll::Ready(WsStep::Written),
            step => step,
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<WsStep> {
        if self.rests_until.is_some() {
            self.is_unread = true;
            return self.poll_timer(cx);
        }
        self.timer = None;
        if self.input.has_some() {
            self.is_unread = true;
            // Messages that were postponed until the replies before them are written.
            return Poll::Ready(WsStep::Read);
        }
        let Self {
            io, input, output, ..
        } = self;
        match input.poll_read(Pin::new(io), cx, output) {
            // All input is read, so silence counts from now on.
            Poll::Pending => {
                if std::mem::take(&mut self.is_unread) {
                    self.heard = Instant::now();
                }
                Poll::Pending
            }
            Poll::Ready(InputOutcome::Ended) => Poll::Ready(WsStep::Gone),
            Poll::Ready(InputOutcome::Full) => Poll::Ready(WsStep::Full),
            Poll::Ready(InputOutcome::Some) => {
                self.heard = Instant::now();
                Poll::Ready(WsStep::Read)
            }
            Poll::Ready(InputOutcome::Broken(broken)) => {
                self.broken = Some(broken);
                Poll::Ready(WsStep::Read)
            }
        }
    }

    /// Waits for the end of the write budget or of the publish pause.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<WsStep> {
        let budget = self
            .attach
            .sessions()
            .options()
            .write_timeout
            .unwrap_or(NEVER);
        let blocked = self.output.blocked_since().map(|since| since + budget);
        let Some(at) = blocked.or(self.rests_until) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        if blocked.is_some() {
            return Poll::Ready(WsStep::TakesNothing);
        }
        self.rests_until = None;
        Poll::Ready(WsStep::Rested)
    }

    /// Handles the read messages in order until the publish rate is used up. Returns the last frames if the
    /// connection ends.
    async fn act_on_pending(&mut self) -> Option<LastFrames> {
        if self.rests_until.is_some() {
            return None;
        }
        let mut acted = 0;
        while !self.attach.is_replaying()
            && !self.output.is_large()
            && acted < ACTS_AT_ONCE
            && let Some(incoming) = self.input.next()
        {
            if matches!(incoming, ClientMessage::Text(_) | ClientMessage::Binary(_))
                && let Some(rest) = self.attach.rest()
            {
                self.input.put_back(incoming);
                self.rests_until = Some(Instant::now() + rest);
                return None;
            }
            acted += 1;
            let ending = match incoming {
                ClientMessage::Text(text) => self.take_text(text.as_str()).await,
                ClientMessage::Binary(bytes) => self.take_bytes(bytes).await,
                ClientMessage::Ping | ClientMessage::Pong => None,
                ClientMessage::Close { code, .. } => {
                    if matches!(code, None | Some(NORMAL | GOING_AWAY)) {
                        self.attach.leave();
                    }
                    self.write_what_is_ready();
                    Some(vec![self.input.take_echo().into()])
                }
            };
            if ending.is_some() {
                return ending;
            }
        }
        match self.input.take_rest(&mut self.output) {
            InputOutcome::Broken(broken) => self.broken = Some(broken),
            InputOutcome::Full => return Some(self.has_no_room()),
            InputOutcome::Some | InputOutcome::Ended => {}
        }
        if self.input.has_some() {
            tokio::task::yield_now().await;
            return None;
        }
        let broken = self.broken.take()?;
        self.write_what_is_ready();
        Some(vec![frame::close_frame(broken.code, &broken.reason)])
    }

    /// Writes the events that are ready, so that they precede the Close.
    fn write_what_is_ready(&mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(turn @ Outgoing::Batch(_)) = self.attach.poll_outgoing(&mut cx) {
            let _ = self.write_turn(turn);
        }
    }

    async fn take_text(&mut self, text: &str) -> Option<LastFrames> {
        match self.attach.format() {
            Format::Full => self.command(parse_command(text.as_bytes(), None)).await,
            Format::Data => self.publish_bare(Data::text(text), text.len()).await,
        }
    }

    async fn take_bytes(&mut self, message: Bytes) -> Option<LastFrames> {
        if self.attach.format() == Format::Data {
            let sent_bytes = message.len();
            return self.publish_bare(Data::Bytes(message), sent_bytes).await;
        }
        // The JSON of a command, a line feed, and its data.
        let order = match message.iter().position(|byte| *byte == b'\n') {
            Some(end) => parse_command(&message[..end], Some(message.slice(end + 1..))),
            None => parse_command(&message, None),
        };
        self.command(order).await
    }

    async fn command(&mut self, order: CommandRequest) -> Option<LastFrames> {
        if let CommandOutcome::Now(reply) = self.attach.command(order).await
            && words::push_text(&mut self.output, reply).is_err()
        {
            // An event of the reply was forgotten. The peer is treated like one that reads a large reply too slowly.
            return self.write_turn(self.attach.bye(ByeReason::Slow));
        }
        None
    }

    /// Publishes a message of a WebSocket without JSON frames. A refusal closes the socket with its code.
    async fn publish_bare(&mut self, data: Data, sent_bytes: usize) -> Option<LastFrames> {
        let channel = self
            .attach
            .attach_request()?
            .channels
            .first()?
            .as_ref()
            .ok()?;
        let channel = channel.0.clone();
        let publish = Publish {
            channel,
            name: EventName::default(),
            data,
            sent_bytes,
            key: None,
        };
        let publisher = self.attach.publisher();
        let refusal = self
            .attach
            .sessions()
            .publish(&publisher, publish)
            .await
            .err()?;
        Some(self.refused(refusal))
    }

    /// Ends the connection of a peer that sends more than the hub has room for.
    fn has_no_room(&mut self) -> LastFrames {
        self.input.give_up();
        self.refused(full())
    }

    /// Returns the last frames for a refusal.
    fn refused(&self, refusal: Refusal) -> LastFrames {
        self.attach.sessions().hub().metrics().refusal(&refusal);
        farewell(&Bye::refused(refusal), self.attach.format())
    }

    fn write_turn(&mut self, turn: Outgoing) -> Option<LastFrames> {
        let format = self.attach.format();
        match turn {
            Outgoing::Batch(batch) => return self.write_batch(&batch, format),
            Outgoing::Reply(reply) => self.output.push(frame::text_frame(&reply)),
            Outgoing::Ping(_) if self.is_slow() => {
                return self.write_turn(self.attach.bye(ByeReason::Slow));
            }
            Outgoing::Ping(_) if self.is_silent() => {
                return self.write_turn(self.attach.bye(ByeReason::Silent));
            }
            Outgoing::Ping(ping) => {
                self.pinged = Some(Instant::now());
                // The WebSocket ping comes first. Sent last, it would hide a box on the path that holds each frame
                // back until the next one arrives: the JSON ping must be the last frame.
                self.output.push(frame::ping_frame(b""));
                if format == Format::Full {
                    self.output.push(frame::text_frame(&ping.json()));
                }
            }
            Outgoing::Held(_) => {}
            Outgoing::Bye(bye) => return Some(farewell(&bye, format)),
        }
        None
    }

    fn write_batch(&mut self, batch: &Batch, format: Format) -> Option<LastFrames> {
        if let Items::Run(run) = &batch.items
            && batch.items.large_event().is_none()
        {
            self.output.push(run_frames(format)(run));
            return None;
        }
        for item in batch.items.iter() {
            match (item, format) {
                (Item::Event(event), _) => words::push_event(&mut self.output, event, format),
                (Item::Gap(gap), Format::Full) => self.output.push(frame::text_frame(&gap.json())),
                // A WebSocket without JSON frames has no form for a gap.
                (Item::Gap(_), Format::Data) => {
                    return Some(farewell(&Bye::new(ByeReason::Gap), format));
                }
            }
        }
        None
    }

    async fn end(self, ending: LastFrames) {
        let Self {
            mut io,
            subscriber,
            attach,
            mut output,
            ..
        } = self;
        drop(subscriber);
        // The session ends here: a peer that is gone must not stay present while its socket closes.
        drop(attach);
        if output.is_large() {
            let written = std::future::poll_fn(|cx| output.poll_write(Pin::new(&mut io), cx));
            if !matches!(timeout(close::CLOSING_TIME, written).await, Ok(Ok(()))) {
                return;
            }
        }
        // In the middle of a frame, no last frame can follow.
        let Ok(mut last) = output.rest() else { return };
        ending
            .iter()
            .for_each(|piece| last.extend_from_slice(piece));
        hang_up(&mut io, &last).await;
    }
}
