//! The timer wheel: one coarse clock that notifies feed wakers at their deadlines, so that no connection owns a timer.
//!
//! Knows feed wakers only. The owners keep their deadlines: when an owner is notified, it checks them and registers
//! again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::hub::waker::FeedWaker;

/// The wheel's step, in milliseconds: fine enough for the probe at 150 ms, and coarse enough to cost nothing.
const STEP_MS: u64 = 25;
/// Slots of the wheel: one turn of 102 s covers the longest heartbeat and the longest held poll.
const SLOTS: u64 = 4_096;

/// Notifies feed wakers at their deadlines, within one step.
#[derive(Debug)]
pub struct Wheel {
    began: Instant,
    /// The step up to which all slots were emptied.
    done: AtomicU64,
    slots: Box<[Mutex<Vec<Weak<FeedWaker>>>]>,
}

impl Default for Wheel {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| Mutex::new(Vec::new())).collect();
        Self {
            began: Instant::now(),
            done: AtomicU64::new(0),
            slots,
        }
    }
}

impl Wheel {
    /// Notifies the feed waker at `at`, or earlier if `at` is more than one turn away.
    pub fn notify_at(&self, feed_waker: &Arc<FeedWaker>, at: Instant) {
        let step = at.saturating_duration_since(self.began).as_millis() as u64 / STEP_MS + 1;
        let done = self.done.load(Ordering::Acquire);
        // At least two steps ahead: the next step may be running now.
        let step = step.clamp(done + 2, done + SLOTS - 2);
        self.slots[(step % SLOTS) as usize]
            .lock()
            .push(Arc::downgrade(feed_waker));
    }

    /// Turns the wheel while another owner holds it. Runs as one task of the hub.
    pub async fn turn(wheel: Weak<Self>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(STEP_MS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let Some(wheel) = wheel.upgrade() else { return };
            wheel.advance();
        }
    }

    fn advance(&self) {
        let now = self.began.elapsed().as_millis() as u64 / STEP_MS;
        let mut done = self.done.load(Ordering::Acquire);
        while done < now {
            done += 1;
            self.done.store(done, Ordering::Release);
            let due = std::mem::take(&mut *self.slots[(done % SLOTS) as usize].lock());
            due.iter()
                .filter_map(Weak::upgrade)
                .for_each(|feed_waker| feed_waker.notify());
        }
    }
}

/// The nearest deadline of one owner, as registered with the wheel. Registration is lazy: a deadline that only moves
/// further away costs nothing.
#[derive(Debug, Default)]
pub struct Timer {
    armed: Option<Instant>,
}

impl Timer {
    /// Returns whether a notification is still to come.
    #[must_use]
    pub fn is_armed(&self, now: Instant) -> bool {
        self.armed.is_some_and(|armed| armed > now)
    }

    /// Ensures that the feed waker is notified at `at` or earlier.
    pub fn arm(&mut self, wheel: &Wheel, feed_waker: &Arc<FeedWaker>, at: Instant, now: Instant) {
        if self.armed.is_some_and(|armed| armed > now && armed <= at) {
            return;
        }
        // A deadline beyond one turn is notified after one turn, and its owner registers it again then.
        let at = at.min(now + Duration::from_millis(STEP_MS * (SLOTS - 4)));
        self.armed = Some(at);
        wheel.notify_at(feed_waker, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    #[tokio::test(start_paused = true)]
    async fn a_bell_is_nudged_at_its_deadline_and_not_before() {
        let wheel = Arc::new(Wheel::default());
        tokio::spawn(Wheel::turn(Arc::downgrade(&wheel)));
        for wait_ms in [1, 30, 150, 15_000, 60_000] {
            let feed_waker = Arc::new(FeedWaker::default());
            let began = Instant::now();
            wheel.notify_at(&feed_waker, began + Duration::from_millis(wait_ms));
            let mut polled = 0;
            std::future::poll_fn(|cx| {
                polled += 1;
                let _ = feed_waker.take_ready(cx.waker());
                if polled == 1 {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            let waited = began.elapsed().as_millis() as u64;
            assert!(
                (wait_ms..=wait_ms + 3 * STEP_MS).contains(&waited),
                "{wait_ms}: {waited}"
            );
        }
    }
}
