//! The deadlines of one attach: pings, probes, the end of a hold, the end of its credentials.
//!
//! Keeps times; looks at nothing and sends nothing.

use std::time::Duration;

use tokio::time::Instant;

use crate::hub::now_ms;
use crate::protocol::{Opening, Transport};
use crate::wheel::Alarm;

/// The lone pings of the buffering test come this long after hello; later ones every eighth heartbeat, since some
/// boxes begin to hold late.
const PROBES_AFTER: [Duration; 3] = [
    Duration::from_millis(150),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// Heartbeats between the later probes.
const PROBE_HEARTBEATS: u32 = 8;
/// Nothing but events follows the probe for this long: a box that lags one chunk behind shows itself.
const PROBE_QUIET: Duration = Duration::from_millis(1_200);

/// The deadlines of an attach.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) alarm: Alarm,
    pub(super) heartbeat: Option<Duration>,
    pub(super) opened: Instant,
    pub(super) next_ping: Instant,
    /// When the peer's signs of life are looked at although events flow, which put pings off.
    pub(super) next_look: Instant,
    /// When the next lone ping is due, whatever else flows, and how many came before it.
    pub(super) probe: Option<(Instant, usize)>,
    pub(super) held_until: Option<Instant>,
    pub(super) expires: Option<Instant>,
}

impl Pace {
    pub(super) fn new(opening: &Opening, default: Duration, expires_s: Option<u64>) -> Self {
        let opened = Instant::now();
        let heartbeat = opening.heartbeat_s.map_or(default, Duration::from_secs);
        // The first at a random phase, so that readers that came together do not stay together.
        let first = match opening.transport {
            // A hold has its own paces.
            Transport::Poll => heartbeat,
            Transport::Ws | Transport::Sse => {
                let phase = 0.5 + (random() % 1_000) as f64 / 2_000.0;
                heartbeat.mul_f64(phase)
            }
        };
        let mut pace = Self {
            alarm: Alarm::default(),
            heartbeat: (!heartbeat.is_zero()).then_some(heartbeat),
            opened,
            next_ping: opened + first,
            next_look: opened + heartbeat,
            probe: (opening.probe && opening.transport == Transport::Sse)
                .then(|| (opened + PROBES_AFTER[0], 0)),
            held_until: None,
            expires: None,
        };
        pace.expires = expires_s.and_then(|at| pace.at_second(at));
        pace
    }

    /// The time of this second since 1970; none where it is later than any clock can say, which is never.
    pub(super) fn at_second(&self, second: u64) -> Option<Instant> {
        let left = Duration::from_secs(second.saturating_sub(now_ms() / 1_000));
        self.opened.checked_add(left)
    }

    /// Whether a lone ping is due now; the next one is planned then, and nothing but events follows this one soon.
    pub(super) fn probe_is_due(&mut self, now: Instant) -> bool {
        let Some((at, count)) = self.probe else {
            return false;
        };
        if now < at {
            return false;
        }
        let later = self.heartbeat.unwrap_or(PROBES_AFTER[2]) * PROBE_HEARTBEATS;
        let next = PROBES_AFTER
            .get(count + 1)
            .map_or(at + later, |after| self.opened + *after);
        self.probe = Some((next.max(now + PROBE_QUIET), count + 1));
        self.sent(now);
        self.next_ping = self.next_ping.max(now + PROBE_QUIET);
        true
    }

    /// Whether no ping went out for a heartbeat because events did, so that the peer must be looked at now.
    pub(super) fn look_is_due(&mut self, now: Instant) -> bool {
        let Some(heartbeat) = self.heartbeat.filter(|_| self.next_look <= now) else {
            return false;
        };
        self.next_look = now + heartbeat;
        // Where a ping is due, it looks.
        self.next_ping > now
    }

    pub(super) fn sent(&mut self, now: Instant) {
        if let Some(heartbeat) = self.heartbeat {
            self.next_ping = now + heartbeat;
        }
    }

    /// A ping goes out, which is a look too.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.sent(now);
        if let Some(heartbeat) = self.heartbeat {
            self.next_look = now + heartbeat;
        }
    }

    pub(super) fn nearest(&self) -> Instant {
        // The look comes first where events put the ping off, which a pump may have sent unseen by this task.
        let ping = self.heartbeat.map(|_| self.next_ping.min(self.next_look));
        let far = self.opened + Duration::from_secs(u64::from(u32::MAX));
        let probe = self.probe.map(|(at, _)| at);
        [ping, probe, self.held_until, self.expires]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(far)
    }
}

/// A random number for spreading things in time, where nothing depends on its quality.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(now_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(transport: Transport) -> Pace {
        let opening = Opening::parse(transport, Some("a"), "", None, None).unwrap();
        Pace::new(&opening, Duration::from_secs(4), None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_looked_at_each_heartbeat_though_others_send_for_it() {
        let mut pace = pace(Transport::Ws);
        let opened = pace.opened;
        let after = |ms| opened + Duration::from_millis(ms);
        // A pump sent, last just now; the ping is put off, the look is not.
        pace.sent(after(3_900));
        assert_eq!(pace.nearest(), after(4_000));
        assert!(!pace.look_is_due(after(3_999)));
        assert!(pace.look_is_due(after(4_000)));
        assert_eq!(pace.nearest(), after(7_900));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_peer_is_woken_for_once_a_heartbeat() {
        let mut pace = pace(Transport::Ws);
        for _ in 0..3 {
            let at = pace.nearest();
            assert_eq!(at, pace.next_ping);
            assert!(!pace.look_is_due(at), "the ping looks");
            pace.pinged(at);
            assert_eq!(pace.nearest(), at + Duration::from_secs(4));
        }
    }
}
