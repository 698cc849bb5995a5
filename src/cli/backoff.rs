//! How long to wait before the next try: full jitter, so that a thousand clients do not come back at once.
//!
//! Knows nothing of what is tried.

use std::time::Duration;

/// The most that the first wait may take; it doubles with each failure.
const FIRST: Duration = Duration::from_millis(500);
/// The most that any wait may take.
const LONGEST: Duration = Duration::from_secs(20);

/// The waits of a row of failures.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It went well: the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        let most = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures += 1;
        most.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() <= FIRST);
        for _ in 0..100 {
            assert!(backoff.next() <= LONGEST);
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
