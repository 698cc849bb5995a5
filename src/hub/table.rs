//! The table of channels. It finds and creates channels; the caller enforces the limit on their number. A tombstone
//! remembers a swept channel.
//!
//! Knows no reader, no cursor and no lock of its own: the hub guards it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;

use super::Channel;
use crate::hub::log::Log;
use crate::protocol::{ChannelName, GapReason};

#[derive(Debug, Default)]
pub(super) struct Table {
    /// The most tombstones.
    tombstones_max: usize,
    map: HashMap<ChannelName, Arc<Channel>>,
    hasher: RandomState,
    /// Maps the hash of a name to the offset up to which that channel's events are gone, and to the reason.
    tombstones: HashMap<u64, (u64, GapReason)>,
    /// The hashes in the order in which they were added.
    order: VecDeque<u64>,
    /// For channels without a tombstone, everything up to this offset may be gone.
    floor: u64,
}

impl Table {
    pub(super) fn new(tombstones_max: usize) -> Self {
        Self {
            tombstones_max,
            ..Self::default()
        }
    }

    pub(super) fn find(&self, name: &ChannelName) -> Option<&Arc<Channel>> {
        self.map.get(name)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.map.values()
    }

    /// Returns the log with which a channel of this name begins. It remembers what an earlier channel of this name
    /// forgot.
    pub(super) fn new_log(&self, name: &ChannelName) -> Log {
        let (forgotten, reason) = self
            .tombstones
            .get(&self.hasher.hash_one(name))
            .copied()
            .unwrap_or((self.floor, GapReason::Expired));
        Log::after_forgotten(forgotten, reason)
    }

    pub(super) fn make(&mut self, name: &ChannelName) -> &Arc<Channel> {
        let log = self.new_log(name);
        self.map.entry(name.clone()).or_insert_with(|| {
            Arc::new(Channel {
                name: name.clone(),
                log: Mutex::new(log),
                newest: Mutex::default(),
                readers: Mutex::new(Slab::new()),
            })
        })
    }

    /// Removes a channel and remembers the offset up to which its events are gone.
    pub(super) fn leave_tombstone(&mut self, name: &ChannelName, last: u64, reason: GapReason) {
        self.map.remove(name);
        let hash = self.hasher.hash_one(name);
        // An older tombstone of this name must not outlive the newer one, even if the floor covers that.
        if last <= self.floor && !self.tombstones.contains_key(&hash) {
            return;
        }
        if self.tombstones.insert(hash, (last, reason)).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > self.tombstones_max
            && let Some(oldest) = self.order.pop_front()
            && let Some((offset, _)) = self.tombstones.remove(&oldest)
        {
            self.floor = self.floor.max(offset);
        }
        if self.map.capacity() > 4 * self.map.len() + 1_024 {
            self.map.shrink_to(2 * self.map.len());
        }
    }
}
