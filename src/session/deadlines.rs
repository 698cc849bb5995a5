//! The deadlines of one attachment: pings, probes, the end of a hold and the expiry of its credentials.
//!
//! This file keeps times. It reads no state and sends nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::hub::now_ms;
use crate::hub::wheel::Timer;
use crate::protocol::{AttachRequest, Format, Transport};

/// Delays after hello of the lone pings, which test for buffering on the path. Later ones follow every eighth
/// heartbeat, because some boxes start to hold data back late.
const PROBES_AFTER: [Duration; 3] = [
    Duration::from_millis(150),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// Heartbeats between the later probes.
const PROBE_HEARTBEATS: u32 = 8;
/// After a probe only events are sent for this long. So a box that holds data back until the next chunk becomes
/// visible.
const PROBE_QUIET: Duration = Duration::from_millis(1_200);
/// A burst ends when no event arrives for this long. A ping then shows a client that probes whether a box holds back
/// the last event.
pub(crate) const BURST_OVER_AFTER: Duration = Duration::from_secs(1);

/// The deadlines of an attachment.
#[derive(Debug)]
pub(super) struct Deadlines {
    pub(super) alarm: Timer,
    pub(super) heartbeat: Option<Duration>,
    pub(super) opened: Instant,
    pub(super) next_ping: Instant,
    probe: Option<ProbePings>,
    /// When the last event was sent, if a ping must follow it and has not been sent.
    untold: Option<Instant>,
    pub(super) held_until: Option<Instant>,
    pub(super) expires: Option<Instant>,
}

/// The pings that show a client whether a box holds back the last data.
#[derive(Clone, Copy, Debug)]
struct ProbePings {
    /// When the next lone ping is sent, regardless of other traffic.
    at: Instant,
    /// Number of lone pings sent so far.
    count: u8,
    /// Whether a fan-out task sent the last event. That task then wakes the attachment for the ping after it.
    is_by_other: bool,
}

impl Deadlines {
    pub(super) fn new(
        attach_request: &AttachRequest,
        default: Duration,
        expires_s: Option<u64>,
    ) -> Self {
        let opened = Instant::now();
        let heartbeat = attach_request
            .heartbeat_s
            .map_or(default, Duration::from_secs);
        // The first ping has a random phase, so readers that attached together do not stay together.
        let first = match attach_request.transport {
            // A hold has its own deadlines.
            Transport::Poll => heartbeat,
            Transport::Ws | Transport::Sse => {
                let phase = 0.5 + (random() % 1_000) as f64 / 2_000.0;
                heartbeat.mul_f64(phase)
            }
        };
        let mut pace = Self {
            alarm: Timer::default(),
            heartbeat: (!heartbeat.is_zero()).then_some(heartbeat),
            opened,
            next_ping: opened + first,
            probe: has_probe(attach_request).then(|| ProbePings {
                at: opened + PROBES_AFTER[0],
                count: 0,
                is_by_other: false,
            }),
            untold: None,
            held_until: None,
            expires: None,
        };
        pace.expires = expires_s.and_then(|at| pace.at_second(at));
        pace
    }

    /// Returns the instant of this Unix time in seconds. Returns `None` if the clock cannot represent it, which does
    /// not happen in practice.
    pub(super) fn at_second(&self, second: u64) -> Option<Instant> {
        let left = Duration::from_millis(second.saturating_mul(1_000).saturating_sub(now_ms()));
        self.opened.checked_add(left)
    }

    /// Returns whether a lone ping must be sent now. If so, plans the next one, and postpones the heartbeat so that
    /// only events follow this ping for a while.
    pub(super) fn probe_is_due(&mut self, now: Instant) -> bool {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.at <= now) else {
            return false;
        };
        let later = self.heartbeat.unwrap_or(PROBES_AFTER[2]) * PROBE_HEARTBEATS;
        probe.count = probe.count.saturating_add(1);
        let next = PROBES_AFTER
            .get(usize::from(probe.count))
            .map_or(probe.at + later, |after| self.opened + *after);
        probe.at = next.max(now + PROBE_QUIET);
        self.pinged(now);
        self.next_ping = self.next_ping.max(now + PROBE_QUIET);
        true
    }

    /// Returns whether a heartbeat has passed.
    pub(super) fn ping_is_due(&self, now: Instant) -> bool {
        self.heartbeat.is_some() && self.next_ping <= now
    }

    /// Returns whether a burst of events has ended without a ping after it.
    pub(super) fn tail_is_due(&self, now: Instant) -> bool {
        self.untold.is_some_and(|at| self.tail(at) <= now)
    }

    /// Returns when a ping follows the event that was sent at `at`. It is not sent during the quiet time after a
    /// probe.
    fn tail(&self, at: Instant) -> Instant {
        let pinged = self
            .heartbeat
            .and_then(|beat| self.next_ping.checked_sub(beat));
        let quiet = pinged.map(|pinged| pinged + PROBE_QUIET);
        (at + BURST_OVER_AFTER).max(quiet.unwrap_or(at))
    }

    /// Returns whether a ping follows each burst of events.
    pub(super) fn is_probed(&self) -> bool {
        self.probe.is_some()
    }

    /// Notes that events were sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.owe_ping(now, false);
    }

    /// Notes that a fan-out task sent events, the last one at `at`.
    pub(super) fn told(&mut self, at: Instant) {
        self.owe_ping(at, true);
    }

    fn owe_ping(&mut self, at: Instant, is_by_other: bool) {
        if let Some(probe) = &mut self.probe {
            probe.is_by_other = is_by_other;
            self.untold = Some(at);
        }
    }

    /// Notes that a ping was sent.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.untold = None;
        if let Some(heartbeat) = self.heartbeat {
            self.next_ping = now + heartbeat;
        }
    }

    /// Returns whether the timer for the nearest deadline is still pending.
    pub(super) fn is_armed(&self, now: Instant) -> bool {
        self.untold.is_none() && self.alarm.is_armed(now)
    }

    /// Returns the nearest deadline. While the attachment is delegated, the end of a burst is not included if a
    /// fan-out task sent the burst: that task wakes the attachment then.
    pub(super) fn nearest(&self, now: Instant, is_watched: bool) -> Instant {
        let ping = self.heartbeat.map(|_| self.next_ping);
        let far = self.opened + Duration::from_secs(u64::from(u32::MAX));
        let probe = self.probe.map(|probe| probe.at);
        let is_watched = is_watched && self.probe.is_some_and(|probe| probe.is_by_other);
        let is_left = |at: &Instant| is_watched && *at + BURST_OVER_AFTER > now;
        let tail = self.untold.filter(|at| !is_left(at));
        let tail = tail.map(|at| self.tail(at));
        [ping, probe, tail, self.held_until, self.expires]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(far)
    }
}

