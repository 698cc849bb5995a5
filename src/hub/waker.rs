//! Feed wakers: the wake-up of a feed. A feed waker carries no data. It remembers that it was woken, and for which
//! channels.
//!
//! Knows no hub and no time. Publishers wake it under the append lock; the feed takes the ready channels before it
//! reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// The most ready channels that are remembered one by one. Beyond it, the feed reads all its channels, which is cheaper
/// then.
const RUNG_CHANNELS_MAX: usize = 32;

/// The waker of one feed.
#[derive(Debug, Default)]
pub struct FeedWaker {
    state: Mutex<FeedWakerState>,
    /// Stored next to what the feed checks anyway: the work that it stands for may lie in memory that is not in a CPU
    /// cache.
    is_called: AtomicBool,
    is_resting: AtomicBool,
}

#[derive(Debug, Default)]
struct FeedWakerState {
    waker: Option<Waker>,
    rung: ReadyChannels,
}

/// The channels of a feed that became ready since it last took them, by their slots in the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadyChannels {
    /// No channel.
    #[default]
    None,
    /// Exactly one channel.
    One(usize),
    /// These channels; one of them may occur more than once.
    Some(Vec<usize>),
    /// So many channels that the feed reads all its channels.
    All,
}

impl ReadyChannels {
    /// Adds a channel.
    pub fn add(&mut self, slot: usize) {
        match self {
            Self::None => *self = Self::One(slot),
            Self::One(one) if *one != slot => *self = Self::Some(vec![*one, slot]),
            Self::Some(slots) if slots.len() == RUNG_CHANNELS_MAX => *self = Self::All,
            Self::Some(slots) if slots.last() != Some(&slot) => slots.push(slot),
            Self::One(_) | Self::Some(_) | Self::All => {}
        }
    }

    /// Adds all ready channels of another value.
    pub fn merge(&mut self, other: Self) {
        match other {
            Self::None => {}
            Self::One(slot) => self.add(slot),
            Self::Some(slots) => slots.into_iter().for_each(|slot| self.add(slot)),
            Self::All => *self = Self::All,
        }
    }
}

impl FeedWaker {
    /// Remembers that a channel has a new event. Returns the waker if a task waits. The caller must wake it once the
    /// event can be read, which is after the head is stored.
    #[must_use]
    pub fn wake(&self, slot: usize) -> Option<Waker> {
        let mut state = self.state.lock();
        state.rung.add(slot);
        state.waker.take()
    }

    /// Wakes the feed's owner for work outside the feed. Store that work before this call.
    pub fn call(&self) {
        self.is_called.store(true, Ordering::Release);
        self.notify();
    }

    /// Returns whether there is work outside the feed.
    pub fn is_called(&self) -> bool {
        self.is_called.load(Ordering::Acquire)
    }

    /// Sets whether the feed is parked: it waits for no event, although its owner may not know this yet.
    pub fn set_parked(&self, is_resting: bool) {
        self.is_resting.store(is_resting, Ordering::Release);
    }

    /// Returns whether the feed waits for no event at present.
    pub fn is_parked(&self) -> bool {
        self.is_resting.load(Ordering::Acquire)
    }

    /// Wakes the feed without a new event, for example to check its deadlines.
    pub fn notify(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Registers the task that waits, and returns the channels that became ready since the last call. Call this before
    /// the feed reads: every later event then wakes the task.
    pub fn take_ready(&self, waker: &Waker) -> ReadyChannels {
        let mut state = self.state.lock();
        if !state
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            state.waker = Some(waker.clone());
        }
        std::mem::take(&mut state.rung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_add_up_until_all_ring() {
        let mut rung = ReadyChannels::default();
        rung.add(3);
        rung.add(3);
        assert_eq!(rung, ReadyChannels::One(3));
        rung.add(1);
        assert_eq!(rung, ReadyChannels::Some(vec![3, 1]));
        (0..=RUNG_CHANNELS_MAX).for_each(|slot| rung.add(slot));
        assert_eq!(rung, ReadyChannels::All);
    }

    #[test]
    fn a_ring_before_the_wait_is_remembered() {
        let feed_waker = FeedWaker::default();
        assert!(feed_waker.wake(0).is_none(), "nobody waits yet");
        assert_eq!(feed_waker.take_ready(Waker::noop()), ReadyChannels::One(0));
        assert!(
            feed_waker.wake(0).is_some(),
            "the waiter is handed over once"
        );
        assert!(feed_waker.wake(0).is_none());
    }
}
