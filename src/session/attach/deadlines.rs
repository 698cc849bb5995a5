//! What an attach does when a time has come: the end of a hold or of its credentials, a ping, a look at its peer.

use std::time::Duration;

use tokio::time::Instant;

use super::{Attach, Turn};
use crate::hub::now_ms;
use crate::protocol::{ByeReason, Transport};

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
        if self.transport == Transport::Poll || !self.pace.look_is_due(now) {
            return None;
        }
        if self.is_silent(now) {
            return Some(self.bye(ByeReason::Silent));
        }
        (self.transport == Transport::Ws).then_some(Turn::Look)
    }

    /// Looks at the deadlines; arms the alarm for the nearest where none has come.
    pub(super) fn deadline_turn(&mut self, now: Instant) -> Option<Turn> {
        if self.sessions.drain.has_begun() {
            return Some(self.bye(ByeReason::Drain));
        }
        if self.pace.held_until.is_some_and(|until| until <= now) {
            return Some(Turn::Held(self.cursor()));
        }
        if self.pace.heartbeat.is_some() && self.pace.next_ping <= now {
            if self.is_silent(now) {
                return Some(self.bye(ByeReason::Silent));
            }
            self.pace.pinged(now);
            return Some(Turn::Ping(self.cursor(), now_ms()));
        }
        let at = self.pace.nearest();
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
