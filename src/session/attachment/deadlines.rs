//! What an attachment sends when a deadline passes: the end of a hold, the expiry of its credentials, or a ping.
//!
//! This file does not know how an item is written.

use std::time::Duration;

use tokio::time::Instant;

use super::{Attachment, Outgoing};
use crate::hub::now_ms;
use crate::protocol::{ByeReason, Ping, Transport};

/// Heartbeats without a sign of life after which a peer counts as gone.
const SILENT_HEARTBEATS: u32 = 2;
/// Interval between the spaces of an early poll.
const SPACE_EVERY: Duration = Duration::from_secs(1);

impl Attachment {
    /// Ends the hold of a poll after `wait`. An early poll sends spaces until then.
    pub fn hold(&mut self, wait: Duration, is_early: bool) {
        let opened = self.pace.opened;
        self.pace.held_until = Some(opened + wait);
        self.pace.heartbeat = is_early.then_some(SPACE_EVERY);
        self.pace.next_ping = opened + SPACE_EVERY;
    }

    /// Returns how long after its last sign of life a peer counts as gone.
    #[must_use]
    pub fn silence_allowed(&self) -> Duration {
        self.pace
            .heartbeat
            .unwrap_or(self.sessions.options.heartbeat)
            * SILENT_HEARTBEATS
    }

    /// Returns items that do not wait for a quiet moment: a reader that is always behind must receive them too.
    pub(super) fn urgent_outgoing(&mut self, now: Instant) -> Option<Outgoing> {
        if self.is_parting {
            return Some(self.bye(ByeReason::Drain));
        }
        if self.pace.expires.is_some_and(|expires| expires <= now) {
            return Some(self.bye(ByeReason::Expired));
        }
        // A replay sends events that lie before the cursor that a ping would carry.
        let may_ping = self.transport != Transport::Poll && !self.is_replaying();
        (may_ping && self.pace.ping_is_due(now)).then(|| self.heartbeat_outgoing(now))
    }

    fn heartbeat_outgoing(&mut self, now: Instant) -> Outgoing {
        if self.is_silent(now) {
            return self.bye(ByeReason::Silent);
        }
        self.pace.pinged(now);
        self.ping()
    }

    /// Returns a ping with the number of events sent and the current cursor.
    pub(super) fn ping(&self) -> Outgoing {
        Outgoing::Ping(Ping {
            id: self.cursor(),
            time_ms: now_ms(),
            count: self.sent_count,
        })
    }

    /// Checks the deadlines. If none has passed, arms the timer for the nearest one.
    pub(super) fn deadline_outgoing(&mut self, now: Instant) -> Option<Outgoing> {
        if self.sessions.drain.has_begun() {
            return Some(self.bye(ByeReason::Drain));
        }
        if self.pace.held_until.is_some_and(|until| until <= now) {
            return Some(Outgoing::Held(self.cursor()));
        }
        if self.pace.ping_is_due(now) {
            return Some(self.heartbeat_outgoing(now));
        }
        if self.pace.tail_is_due(now) {
            self.pace.pinged(now);
            return Some(self.ping());
        }
        let at = self.pace.nearest(now, self.feed.is_delegated());
        self.pace
            .alarm
            .arm(self.sessions.hub.wheel(), self.feed.waker(), at, now);
        None
    }

    /// Returns whether a client of an event stream that once reported over HTTP that it is alive has stopped doing
    /// so.
    fn is_silent(&self, now: Instant) -> bool {
        let heard = self.session.state.lock().heard;
        let last = heard.map(|heard| heard.max(self.pace.opened));
        let is_stream = self.transport == Transport::Sse;
        is_stream
            && last.is_some_and(|last| now.saturating_duration_since(last) > self.silence_allowed())
    }
}
