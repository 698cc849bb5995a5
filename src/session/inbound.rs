//! Counts the bytes of request bodies and WebSocket messages that have not ended, within one bound.
//!
//! Holds and reads none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::protocol::{Code, Refusal};

/// Of each body and message so much is not counted, so that usual publishes go through while large ones fill the
/// bound. The number of connections bounds it.
pub(crate) const UNCOUNTED_BYTES: usize = 16 * 1024;
/// When a peer whose bytes found no room may come again, in seconds: a body takes a second or two, or its sender is
/// the one that is slow.
const FULL_RETRY_AFTER_S: u64 = 2;

/// The memory of all bodies and messages that are on their way or being acted on.
#[derive(Debug)]
pub(crate) struct InboundBudget {
    /// `None` is no bound.
    most: Option<usize>,
    held: AtomicUsize,
}

/// Keeps bytes counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InboundPermit {
    inbound: Arc<InboundBudget>,
    bytes: usize,
}

impl InboundBudget {
    pub(crate) fn new(most: Option<usize>) -> Arc<Self> {
        let held = AtomicUsize::new(0);
        Arc::new(Self { most, held })
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Begins to count one body or message.
    pub(crate) fn begin(self: &Arc<Self>) -> InboundPermit {
        let inbound = self.clone();
        InboundPermit { inbound, bytes: 0 }
    }
}

impl InboundPermit {
    /// Counts this length instead of the one before. Whether there is room for it: there always is for one that is
    /// alone, since data may be allowed that is larger than the bound.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let (held, counted) = (&self.inbound.held, bytes.saturating_sub(UNCOUNTED_BYTES));
        if counted <= self.bytes {
            held.fetch_sub(self.bytes - counted, Ordering::Relaxed);
            self.bytes = counted;
            return true;
        }
        let more = counted - self.bytes;
        let before = held.fetch_add(more, Ordering::Relaxed);
        let is_alone = before == self.bytes;
        self.bytes = counted;
        is_alone || before + more <= self.inbound.most.unwrap_or(usize::MAX)
    }

    /// Counts nothing from now on.
    pub(crate) fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.inbound.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for InboundPermit {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The refusal of what found no room.
pub(crate) fn full() -> Refusal {
    Refusal::passing(
        Code::TooManyBodies,
        "too many bytes of request bodies and messages are in flight (--bodies-total)",
        FULL_RETRY_AFTER_S,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_they_are_given_back() {
        let inbound = InboundBudget::new(Some(100));
        let (mut one, mut other) = (inbound.begin(), inbound.begin());
        assert!(one.set(UNCOUNTED_BYTES), "none of these are counted");
        assert_eq!(inbound.held(), 0);
        assert!(one.set(UNCOUNTED_BYTES + 500), "it is alone");
        assert!(!other.set(UNCOUNTED_BYTES + 1));
        other.give_back();
        assert!(one.set(UNCOUNTED_BYTES + 60), "it may shrink");
        assert!(other.set(UNCOUNTED_BYTES + 40));
        assert_eq!(inbound.held(), 100);
        assert!(!other.set(UNCOUNTED_BYTES + 41));
        drop((one, other));
        assert_eq!(inbound.held(), 0);
    }
}
