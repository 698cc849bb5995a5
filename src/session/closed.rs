//! Sessions and users that the application closed. Keys that were signed before are refused.
//!
//! Knows no session. The expiry of a key decides whether the key was signed before.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// The most ids that are remembered one by one, about 60 bytes each. Beyond this number the oldest ids are forgotten,
/// and all keys that were signed before are refused with them.
const CLOSED_MAX: usize = 100_000;

/// The times at which sessions and users were closed.
#[derive(Debug, Default)]
pub(super) struct Closed {
    times: RwLock<Times>,
}

#[derive(Debug, Default)]
struct Times {
    /// Session ids and user ids, which never look alike, with seconds since 1970.
    by_id: HashMap<Arc<str>, u64>,
    /// Every key that was signed up to this time is refused.
    floor_s: u64,
}

impl Closed {
    /// Refuses all keys that were signed for this session or user until now.
    pub(super) fn close(&self, id: &str, now_s: u64, key_lifetime_s: u64) {
        let mut times = self.times.write();
        times.by_id.insert(Arc::from(id), now_s);
        if times.by_id.len() > CLOSED_MAX {
            // No key from before this time can still be valid.
            times
                .by_id
                .retain(|_, closed_s| *closed_s + key_lifetime_s > now_s);
        }
        if times.by_id.len() > CLOSED_MAX {
            let oldest = times.by_id.values().min().copied().unwrap_or_default();
            times.floor_s = times.floor_s.max(oldest);
            times.by_id.retain(|_, closed_s| *closed_s > oldest);
        }
    }

    /// Returns whether a key with this expiry was signed before one of these ids was closed.
    pub(super) fn ends(&self, ids: [Option<&str>; 2], expires_s: u64, key_lifetime_s: u64) -> bool {
        let times = self.times.read();
        let closed_s = ids
            .into_iter()
            .flatten()
            .filter_map(|id| times.by_id.get(id));
        let closed_s = closed_s.copied().max().unwrap_or_default();
        let closed_s = closed_s.max(times.floor_s);
        closed_s > 0 && expires_s <= closed_s + key_lifetime_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_when_its_session_or_user_was_closed_after_it_was_signed() {
        let closed = Closed::default();
        let ends = |ids, signed_s: u64| closed.ends(ids, signed_s + 3_600, 3_600);
        assert!(!ends([Some("s1"), Some("ann")], 1_000));
        closed.close("s1", 2_000, 3_600);
        assert!(ends([Some("s1"), None], 1_000) && ends([Some("s1"), None], 2_000));
        assert!(!ends([Some("s1"), None], 2_001) && !ends([Some("s2"), Some("ann")], 1_000));
        closed.close("ann", 2_000, 3_600);
        assert!(ends([Some("s2"), Some("ann")], 2_000));
    }

    #[test]
    fn what_is_forgotten_ends_all_older_keys() {
        let closed = Closed::default();
        closed.close("first", 1_000, 3_600);
        (0..CLOSED_MAX).for_each(|number| closed.close(&format!("u{number}"), 2_000, 3_600));
        let ends = |ids, signed_s: u64| closed.ends(ids, signed_s + 3_600, 3_600);
        assert!(ends([Some("first"), None], 1_000));
        assert!(ends([Some("other"), None], 1_000) && !ends([Some("other"), None], 1_001));
        assert!(ends([Some("u7"), None], 2_000));
    }
}
