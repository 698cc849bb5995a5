//! A subscriber of a fan-out task: its position, and the task that writes to it at present.
//!
//! Both the reader's own task and the fan-out task lock the subscriber's state before they decide, so they never write
//! at the same time. Knows no log; the encoders are handed in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Fanout, FanoutBatch, Fanouts, READERS_MIN, Scratch};
use crate::hub::SharedBatch;
use crate::hub::waker::FeedWaker;
use crate::protocol::{Nonce, Transport};
use crate::session::Attachment;
use crate::transport::response_head::ResponseHead;
use crate::transport::{EventEncoder, FanoutEncoder, PollEncoder};

/// The most bytes of events that a fan-out task writes at once. The bytes that a socket does not accept are kept for
/// its subscriber.
const PUMPED_BYTES_MAX: usize = 32 * 1024;

/// One reader, as its fan-out task sees it.
pub(super) struct Subscriber {
    stream: Arc<TcpStream>,
    feed_waker: Arc<FeedWaker>,
    pub(super) transport: Transport,
    /// Whether its own task is woken after each burst for a ping.
    pub(super) is_probed: bool,
    words: SubscriberEncoder,
    state: Mutex<SubscriberState>,
}

/// How events are encoded for a subscriber.
enum SubscriberEncoder {
    Each(EventEncoder),
    Once(PollEncoder, Arc<ResponseHead>),
}

/// The task that writes to a subscriber.
///
/// ```text
///          delegate                answer                evict
///   Own ------------> Delegated ------------> Parked ------------> Evicted
///    ^ <-----------------+                     |  ^
///    |      reclaim, notify                    |  | park (the own task answered)
///    +-----------------------------------------+  |
///    |                  unpark                    |
///    +--------------------------------------------+
/// ```
///
/// Dropping the subscription evicts from every phase. [`Subscriber::transition`] is the only place that changes a
/// phase, and it keeps the counters of the fan-out task in step.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The reader's own task.
    #[default]
    Own,
    /// The fan-out task.
    Delegated,
    /// No task: a poll was answered, and the next one has not arrived. If the time is unknown, the fan-out task sets it
    /// at its next check.
    Parked { since: Option<Instant> },
    /// No task: the fan-out task no longer knows the subscriber.
    Evicted,
}

impl Phase {
    fn is_parked(self) -> bool {
        matches!(self, Self::Parked { .. })
    }

    /// Returns whether the subscriber's poll was answered: it waits for no event.
    fn is_answered(self) -> bool {
        matches!(self, Self::Parked { .. } | Self::Evicted)
    }
}

/// What the fan-out task and the reader's own task share.
#[derive(Default)]
struct SubscriberState {
    phase: Phase,
    /// Events that the fan-out task wrote and that the own task does not know of yet.
    events: u32,
    /// Everything up to this offset was delivered.
    offset: u64,
    /// When the fan-out task last wrote, until the own task learns of it.
    written: Option<Instant>,
    /// The nonce of its poll, while the fan-out task is to answer it.
    nonce: Nonce,
    /// The bytes of the last write that the socket did not accept.
    unwritten: Option<Box<Bytes>>,
}

/// A reader's registration with a fan-out task. Dropping it ends the registration.
pub(super) struct Subscription {
    fanout: Arc<Fanout>,
    subscriber: Arc<Subscriber>,
    key: usize,
}

/// A reader's side of the fan-out: its subscription, if it has one.
#[derive(Default)]
pub(crate) struct SubscriberHandle(Option<Subscription>);

/// What a fan-out task did while the reader's own task did nothing.
#[derive(Default)]
pub(crate) struct DelegatedWrites {
    /// The bytes of a write that the socket did not accept.
    pub(crate) unwritten: Option<Bytes>,
    /// Whether the reader's poll was answered.
    pub(crate) is_answered: bool,
}

impl Subscriber {
    /// Writes the batch if nothing prevents it. Otherwise, or if the socket does not accept all of it, wakes the
    /// reader's own task, which writes the rest. Returns whether anything was written.
    pub(super) fn write_or_notify(
        &self,
        batch: &FanoutBatch<'_>,
        fanout: &Fanout,
        scratch: &mut Scratch,
    ) -> bool {
        let mut state = self.state.lock();
        if state.phase.is_answered() {
            return false;
        }
        let mut is_written = false;
        if let Some(run) = batch.run
            && state.phase == Phase::Delegated
        {
            if state.offset >= run.last() {
                // The own task has read these events already.
                return false;
            }
            // A large batch is left to the own task, which writes it in parts. Otherwise, all of it would be kept for a
            // slow peer.
            is_written = run.begins_at(state.offset)
                && run.frame_bytes() <= PUMPED_BYTES_MAX
                && match self.words {
                    SubscriberEncoder::Each(_) => self.write(run, batch, &mut state, scratch),
                    SubscriberEncoder::Once(..) => {
                        self.answer(run, batch, fanout, &mut state, scratch)
                    }
                };
            if is_written && state.unwritten.is_none() {
                return true;
            }
        }
        if state.phase == Phase::Delegated {
            self.transition(fanout, &mut state, Phase::Own);
        }
        drop(state);
        self.feed_waker.notify();
        is_written
    }

