//! Bells: the wake-up of a feed. A bell carries no data; it remembers that it rang, and for which channels.
//!
//! Knows no hub and no time. Rung by publishers under the append lock, silenced by the feed before it reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// Rings remembered by channel; beyond it the feed reads all of its channels, which is then the cheaper way.
const RUNG_CHANNELS_MAX: usize = 32;

/// The bell of one feed.
#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
    /// Stands beside what the feed looks at anyway: what it calls to may lie in memory that is cold.
    is_called: AtomicBool,
    is_resting: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    waker: Option<Waker>,
    rung: Rung,
}

/// Which of a feed's channels rang since it last asked, by their slot in the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rung {
    /// None.
    #[default]
    None,
    /// Exactly one.
    One(usize),
    /// These, perhaps one of them more than once.
    Some(Vec<usize>),
    /// So many that the feed reads them all.
    All,
}

impl Rung {
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

    /// Adds all that another one names.
    pub fn merge(&mut self, other: Self) {
        match other {
            Self::None => {}
            Self::One(slot) => self.add(slot),
            Self::Some(slots) => slots.into_iter().for_each(|slot| self.add(slot)),
            Self::All => *self = Self::All,
        }
    }
}

impl Bell {
    /// Remembers that a channel has something new. The waker, where one waits, is returned and must be woken
    /// once the event can be read: after the head is stored.
    #[must_use]
    pub fn ring(&self, slot: usize) -> Option<Waker> {
        let mut state = self.state.lock();
        state.rung.add(slot);
        state.waker.take()
    }

    /// Wakes the feed's owner for something beside the feed, which was stored before.
    pub fn call(&self) {
        self.is_called.store(true, Ordering::Release);
        self.nudge();
    }

    /// Whether there is something beside the feed to look at.
    pub fn is_called(&self) -> bool {
        self.is_called.load(Ordering::Acquire)
    }

    /// Whether its feed waits for nothing, though its owner does not know of that yet.
    pub fn set_resting(&self, is_resting: bool) {
        self.is_resting.store(is_resting, Ordering::Release);
    }

    /// Whether its feed waits for nothing for now.
    pub fn is_resting(&self) -> bool {
        self.is_resting.load(Ordering::Acquire)
    }

    /// Wakes the feed without anything new, so that it looks at its deadlines.
    pub fn nudge(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Registers who waits, and takes what rang since the last time. Must come before the feed reads: what
    /// rings later wakes the waker.
    pub fn silence(&self, waker: &Waker) -> Rung {
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
        let mut rung = Rung::default();
        rung.add(3);
        rung.add(3);
        assert_eq!(rung, Rung::One(3));
        rung.add(1);
        assert_eq!(rung, Rung::Some(vec![3, 1]));
        (0..=RUNG_CHANNELS_MAX).for_each(|slot| rung.add(slot));
        assert_eq!(rung, Rung::All);
    }

    #[test]
    fn a_ring_before_the_wait_is_remembered() {
        let bell = Bell::default();
        assert!(bell.ring(0).is_none(), "nobody waits yet");
        assert_eq!(bell.silence(Waker::noop()), Rung::One(0));
        assert!(bell.ring(0).is_some(), "the waiter is handed over once");
        assert!(bell.ring(0).is_none());
    }
}