/// Returns whether the client requests lone pings on a transport that has a frame for them.
fn has_probe(attach_request: &AttachRequest) -> bool {
    let can_ping = match attach_request.transport {
        Transport::Ws => attach_request.format == Format::Full,
        Transport::Sse => true,
        Transport::Poll => false,
    };
    attach_request.probe && can_ping
}

/// Returns a random number that spreads things in time. Its quality does not matter.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(now_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(query: &str) -> Deadlines {
        let attach_request =
            AttachRequest::parse(Transport::Ws, Some("a"), query, None, None).unwrap();
        Deadlines::new(&attach_request, Duration::from_secs(4), None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_pinged_each_heartbeat_whatever_is_sent() {
        let mut pace = pace("");
        for _ in 0..3 {
            let at = pace.nearest(pace.opened, true);
            pace.sent(at - Duration::from_millis(100));
            pace.told(at - Duration::from_millis(50));
            assert!(pace.ping_is_due(at) && !pace.tail_is_due(at));
            pace.pinged(at);
            let next = pace.nearest(at, true);
            assert_eq!(next, at + Duration::from_secs(4));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_follows_a_burst_where_the_client_probes() {
        let mut pace = pace("probe=1");
        let opened = pace.opened;
        let after = |ms| opened + Duration::from_millis(ms);
        assert!(pace.probe_is_due(after(150)));
        // Not during the quiet time after the probe.
        pace.sent(after(200));
        assert_eq!(pace.nearest(after(200), false), after(1_350));
        // The last event counts.
        pace.sent(after(900));
        assert!(!pace.tail_is_due(after(1_899)));
        assert!(pace.tail_is_due(after(1_900)));
        pace.pinged(after(1_900));
        assert!(!pace.tail_is_due(after(9_000)), "once for each burst");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sent_a_burst_wakes_for_the_ping_after_it() {
        let mut pace = pace("probe=1");
        let opened = pace.opened;
        let after = |ms| opened + Duration::from_millis(ms);
        assert!(pace.probe_is_due(after(150)));
        pace.told(after(200));
        // So no timer is set for it, unless that was too early for the quiet time or the attachment is not delegated.
        assert!(pace.nearest(after(300), true) > after(1_350));
        assert_eq!(pace.nearest(after(1_200), true), after(1_350));
        assert_eq!(pace.nearest(after(300), false), after(1_350));
    }
}
