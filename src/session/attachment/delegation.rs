//! An attach whose channel somebody else watches, and tells what comes, for as long as nothing else is to be told.

use std::sync::Arc;

use tokio::time::Instant;

use super::Attach;
use crate::hub::waker::Bell;
use crate::hub::{Channel, Reading};
use crate::protocol::{Event, Nonce, Transport};

impl Attach {
    /// Its one channel, and up to where that is told, while whatever comes next there is all that it waits for.
    #[must_use]
    pub fn calm(&self) -> Option<(&Arc<Channel>, u64)> {
        let may_be_left = self.echo
            // Of a poll that shows itself each end is told.
            && (self.transport != Transport::Poll || self.late.is_none())
            && !self.is_replaying()
            && !self.is_parting
            && !self.sessions.drain.has_begun();
        self.feed.calm().filter(|_| may_be_left)
    }

    /// Its batches are small from now on: one peer may have many such readers.
    pub(crate) fn narrow(&mut self) {
        self.feed.narrow();
    }

    /// A reading of these events, which were its last batch.
    pub(crate) fn read_again(&self, events: &[Arc<Event>]) -> Option<Reading> {
        self.feed.read_again(events)
    }

    /// What wakes its task.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        self.feed.bell()
    }

    /// How it is read.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Its channel rings for somebody else from now on, who nudges its bell for whatever he does not tell himself.
    pub fn let_watch(&mut self) {
        self.feed.let_watch();
    }

    /// Whether its channel rings for somebody else.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.feed.is_watched()
    }

    /// Its channel rings for itself again.
    pub fn watch(&mut self) {
        self.feed.watch();
    }

    /// Whether a ping is to follow each burst of events.
    pub fn is_probed(&self) -> bool {
        self.pace.is_probed()
    }

    /// Everything up to here, so many events, was told by somebody else, last at this time.
    pub fn told(&mut self, offset: u64, events: u32, at: Instant) {
        self.feed.told(offset);
        self.sent_count += u64::from(events);
        self.pace.told(at);
    }

    /// Somebody else answered its poll, up to here, and counted that it reads no more: it rests since.
    pub fn answered_for(&mut self, offset: u64) {
        self.feed.told(offset);
        self.is_resting = true;
        self.metrics.rested();
    }

    /// The nonce of its poll.
    pub(crate) fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// The nonce, for whoever answers the poll.
    pub(crate) fn take_nonce(&mut self) -> Nonce {
        std::mem::take(&mut self.nonce)
    }

    /// Nobody used the nonce.
    pub(crate) fn set_nonce(&mut self, nonce: Nonce) {
        self.nonce = nonce;
    }
}
