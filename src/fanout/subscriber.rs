//! A reader's place at a pump: where it is, and who writes for it just now.
//!
//! Whoever holds the state of a slot decides: its own task, or the pump, never both.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Load, Pump, Pumps, READERS_MIN, Scratch};
use crate::hub::Run;
use crate::hub::waker::Bell;
use crate::protocol::{Nonce, Transport};
use crate::session::Attach;
use crate::transport::response_head::Head;
use crate::transport::{Answering, Pumped, Wording};

/// Bytes of events that a pump writes; what a socket does not take of them is kept for it.
const PUMPED_BYTES_MAX: usize = 32 * 1024;

/// One reader, as its pump sees it.
pub(super) struct Slot {
    stream: Arc<TcpStream>,
    bell: Arc<Bell>,
    pub(super) transport: Transport,
    /// Whether its own task is to be woken after each burst, for a ping.
    pub(super) is_probed: bool,
    words: Words,
    state: Mutex<State>,
}

/// What is written for it.
enum Words {
    Each(Wording),
    Once(Answering, Arc<Head>),
}

/// Who writes to a subscriber.
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
/// Dropping the subscription evicts from every phase. [`Slot::transition`] is the only place that changes a phase, and
/// it keeps the counters of the fan-out in step.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The reader's own task.
    #[default]
    Own,
    /// The fan-out task.
    Delegated,
    /// Nobody: a poll was answered, and the next one has not come. The fan-out task learns the time when it looks.
    Parked { since: Option<Instant> },
    /// Nobody: the fan-out task no longer knows the subscriber.
    Evicted,
}

impl Phase {
    fn is_parked(self) -> bool {
        matches!(self, Self::Parked { .. })
    }

    /// Whether its poll was answered: it waits for no event.
    fn is_answered(self) -> bool {
        matches!(self, Self::Parked { .. } | Self::Evicted)
    }
}

/// What the fan-out task and the reader's own task share.
#[derive(Default)]
struct State {
    phase: Phase,
    /// Events that were written by the pump, and are unknown to its own task.
    events: u32,
    /// Everything up to here was told.
    offset: u64,
    /// When it was last written to by the pump, and unknown to its own task.
    written: Option<Instant>,
    /// That of its poll, while the pump is to answer it.
    nonce: Nonce,
    /// What the socket did not take of the last write.
    rest: Option<Box<Bytes>>,
}

/// A reader's place at a pump; leaves it when dropped.
pub(super) struct Member {
    pump: Arc<Pump>,
    slot: Arc<Slot>,
    key: usize,
}

/// A reader's side: whether a pump writes for it.
#[derive(Default)]
pub(crate) struct Berth(Option<Member>);

/// What a pump did while a reader's own task did nothing.
#[derive(Default)]
pub(crate) struct Risen {
    /// What is left of a write.
    pub(crate) rest: Option<Bytes>,
    /// Whether its poll was answered.
    pub(crate) is_answered: bool,
}

impl Slot {
    /// Writes, where nothing speaks against it, or else wakes the reader's own task, which writes the rest too. Whether
    /// it was written to.
    pub(super) fn take(&self, load: &Load<'_>, pump: &Pump, scratch: &mut Scratch) -> bool {
        let mut state = self.state.lock();
        if state.phase.is_answered() {
            return false;
        }
        let mut is_told = false;
        if let Some(run) = load.run
            && state.phase == Phase::Delegated
        {
            if state.offset >= run.last() {
                // It has read this by itself.
                return false;
            }
            // What is large each writes by itself, in parts: a slow one must not be left with all of it.
            is_told = run.begins_at(state.offset)
                && run.frame_bytes() <= PUMPED_BYTES_MAX
                && match self.words {
                    Words::Each(_) => self.write(run, load, &mut state, scratch),
                    Words::Once(..) => self.answer(run, load, pump, &mut state, scratch),
                };
            if is_told && state.rest.is_none() {
                return true;
            }
        }
        if state.phase == Phase::Delegated {
            self.transition(pump, &mut state, Phase::Own);
        }
        drop(state);
        self.bell.nudge();
        is_told
    }

    /// Wakes its own task for a ping after a burst, where that is wanted. Whether it is.
    pub(super) fn nudge_for_ping(&self) -> bool {
        if self.is_probed {
            self.bell.nudge();
        }
        self.is_probed
    }

    fn write(&self, run: &Run, load: &Load<'_>, state: &mut State, scratch: &mut Scratch) -> bool {
        let stream = SockRef::from(&*self.stream);
        // Past the runtime, which would look first whether it knows the socket to be ready. Where it is not, or is
        // gone, the reader's own task finds out when it tries again.
        let rest = match &self.words {
            Words::Each(wording) => {
                let bytes = wording(run);
                stream.send(&bytes).ok().map(|taken| bytes.slice(taken..))
            }
            Words::Once(answering, envelope) => {
                scratch.answer.clear();
                answering(&mut scratch.answer, run, load.cursor, &state.nonce);
                scratch.out.clear();
                envelope.enclose(&mut scratch.out, &scratch.answer);
                let rest = |taken| Bytes::copy_from_slice(&scratch.out[taken..]);
                stream.send(&scratch.out).ok().map(rest)
            }
        };
        let Some(rest) = rest else { return false };
        state.offset = load.cursor.offset;
        state.events = state.events.saturating_add(run.events() as u32);
        state.written = Some(load.now);
        state.rest = (!rest.is_empty()).then(|| Box::new(rest));
        true
    }

