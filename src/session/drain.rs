//! Going down: readers are told to come back elsewhere, spread in time; publishers are served to the end.

use std::sync::atomic::{AtomicBool, Ordering};

/// Clients come back within this time after a bye, in milliseconds: a restart is over by then, and 10,000 of
/// them are five a millisecond.
const SPREAD_MS: u64 = 2_000;
/// None comes back sooner, in milliseconds: the listener is closed at that moment.
const SPREAD_BEGINS_MS: u64 = 100;

/// Whether this node is shutting down.
#[derive(Debug, Default)]
pub struct SessionDrain {
    begun: AtomicBool,
}

impl SessionDrain {
    /// Begins: no new readers. Publishes act until the process ends.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Milliseconds after which one client should come back, out of a random number.
    #[must_use]
    pub fn after_ms(random: u64) -> u64 {
        SPREAD_BEGINS_MS + random % SPREAD_MS
    }
}
