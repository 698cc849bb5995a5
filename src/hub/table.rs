//! The table of channels: found, made within a cap, and, when swept, remembered by a tombstone.

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
    /// Most tombstones.
    tombstones_max: usize,
    map: HashMap<ChannelName, Arc<Channel>>,
    hasher: RandomState,
    /// Name hash to the offset up to which that channel's events are gone, and why.
    tombstones: HashMap<u64, (u64, GapReason)>,
    /// The hashes in the order in which they came.
    order: VecDeque<u64>,
    /// Of channels without a tombstone everything up to here may be gone.
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

    /// The log with which a channel of this name begins: it remembers what an earlier life forgot.
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

    /// Forgets a channel but for the offset up to which its events are gone.
    pub(super) fn bury(&mut self, name: &ChannelName, last: u64, reason: GapReason) {
        self.map.remove(name);
        let hash = self.hasher.hash_one(name);
        // An older tombstone of this name must not outlive the newer end, even where the floor covers that.
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
