//! Counts the bytes of unfinished request bodies and WebSocket messages, within one limit.
//!
//! Neither stores nor reads these bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::protocol::{Code, Refusal};

/// The bytes of each body and message that are not counted. Usual publishes thus always pass, while large ones fill the
/// limit. The number of connections bounds the uncounted bytes.
pub(crate) const UNCOUNTED_BYTES: usize = 16 * 1024;
/// When a peer may retry after its bytes found no room, in seconds. Most bodies arrive within a second or two. If one
/// takes longer, its sender is slow.
const FULL_RETRY_AFTER_S: u64 = 2;

/// The memory budget of all bodies and messages that are being received or processed.
#[derive(Debug)]
pub(crate) struct InboundBudget {
    /// `None` means no limit.
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

    /// Returns the bytes held now.
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
    /// Counts this length instead of the previous one. Returns whether there is room for it. A single body or message
    /// always has room, because the allowed data may be larger than the limit.
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

    /// Counts no bytes from now on.
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

/// Returns the refusal of bytes that found no room.
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
