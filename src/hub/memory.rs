//! The hub's memory stays bounded: channels within their cap, idle ones swept, the largest logs giving first.

use std::collections::BinaryHeap;
use std::sync::Arc;

use super::{Channel, ChannelReader, HubState};
use crate::protocol::{ChannelName, Code, GapReason, Owner, Refusal};

/// How far below its bound the memory of all logs is brought, as a fraction of it: so that it is not full
/// again at the next event.
const SHRINK_FRACTION: usize = 16;

/// When a reader or publisher that found no room may come again, in seconds: the next sweep has been then.
const FULL_RETRY_AFTER_S: u64 = super::SWEEP_EVERY.as_secs();

impl HubState {
    /// The channel of this name, made where there is none yet and room for it. Under the append lock.
    pub(super) fn channel(&self, name: &ChannelName) -> Result<Arc<Channel>, Refusal> {
        if let Some(channel) = self.channels.read().find(name) {
            return Ok(channel.clone());
        }
        let mut channels = self.channels.write();
        self.room_for(&mut channels, name)?;
        Ok(channels.make(name).clone())
    }

    /// Registers a reader in the channel of this name. Under the table's lock, so that no sweep comes between.
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
        // The append lock too, since making room may sweep.
        let _counter = self.counter.lock();
        let mut channels = self.channels.write();
        self.room_for(&mut channels, name)?;
        let channel = channels.make(name);
        Ok((channel.clone(), channel.readers.lock().insert(reader)))
    }

    /// Sees to it that there is room for one more channel. Companions of presence that nobody reads give way first:
    /// they are made by showing oneself, which needs no right to publish.
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

    /// The names of all channels, in no order.
    #[must_use]
    pub fn channel_names(&self) -> Vec<ChannelName> {
        let channels = self.channels.read();
        channels.all().map(|channel| channel.name.clone()).collect()
    }

    /// How many channels there are.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.channels.read().len()
    }

    /// Bytes held by all events, encoded forms counted.
    #[must_use]
    pub fn history_bytes(&self) -> usize {
        self.ledger.bytes()
    }

    /// Sweeps channels without readers whose events are all too old, or that never had any.
    pub fn sweep(&self, now_ms: u64) {
        let idle: Vec<Arc<Channel>> = self
            .channels
            .read()
            .all()
            // Whoever was to share a run has read it by now.
            .inspect(|channel| {
                *channel.newest.lock() = None;
                channel.log.lock().let_go();
            })
            .filter(|channel| self.is_idle(channel, now_ms))
            .cloned()
            .collect();
        for channel in idle {
            // Under the append lock, and looked at again: nobody may have come, nothing may have been appended.
            let _counter = self.counter.lock();
            let mut channels = self.channels.write();
            if self.is_idle(&channel, now_ms) {
                let log = channel.log.lock();
                // An empty log has given everything already; what is left of any other is too old.
                let reason = if log.is_empty() {
                    log.reason()
                } else {
                    GapReason::Expired
                };
                channels.leave_tombstone(&channel.name, log.last(), reason);
            }
        }
        // Reading encodes events in further forms, which count.
        self.shrink();
    }

    fn is_idle(&self, channel: &Channel, now_ms: u64) -> bool {
        if !channel.readers.lock().is_empty() {
            return false;
        }
        match (channel.log.lock().newest_ms(), self.options.history_age) {
            (None, _) => true,
            // What presence told is worth no more than a change of transport takes: who comes later asks who is here.
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

    /// Where all logs together hold too much, the largest give first: each time its older half, and the newest
    /// events only when no log has anything else to give.
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
            // To the target too: with one large event in each of many channels, all of them would be looked at
            // again at the next one.
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
