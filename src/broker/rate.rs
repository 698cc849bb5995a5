//! A token bucket: so many publishes a second, so many at once. Pure: the time is an argument.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Publishes per second in the long run.
    pub per_second: f64,
    /// Publishes at once after a rest.
    pub burst: f64,
}

/// What one publisher has used of its rate.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When the bucket is full again; nothing is used before the first take.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one publish, or says how long until one is there.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        match self.wait(rate, now) {
            Some(wait) => Err(wait),
            None => {
                self.charge(rate, 1.0, now);
                Ok(())
            }
        }
    }

    /// Takes what costs as much as so many publishes, within the rate or not; the next ones wait for it.
    pub fn charge(&mut self, rate: &Rate, publishes: f64, now: Instant) {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(full_at + Duration::from_secs_f64(publishes / rate.per_second));
    }

    /// How long until a publish is within the rate; `None` when it is now.
    #[must_use]
    pub fn wait(&self, rate: &Rate, now: Instant) -> Option<Duration> {
        let used = self.full_at?.saturating_duration_since(now).as_secs_f64() * rate.per_second;
        let over = used + 1.0 - rate.burst.max(1.0);
        // A millionth of a publish is rounding.
        (over > 1e-6).then(|| Duration::from_secs_f64(over / rate.per_second))
    }

    /// Whether nothing is used, so that the bucket need not be kept.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }
}

/// What a publish is charged to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meters<'a> {
    /// The publisher's own bucket; none for the application itself.
    pub own: Option<&'a Mutex<Bucket>>,
    /// The bucket of all anonymous sessions of its address, where it is one of them.
    pub address: Option<&'a Mutex<Bucket>>,
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
        let mut bucket = Bucket::default();
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
