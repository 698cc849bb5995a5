//! A token bucket: it limits the publishes per second and the size of a burst. Pure: the time is an argument.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Publishes per second in the long run.
    pub per_second: f64,
    /// Publishes in one burst after an idle time.
    pub burst: f64,
}

/// The part of its rate that one publisher has used.
#[derive(Debug, Default)]
pub struct TokenBucket {
    /// When the bucket is full again. `None` before its first use.
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// Takes one publish from the bucket.
    ///
    /// # Errors
    /// Returns the time to wait until one publish is available.
    pub fn take(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        match self.wait(rate, now) {
            Some(wait) => Err(wait),
            None => {
                self.charge(rate, 1.0, now);
                Ok(())
            }
        }
    }

    /// Charges the cost of `publishes` publishes, even beyond the rate. Later publishes wait for it.
    pub fn charge(&mut self, rate: &Rate, publishes: f64, now: Instant) {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(full_at + Duration::from_secs_f64(publishes / rate.per_second));
    }

    /// Returns how long until a publish is within the rate, or `None` if it is now.
    #[must_use]
    pub fn wait(&self, rate: &Rate, now: Instant) -> Option<Duration> {
        let used = self.full_at?.saturating_duration_since(now).as_secs_f64() * rate.per_second;
        let over = used + 1.0 - rate.burst.max(1.0);
        // A millionth of a publish is a rounding error.
        (over > 1e-6).then(|| Duration::from_secs_f64(over / rate.per_second))
    }

    /// Returns whether the bucket is unused and need not be kept.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

/// The limiters that a publish is charged to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limiters<'a> {
    /// The publisher's own bucket. `None` for the application itself.
    pub own: Option<&'a Mutex<TokenBucket>>,
    /// The bucket that all anonymous sessions of the address share, if the publisher is one of them.
    pub address: Option<&'a Mutex<TokenBucket>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate {
            per_second: 10.0,
            burst: 3.0,
        };
        let mut bucket = TokenBucket::default();
        let now = Instant::now();
        (0..3).for_each(|_| bucket.take(&rate, now).unwrap());
        let wait = bucket.take(&rate, now).unwrap_err();
        assert!((90..=110).contains(&wait.as_millis()), "{wait:?}");
        bucket
            .take(&rate, now + wait + Duration::from_millis(1))
            .unwrap();
        assert!(!bucket.is_full(now));
        assert!(bucket.is_full(now + Duration::from_secs(1)));
    }
}
