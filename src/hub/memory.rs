//! Bounds the hub's memory: caps the channels, sweeps idle ones and shrinks the largest logs first.

use std::collections::BinaryHeap;
use std::sync::Arc;

use super::{Channel, ChannelReader, HubState};
use crate::protocol::{ChannelName, Code, GapReason, Owner, Refusal};

/// How far shrinking goes below the limit, as a fraction of the limit. Otherwise the next event would reach the limit
/// again.
const SHRINK_FRACTION: usize = 16;

/// Seconds after which a reader or publisher may retry when there is no room. The next sweep has run by then.
const FULL_RETRY_AFTER_S: u64 = super::SWEEP_EVERY.as_secs();

impl HubState {
    /// Returns the channel with this name. Creates it if there is room. The caller holds the append lock.
    pub(super) fn channel(&self, name: &ChannelName) -> Result<Arc<Channel>, Refusal> {
        if let Some(channel) = self.channels.read().find(name) {
            return Ok(channel.clone());
        }
        let mut channels = self.channels.write();
        self.room_for(&mut channels, name)?;
        Ok(channels.make(name).clone())
    }

    /// Registers a reader in the channel with this name. Holds the table's lock, which keeps a sweep out.
    pub(super) fn enter(
        &self,
        name: &ChannelName,
        reader: ChannelReader,
    ) -> Result<(Arc<Channel>, usize), Refusal> {
        {
            let channels = self.channels.read();
            if let Some(channel) = channels.find(name) {
                return Ok((channel.clone(), channel.readers.lock().insert(reader)));
            }
        }
        // Hold the append lock too: making room may sweep.
        let _counter = self.counter.lock();
        let mut channels = self.channels.write();
        self.room_for(&mut channels, name)?;
        let channel = channels.make(name);
        Ok((channel.clone(), channel.readers.lock().insert(reader)))
    }

    /// Makes room for one more channel. Presence channels without readers are removed first: a session creates them by
    /// being present, which needs no right to publish.
    fn room_for(&self, channels: &mut super::Table, name: &ChannelName) -> Result<(), Refusal> {
        let Some(most) = self.options.hub_channels else {
            return Ok(());
        };
        if channels.len() < most || channels.find(name).is_some() {
            return Ok(());
        }
        let unread =
            |channel: &&Arc<Channel>| is_companion(channel) && channel.readers.lock().is_empty();
        let gone: Vec<Arc<Channel>> = channels.all().filter(unread).cloned().collect();
        for channel in gone {
            let last = channel.log.lock().last();
            channels.leave_tombstone(&channel.name, last, GapReason::Evicted);
        }
        if channels.len() < most {
            return Ok(());
        }
        Err(Refusal::passing(
            Code::TooManyChannels,
            "the hub has reached its limit of channels (--hub-channels)",
            FULL_RETRY_AFTER_S,
        ))
    }

    /// Returns the names of all channels, in no particular order.
    #[must_use]
    pub fn channel_names(&self) -> Vec<ChannelName> {
        let channels = self.channels.read();
        channels.all().map(|channel| channel.name.clone()).collect()
    }

    /// Returns the number of channels.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.channels.read().len()
    }

    /// Returns the bytes that all events hold, including their encoded forms.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        self.ledger.bytes()
    }

    /// Sweeps channels that have no readers and whose events are all too old. Also sweeps those that never had events.
    pub fn sweep(&self, now_ms: u64) {
        let idle: Vec<Arc<Channel>> = self
            .channels
            .read()
            .all()
            // Every reader that could share this batch has read it by now.
            .inspect(|channel| {
                *channel.newest.lock() = None;
                channel.log.lock().let_go();
            })
            .filter(|channel| self.is_idle(channel, now_ms))
            .cloned()
            .collect();
        for channel in idle {
            // Check again under the append lock: a reader may have joined, or an event may have been appended.
            let _counter = self.counter.lock();
            let mut channels = self.channels.write();
            if self.is_idle(&channel, now_ms) {
                let log = channel.log.lock();
                // An empty log has already dropped everything. The events left in any other log are too old.
                let reason = if log.is_empty() {
                    log.reason()
                } else {
                    GapReason::Expired
                };
                channels.leave_tombstone(&channel.name, log.last(), reason);
            }
        }
        // Readers encode events in further forms, which count towards the limit.
        self.shrink();
    }

    fn is_idle(&self, channel: &Channel, now_ms: u64) -> bool {
        if !channel.readers.lock().is_empty() {
            return false;
        }
        match (channel.log.lock().newest_ms(), self.options.history_age) {
            (None, _) => true,
            // Presence events are kept only as long as a change of transport takes. A later reader requests the
            // members.
            (Some(newest_ms), _) if is_companion(channel) => {
                newest_ms.saturating_add(self.options.sweep_idle.as_millis() as u64) < now_ms
            }
            (Some(_), None) => false,
            (Some(newest_ms), Some(age)) => {
                let keep_ms = age.max(self.options.sweep_idle).as_millis() as u64;
                newest_ms.saturating_add(keep_ms) < now_ms
            }
        }
    }

    /// Shrinks the largest logs first while all logs together hold too much. Each step drops the older half of a log.
    /// Drops the newest events only when no log has any others.
    pub(crate) fn shrink(&self) {
        let Some(most) = self.options.history_total else {
            return;
        };
        if self.ledger.bytes() <= most {
            return;
        }
        let Some(_one_at_a_time) = self.shrinking.try_lock() else {
            return;
        };
        let target = most - most / SHRINK_FRACTION;
        let mut sizes: BinaryHeap<(usize, usize)> = BinaryHeap::new();
        let channels: Vec<Arc<Channel>> = self.channels.read().all().cloned().collect();
        channels
            .iter()
            .for_each(|channel| *channel.newest.lock() = None);
        sizes.extend(
            channels
                .iter()
                .enumerate()
                .map(|(index, channel)| (channel.log.lock().held_bytes(), index)),
        );
        while self.ledger.bytes() > target
            && let Some((_, index)) = sizes.pop()
        {
            let mut log = channels[index].log.lock();
            if log.forget_half() {
                sizes.push((log.held_bytes(), index));
            }
        }
        for channel in &channels {
            // Go down to the target here too. With one large event in each of many channels, the next event would
            // otherwise examine all channels again.
            if self.ledger.bytes() <= target {
                return;
            }
            channel.log.lock().forget_all();
        }
    }
}

fn is_companion(channel: &Channel) -> bool {
    matches!(channel.name.owner(), Owner::Presence(_))
}