    /// Wakes the own task for a ping after a burst if the subscriber gets one. Returns whether it does.
    pub(super) fn notify_for_ping(&self) -> bool {
        if self.is_probed {
            self.feed_waker.notify();
        }
        self.is_probed
    }

    fn write(
        &self,
        run: &SharedBatch,
        batch: &FanoutBatch<'_>,
        state: &mut SubscriberState,
        scratch: &mut Scratch,
    ) -> bool {
        let stream = SockRef::from(&*self.stream);
        // Write to the socket directly. The runtime would first check whether it knows the socket to be ready. If the
        // socket is not ready or is closed, the own task finds out when it tries again.
        let rest = match &self.words {
            SubscriberEncoder::Each(wording) => {
                let bytes = wording(run);
                stream.send(&bytes).ok().map(|taken| bytes.slice(taken..))
            }
            SubscriberEncoder::Once(answering, head_lines) => {
                scratch.answer.clear();
                answering(&mut scratch.answer, run, batch.cursor, &state.nonce);
                scratch.out.clear();
                head_lines.enclose(&mut scratch.out, &scratch.answer);
                let rest = |taken| Bytes::copy_from_slice(&scratch.out[taken..]);
                stream.send(&scratch.out).ok().map(rest)
            }
        };
        let Some(rest) = rest else { return false };
        state.offset = batch.cursor.offset;
        state.events = state.events.saturating_add(run.events() as u32);
        state.written = Some(batch.now);
        state.unwritten = (!rest.is_empty()).then(|| Box::new(rest));
        true
    }

    /// Answers the subscriber's poll. The subscriber stops counting as a reader before the response is written, because
    /// its client may request anything once it has the response. Its own task catches up when it is woken.
    fn answer(
        &self,
        run: &SharedBatch,
        batch: &FanoutBatch<'_>,
        fanout: &Fanout,
        state: &mut SubscriberState,
        scratch: &mut Scratch,
    ) -> bool {
        self.feed_waker.set_parked(true);
        fanout.polling.dec();
        let since = Some(batch.now);
        self.transition(fanout, state, Phase::Parked { since });
        let is_written = self.write(run, batch, state, scratch);
        if is_written {
            state.nonce = Nonce::default();
        } else {
            self.transition(fanout, state, Phase::Own);
            fanout.polling.inc();
            self.feed_waker.set_parked(false);
        }
        is_written
    }

