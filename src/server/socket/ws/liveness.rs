//! Whether a peer still does its part: answers pings, and ends what it began.

use super::Socket;

impl Socket {
    /// Whether a large message takes longer than a peer may take nothing.
    pub(super) fn is_slow(&self) -> bool {
        let budget = self.attach.sessions().options().write_timeout;
        let since = self.input.unfinished_since().filter(|_| !self.is_unread);
        since
            .zip(budget)
            .is_some_and(|(since, budget)| since.elapsed() > budget)
    }

    /// Whether the peer left a ping unanswered and was heard of no more for two heartbeats. Looked at when the next
    /// ping is due, so that the answer to the last one, a round trip later, must not pass for a heartbeat more. A peer
    /// that is not read cannot be heard: that is no silence of its own.
    pub(super) fn is_silent(&self) -> bool {
        if self.is_unread || self.has_pending() {
            return false;
        }
        let is_asked = self.pinged.is_some_and(|pinged| pinged > self.heard);
        is_asked && self.heard.elapsed() > self.attach.silence_allowed().mul_f64(0.9)
    }
}