    /// It reads no more once it is told, and others see that at once: before its client has the answer, who may ask for
    /// anything then. Its own task takes that over when it is woken.
    fn answer(
        &self,
        run: &Run,
        load: &Load<'_>,
        pump: &Pump,
        state: &mut State,
        scratch: &mut Scratch,
    ) -> bool {
        self.bell.set_resting(true);
        pump.polling.dec();
        let since = Some(load.now);
        self.transition(pump, state, Phase::Parked { since });
        let is_told = self.write(run, load, state, scratch);
        if is_told {
            state.nonce = Nonce::default();
        } else {
            self.transition(pump, state, Phase::Own);
            pump.polling.inc();
            self.bell.set_resting(false);
        }
        is_told
    }

    /// Changes the phase. Readers count as readers, and parked ones as parked, in the fan-out's counters.
    fn transition(&self, pump: &Pump, state: &mut State, next: Phase) {
        let before = std::mem::replace(&mut state.phase, next);
        let readers = &pump.tally[self.transport as usize];
        match (before.is_answered(), next.is_answered()) {
            (false, true) => _ = readers.fetch_sub(1, Ordering::Relaxed),
            (true, false) => _ = readers.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        match (before.is_parked(), next.is_parked()) {
            (false, true) => _ = pump.resting.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = pump.resting.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Whether it rested since before then, or since nobody knows when, which is known from now on. It is told that its
    /// poll was answered, where it does not know.
    pub(super) fn cast_off(&self, then: Instant, now: Instant, pump: &Pump) -> bool {
        let mut state = self.state.lock();
        let Phase::Parked { since } = &mut state.phase else {
            return false;
        };
        if *since.get_or_insert(now) > then {
            return false;
        }
        self.transition(pump, &mut state, Phase::Evicted);
        let is_unknown = state.written.is_some();
        drop(state);
        if is_unknown {
            self.bell.nudge();
        }
        true
    }
}

impl Member {
    pub(super) fn new(pump: &Arc<Pump>, slot: Arc<Slot>, key: usize) -> Self {
        Self {
            pump: pump.clone(),
            slot,
            key,
        }
    }

    fn go(&self, state: &mut State, next: Phase) {
        self.slot.transition(&self.pump, state, next);
    }
}

impl Berth {
    /// The reader's own task goes on: what its pump did until now is taken over.
    pub(crate) fn rise(&mut self, attach: &mut Attach) -> Risen {
        let Some(member) = &self.0 else {
            return Risen::default();
        };
        let mut state = member.slot.state.lock();
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
                attach.told(state.offset, events, at);
            }
        }
        Risen {
            rest: state.rest.take().map(|rest| *rest),
            is_answered: at.is_some() && state.phase.is_answered(),
        }
    }

    /// The reader's own task has nothing more to do: what comes next is left to a pump, where that is enough.
    pub(crate) fn leave_it(
        &mut self,
        pumps: &Arc<Pumps>,
        attach: &mut Attach,
        stream: &Arc<TcpStream>,
        (pumped, envelope): (Pumped, Option<&Arc<Head>>),
    ) {
        if !attach.is_watched() {
            // It left the channel of that pump, and perhaps reads another one.
            self.0 = None;
        }
        let Some((channel, offset)) = attach.calm() else {
            if self.0.is_some() {
                attach.watch();
                // What the pump was about to nudge it for, it looks for itself.
                attach.bell().nudge();
                self.0 = None;
            }
            return;
        };
        if self.0.is_none() {
            if !channel.is_crowded(READERS_MIN) {
                return;
            }
            let words = match (pumped, envelope) {
                (Pumped::Each(wording), _) => Words::Each(wording),
                (Pumped::Once(answering), Some(envelope)) => {
                    Words::Once(answering, envelope.clone())
                }
                (Pumped::Once(_), None) => return,
            };
            let slot = Slot {
                stream: stream.clone(),
                bell: attach.bell().clone(),
                transport: attach.transport(),
                is_probed: attach.is_probed(),
                words,
                state: Mutex::default(),
            };
            self.0 = pumps.join(&channel.name, slot);
            if self.0.is_some() {
                attach.let_watch();
            }
        }
        if let Some(member) = &self.0 {
            let mut state = member.slot.state.lock();
            member.go(&mut state, Phase::Delegated);
            state.offset = offset;
            if let Words::Once(..) = member.slot.words {
                state.nonce = attach.take_nonce();
            }
        }
    }

    /// It has no place any more.
    pub(crate) fn leave(&mut self) {
        self.0 = None;
    }

    /// Its poll is answered: it is no reader until it comes back.
    pub(crate) fn rest(&mut self) {
        let Some(member) = &self.0 else { return };
        let mut state = member.slot.state.lock();
        if state.phase.is_answered() {
            return;
        }
        let is_first = member.pump.resting.load(Ordering::Relaxed) == 0;
        member.go(&mut state, Phase::Parked { since: None });
        if is_first {
            // So that it looks after some time whether this one came back.
            member.pump.bell.nudge();
        }
    }

    /// It comes back from its rest. Whether its pump still watches its channel, so that nothing is to be joined anew.
    pub(crate) fn come_back(&mut self) -> bool {
        let Some(member) = &self.0 else { return false };
        let mut state = member.slot.state.lock();
        if state.phase.is_parked() {
            member.go(&mut state, Phase::Own);
            return true;
        }
        drop(state);
        self.0 = None;
        false
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let pump = &self.pump;
        let mut slots = pump.slots.lock();
        let mut state = self.slot.state.lock();
        if state.phase.is_answered() && state.written.take().is_some() {
            // Its reader does not know, and counts itself as gone once more.
            pump.polling.inc();
        }
        if state.phase == Phase::Evicted {
            return;
        }
        self.go(&mut state, Phase::Evicted);
        drop(state);
        slots.remove(self.key);
        if slots.is_empty() {
            drop(slots);
            pump.bell.nudge();
        }
    }
}
