//! An attachment that delegates its only channel to a fan-out task, for as long as it has nothing else to send.
//!
//! This file does not know how the fan-out task delivers events.

use std::sync::Arc;

use tokio::time::Instant;

use super::Attachment;
use crate::hub::waker::FeedWaker;
use crate::hub::{Channel, PagedRead};
use crate::protocol::{Event, Nonce, Transport};

impl Attachment {
    /// Returns its only channel and the offset up to which events are delivered, if it waits for nothing but the next
    /// event there.
    #[must_use]
    pub fn caught_up(&self) -> Option<(&Arc<Channel>, u64)> {
        let may_be_left = self.echo
            // A poll that shows presence must announce its own end.
            && (self.transport != Transport::Poll || self.late.is_none())
            && !self.is_replaying()
            && !self.is_parting
            && !self.sessions.drain.has_begun();
        self.feed.caught_up().filter(|_| may_be_left)
    }

    /// Makes its batches small from now on: one peer may have many such readers.
    pub(crate) fn narrow(&mut self) {
        self.feed.narrow();
    }

    /// Returns a reading of these events, which were its last batch.
    pub(crate) fn read_again(&self, events: &[Arc<Event>]) -> Option<PagedRead> {
        self.feed.read_again(events)
    }

    /// Returns the feed waker of its task.
    #[must_use]
    pub fn waker(&self) -> &Arc<FeedWaker> {
        self.feed.waker()
    }

    /// Returns the transport over which it is read.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Delegates its channel: a fan-out task receives its wake-ups, and notifies the attachment's feed waker for
    /// anything that it does not deliver itself.
    pub fn delegate(&mut self) {
        self.feed.delegate();
    }

    /// Returns whether its channel is delegated.
    #[must_use]
    pub fn is_delegated(&self) -> bool {
        self.feed.is_delegated()
    }

    /// Ends the delegation: its channel wakes its own task again.
    pub fn watch(&mut self) {
        self.feed.watch();
    }

    /// Returns whether a ping follows each burst of events.
    pub fn is_probed(&self) -> bool {
        self.pace.is_probed()
    }

    /// Notes that a fan-out task delivered `events` events up to `offset`, the last one at `at`.
    pub fn delivered_up_to(&mut self, offset: u64, events: u32, at: Instant) {
        self.feed.set_delivered_up_to(offset);
        self.sent_count += u64::from(events);
        self.pace.told(at);
    }

    /// Notes that a fan-out task answered its poll, up to `offset`, and no longer counts it as a reader. It is parked
    /// since then.
    pub fn answered_for(&mut self, offset: u64) {
        self.feed.set_delivered_up_to(offset);
        self.is_resting = true;
        self.metrics.rested();
    }

    /// Returns the nonce of its poll.
    pub(crate) fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// Takes the nonce for the task that answers the poll.
    pub(crate) fn take_nonce(&mut self) -> Nonce {
        std::mem::take(&mut self.nonce)
    }

    /// Puts back a nonce that was not used.
    pub(crate) fn set_nonce(&mut self, nonce: Nonce) {
        self.nonce = nonce;
    }
}
