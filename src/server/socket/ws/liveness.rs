//! Checks whether a peer is alive: whether it answers pings and completes its messages.
//!
//! This file sends nothing and closes nothing.

use super::Socket;

impl Socket {
    /// Returns whether a large message takes longer than the write timeout.
    pub(super) fn is_slow(&self) -> bool {
        let budget = self.attach.sessions().options().write_timeout;
        let since = self.input.unfinished_since().filter(|_| !self.is_unread);
        since
            .zip(budget)
            .is_some_and(|(since, budget)| since.elapsed() > budget)
    }

    /// Returns whether the peer left a ping unanswered and sent nothing for two heartbeats. This is checked when the
    /// next ping is sent; the answer to the last ping, which arrives a round trip later, must not count as another
    /// heartbeat. A peer whose socket is not read is not silent.
    pub(super) fn is_silent(&self) -> bool {
        if self.is_unread || self.has_pending() {
            return false;
        }
        let is_asked = self.pinged.is_some_and(|pinged| pinged > self.heard);
        is_asked && self.heard.elapsed() > self.attach.silence_allowed().mul_f64(0.9)
    }
}
