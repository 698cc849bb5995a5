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
use crate::transport::{Answering, Envelope, Pumped, Wording};

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
    Once(Answering, Arc<dyn Envelope>),
}

/// Where a reader is, while it leaves the writing to its pump.
#[derive(Default)]
struct State {
    /// Whether its own task writes nothing for now.
    is_left: bool,
    /// Whether it is between two polls: nothing is told to it.
    is_resting: bool,
    /// Whether its pump knows it no more, since it rested for long.
    is_out: bool,
    /// Events that were written by the pump, and are unknown to its own task.
    events: u32,
    /// Everything up to here was told.
    offset: u64,
    /// When it was last written to by the pump, and unknown to its own task.
    written: Option<Instant>,
    /// When its rest began, as far as the pump saw.
    rests_since: Option<Instant>,
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
        if state.is_resting {
            return false;
        }
        let mut is_told = false;
        if let Some(run) = load.run
            && state.is_left
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
        state.is_left = false;
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
        self.rest(pump, state, Some(load.now));
        let is_told = self.write(run, load, state, scratch);
        if is_told {
            state.is_left = false;
            state.nonce = Nonce::default();
        } else {
            self.rest_no_more(pump, state);
            pump.polling.inc();
            self.bell.set_resting(false);
        }
        is_told
    }

    /// Whether it is the only one of its pump that rests.
    fn rest(&self, pump: &Pump, state: &mut State, since: Option<Instant>) -> bool {
        state.is_resting = true;
        state.rests_since = since;
        pump.tally[self.transport as usize].fetch_sub(1, Ordering::Relaxed);
        pump.resting.fetch_add(1, Ordering::Relaxed) == 0
    }

    fn rest_no_more(&self, pump: &Pump, state: &mut State) {
        state.is_resting = false;
        pump.resting.fetch_sub(1, Ordering::Relaxed);
        pump.tally[self.transport as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it rested since before then, or since nobody knows when, which is known from now on. It is told that its
    /// poll was answered, where it does not know.
    pub(super) fn cast_off(&self, then: Instant, now: Instant, pump: &Pump) -> bool {
        let mut state = self.state.lock();
        if !state.is_resting {
            return false;
        }
        if *state.rests_since.get_or_insert(now) > then {
            return false;
        }
        state.is_out = true;
        pump.resting.fetch_sub(1, Ordering::Relaxed);
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
}

impl Berth {
    /// The reader's own task goes on: what its pump did until now is taken over.
    pub(crate) fn rise(&mut self, attach: &mut Attach) -> Risen {
        let Some(member) = &self.0 else {
            return Risen::default();
        };
        let mut state = member.slot.state.lock();
        state.is_left = false;
        if !state.nonce.json().is_empty() {
            attach.set_nonce(std::mem::take(&mut state.nonce));
        }
        let at = state.written.take();
        let events = std::mem::take(&mut state.events);
        if let Some(at) = at {
            if state.is_resting {
                attach.answered_for(state.offset);
            } else {
                attach.told(state.offset, events, at);
            }
        }
        Risen {
            rest: state.rest.take().map(|rest| *rest),
            is_answered: at.is_some() && state.is_resting,
        }
    }

    /// The reader's own task has nothing more to do: what comes next is left to a pump, where that is enough.
    pub(crate) fn leave_it(
        &mut self,
        pumps: &Arc<Pumps>,
        attach: &mut Attach,
        stream: &Arc<TcpStream>,
        (pumped, envelope): (Pumped, Option<&Arc<dyn Envelope>>),
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
            state.is_left = true;
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
        if !state.is_resting && member.slot.rest(&member.pump, &mut state, None) {
            // So that it looks after some time whether this one came back.
            member.pump.bell.nudge();
        }
    }

    /// It comes back from its rest. Whether its pump still watches its channel, so that nothing is to be joined anew.
    pub(crate) fn come_back(&mut self) -> bool {
        let Some(member) = &self.0 else { return false };
        let mut state = member.slot.state.lock();
        if state.is_resting && !state.is_out {
            member.slot.rest_no_more(&member.pump, &mut state);
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
        if state.is_resting && state.written.take().is_some() {
            // Its reader does not know, and counts itself as gone once more.
            pump.polling.inc();
        }
        if !state.is_resting {
            pump.tally[self.slot.transport as usize].fetch_sub(1, Ordering::Relaxed);
        } else if !state.is_out {
            pump.resting.fetch_sub(1, Ordering::Relaxed);
        }
        if state.is_out {
            return;
        }
        state.is_out = true;
        drop(state);
        slots.remove(self.key);
        if slots.is_empty() {
            drop(slots);
            pump.bell.nudge();
        }
    }
}
