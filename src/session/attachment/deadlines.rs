//! What an attach does when a time has come: the end of a hold or of its credentials, or a ping.

use std::time::Duration;

use tokio::time::Instant;

use super::{Attach, Turn};
use crate::hub::now_ms;
use crate::protocol::{ByeReason, Ping, Transport};

/// Heartbeats without a sign of life after which a peer is taken for gone.
const SILENT_HEARTBEATS: u32 = 2;
/// How often an early poll sends a space.
const SPACE_EVERY: Duration = Duration::from_secs(1);

impl Attach {
    /// Ends the hold of a poll after this time; an early one sends spaces until then.
    pub fn hold(&mut self, wait: Duration, is_early: bool) {
        let opened = self.pace.opened;
        self.pace.held_until = Some(opened + wait);
        self.pace.heartbeat = is_early.then_some(SPACE_EVERY);
        self.pace.next_ping = opened + SPACE_EVERY;
    }

    /// How long after the last sign of life a peer is taken for gone.
    #[must_use]
    pub fn silence_allowed(&self) -> Duration {
        self.pace
            .heartbeat
            .unwrap_or(self.sessions.options.heartbeat)
            * SILENT_HEARTBEATS
    }

    /// What does not wait until nothing flows: a reader that is always behind must hear of it too.
    pub(super) fn urgent_turn(&mut self, now: Instant) -> Option<Turn> {
        if self.is_parting {
            return Some(self.bye(ByeReason::Drain));
        }
        if self.pace.expires.is_some_and(|expires| expires <= now) {
            return Some(self.bye(ByeReason::Expired));
        }
        // A replay tells what lies before the cursor that a ping would name.
        let may_ping = self.transport != Transport::Poll && !self.is_replaying();
        (may_ping && self.pace.ping_is_due(now)).then(|| self.heartbeat_turn(now))
    }

    fn heartbeat_turn(&mut self, now: Instant) -> Turn {
        if self.is_silent(now) {
            return self.bye(ByeReason::Silent);
        }
        self.pace.pinged(now);
        self.ping()
    }

    /// Says how much was sent, and up to where.
    pub(super) fn ping(&self) -> Turn {
        Turn::Ping(Ping {
            id: self.cursor(),
            time_ms: now_ms(),
            count: self.sent_count,
        })
    }

    /// Looks at the deadlines; arms the alarm for the nearest where none has come.
    pub(super) fn deadline_turn(&mut self, now: Instant) -> Option<Turn> {
        if self.sessions.drain.has_begun() {
            return Some(self.bye(ByeReason::Drain));
        }
        if self.pace.held_until.is_some_and(|until| until <= now) {
            return Some(Turn::Held(self.cursor()));
        }
        if self.pace.ping_is_due(now) {
            return Some(self.heartbeat_turn(now));
        }
        if self.pace.tail_is_due(now) {
            self.pace.pinged(now);
            return Some(self.ping());
        }
        let at = self.pace.nearest(now, self.feed.is_watched());
        self.pace
            .alarm
            .arm(self.sessions.hub.wheel(), self.feed.bell(), at, now);
        None
    }

    /// Whether an event stream's client, which once said over HTTP that it lives, said so no more.
    fn is_silent(&self, now: Instant) -> bool {
        let heard = self.session.state.lock().heard;
        let last = heard.map(|heard| heard.max(self.pace.opened));
        let is_stream = self.transport == Transport::Sse;
        is_stream
            && last.is_some_and(|last| now.saturating_duration_since(last) > self.silence_allowed())
    }
}