    /// Changes the phase and keeps two counters of the fan-out task in step: its readers and its parked subscribers.
    fn transition(&self, fanout: &Fanout, state: &mut SubscriberState, next: Phase) {
        let before = std::mem::replace(&mut state.phase, next);
        let readers = &fanout.counts[self.transport as usize];
        match (before.is_answered(), next.is_answered()) {
            (false, true) => _ = readers.fetch_sub(1, Ordering::Relaxed),
            (true, false) => _ = readers.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        match (before.is_parked(), next.is_parked()) {
            (false, true) => _ = fanout.parked.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = fanout.parked.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Evicts a subscriber that has been parked since `then` or earlier, and returns whether it did. If the time is
    /// unknown, sets it to `now` instead. Notifies the own task if it does not know yet that its poll was answered.
    pub(super) fn evict_if_parked_before(
        &self,
        then: Instant,
        now: Instant,
        fanout: &Fanout,
    ) -> bool {
        let mut state = self.state.lock();
        let Phase::Parked { since } = &mut state.phase else {
            return false;
        };
        if *since.get_or_insert(now) > then {
            return false;
        }
        self.transition(fanout, &mut state, Phase::Evicted);
        let is_unknown = state.written.is_some();
        drop(state);
        if is_unknown {
            self.feed_waker.notify();
        }
        true
    }
}

impl Subscription {
    pub(super) fn new(fanout: &Arc<Fanout>, subscriber: Arc<Subscriber>, key: usize) -> Self {
        Self {
            fanout: fanout.clone(),
            subscriber,
            key,
        }
    }

    fn go(&self, state: &mut SubscriberState, next: Phase) {
        self.subscriber.transition(&self.fanout, state, next);
    }
}

impl SubscriberHandle {
    /// Reclaims the subscriber for its own task, and reports to the attachment what the fan-out task did until now.
    pub(crate) fn reclaim(&mut self, attach: &mut Attachment) -> DelegatedWrites {
        let Some(member) = &self.0 else {
            return DelegatedWrites::default();
        };
        let mut state = member.subscriber.state.lock();
        if state.phase == Phase::Delegated {
            member.go(&mut state, Phase::Own);
        }
        if !state.nonce.json().is_empty() {
            attach.set_nonce(std::mem::take(&mut state.nonce));
        }
        let at = state.written.take();
        let events = std::mem::take(&mut state.events);
        if let Some(at) = at {
            if state.phase.is_answered() {
                attach.answered_for(state.offset);
            } else {
                attach.delivered_up_to(state.offset, events, at);
            }
        }
        DelegatedWrites {
            unwritten: state.unwritten.take().map(|rest| *rest),
            is_answered: at.is_some() && state.phase.is_answered(),
        }
    }

    /// Delegates the reader to a fan-out task if that is enough for the events to come. Call this when the own task has
    /// nothing more to do.
    pub(crate) fn delegate(
        &mut self,
        fanouts: &Arc<Fanouts>,
        attach: &mut Attachment,
        stream: &Arc<TcpStream>,
        (encoder, head_lines): (FanoutEncoder, Option<&Arc<ResponseHead>>),
    ) {
        if !attach.is_delegated() {
            // The attachment left the channel of that fan-out task, and may read another one.
            self.0 = None;
        }
        let Some((channel, offset)) = attach.caught_up() else {
            if self.0.is_some() {
                attach.watch();
                // The own task looks for the events that the fan-out task was about to notify it of.
                attach.waker().notify();
                self.0 = None;
            }
            return;
        };
        if self.0.is_none() {
            if !channel.is_crowded(READERS_MIN) {
                return;
            }
            let words = match (encoder, head_lines) {
                (FanoutEncoder::Each(wording), _) => SubscriberEncoder::Each(wording),
                (FanoutEncoder::Once(answering), Some(head_lines)) => {
                    SubscriberEncoder::Once(answering, head_lines.clone())
                }
                (FanoutEncoder::Once(_), None) => return,
            };
            let subscriber = Subscriber {
                stream: stream.clone(),
                feed_waker: attach.waker().clone(),
                transport: attach.transport(),
                is_probed: attach.is_probed(),
                words,
                state: Mutex::default(),
            };
            self.0 = fanouts.join(&channel.name, subscriber);
            if self.0.is_some() {
                attach.delegate();
            }
        }
        if let Some(member) = &self.0 {
            let mut state = member.subscriber.state.lock();
            member.go(&mut state, Phase::Delegated);
            state.offset = offset;
            if let SubscriberEncoder::Once(..) = member.subscriber.words {
                state.nonce = attach.take_nonce();
            }
        }
    }

    /// Ends the registration.
    pub(crate) fn leave(&mut self) {
        self.0 = None;
    }

    /// Parks the subscriber after its own task answered its poll: it is no reader until the next poll.
    pub(crate) fn park(&mut self) {
        let Some(member) = &self.0 else { return };
        let mut state = member.subscriber.state.lock();
        if state.phase.is_answered() {
            return;
        }
        let is_first = member.fanout.parked.load(Ordering::Relaxed) == 0;
        member.go(&mut state, Phase::Parked { since: None });
        if is_first {
            // The fan-out task then arms the timer that evicts parked subscribers.
            member.fanout.feed_waker.notify();
        }
    }

    /// Unparks the subscriber for its next poll. Returns whether the fan-out task still reads its channel, so that no
    /// channel needs to be joined again.
    pub(crate) fn unpark(&mut self) -> bool {
        let Some(member) = &self.0 else { return false };
        let mut state = member.subscriber.state.lock();
        if state.phase.is_parked() {
            member.go(&mut state, Phase::Own);
            return true;
        }
        drop(state);
        self.0 = None;
        false
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let fanout = &self.fanout;
        let mut subscribers = fanout.subscribers.lock();
        let mut state = self.subscriber.state.lock();
        if state.phase.is_answered() && state.written.take().is_some() {
            // The own task does not know of the response yet, and will decrement the gauge a second time.
            fanout.polling.inc();
        }
        if state.phase == Phase::Evicted {
            return;
        }
        self.go(&mut state, Phase::Evicted);
        drop(state);
        subscribers.remove(self.key);
        if subscribers.is_empty() {
            drop(subscribers);
            fanout.feed_waker.notify();
        }
    }
}
