//! The shutdown of a node: readers reconnect elsewhere, spread over time. Publishers are served to the end. Knows no
//! session.

use std::sync::atomic::{AtomicBool, Ordering};

/// The latest time after a bye at which clients reconnect, in milliseconds. A restart is over by then, and 10,000
/// clients make five connections per millisecond.
const SPREAD_MS: u64 = 2_000;
/// The earliest time at which clients reconnect, in milliseconds. The listener is closed at that moment.
const SPREAD_BEGINS_MS: u64 = 100;

/// Whether this node is shutting down.
#[derive(Debug, Default)]
pub struct SessionDrain {
    begun: AtomicBool,
}

impl SessionDrain {
    /// Begins the shutdown: no new readers are accepted. Publishes are accepted until the process ends.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Returns whether the shutdown has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Returns the milliseconds after which one client reconnects, from a random number.
    #[must_use]
    pub fn after_ms(random: u64) -> u64 {
        SPREAD_BEGINS_MS + random % SPREAD_MS
    }
}
