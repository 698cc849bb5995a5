//! One channel of the hub: its log and its readers' feed wakers.
//!
//! Knows no other channel and no offset counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use slab::Slab;

use super::SharedBatch;
use crate::hub::log::{Bounds, Log};
use crate::hub::waker::FeedWaker;
use crate::protocol::{ChannelName, Event, Reached, Transport};

/// How `reached` counts a registration.
#[derive(Clone, Debug)]
pub enum ReaderCounting {
    /// Not counted, because the reader belongs to the application that embeds the hub.
    Not,
    /// Counted as one reader of this transport.
    As(Transport),
    /// Counted as all readers that it reads for.
    All(Arc<ReaderCounts>),
}

/// Readers by transport, in the order of [`Transport::ALL`].
pub type ReaderCounts = [AtomicU32; Transport::ALL.len()];

/// One channel: its log and its readers' feed wakers.
#[derive(Debug)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    pub(super) log: Mutex<Log>,
    /// The newest events, as a reader last read them. Removed at the latest when another event is appended. Locked
    /// after the log.
    pub(super) newest: Mutex<Option<Arc<SharedBatch>>>,
    pub(super) readers: Mutex<Slab<ChannelReader>>,
}

/// The registration of a reader in a channel.
#[derive(Debug)]
pub(super) struct ChannelReader {
    pub(super) feed_waker: Arc<FeedWaker>,
    /// The channel's slot in that feed.
    pub(super) slot: usize,
    pub(super) counted: ReaderCounting,
}

impl Channel {
    pub(super) fn push(&self, event: Arc<Event>, bounds: &Bounds, time_ms: u64) {
        let mut log = self.log.lock();
        log.push(event, bounds, time_ms);
        *self.newest.lock() = None;
    }

    /// Registers one more reader. Another one must be registered already, since that keeps the channel alive.
    pub(crate) fn enter_beside(
        &self,
        feed_waker: &Arc<FeedWaker>,
        slot: usize,
        counted: ReaderCounting,
    ) -> usize {
        let feed_waker = feed_waker.clone();
        self.readers.lock().insert(ChannelReader {
            feed_waker,
            slot,
            counted,
        })
    }

    /// Returns whether the channel has at least `least` readers, or one that reads for many.
    pub(crate) fn is_crowded(&self, least: usize) -> bool {
        let readers = self.readers.lock();
        let is_many = |reader: &ChannelReader| matches!(reader.counted, ReaderCounting::All(_));
        readers.len() >= least || readers.iter().any(|(_, reader)| is_many(reader))
    }

    /// Removes a registration.
    pub(crate) fn leave(&self, key: usize) {
        let mut readers = self.readers.lock();
        readers.remove(key);
        if readers.is_empty() {
            *readers = Slab::new();
        }
    }

    pub(super) fn ring(&self, wakers: &mut Vec<Waker>) -> Reached {
        let mut reached = Reached::default();
        for (_, reader) in &*self.readers.lock() {
            wakers.extend(reader.feed_waker.wake(reader.slot));
            match &reader.counted {
                ReaderCounting::Not => {}
                ReaderCounting::As(transport) => reached.add(*transport, 1),
                ReaderCounting::All(tally) => {
                    for (transport, count) in Transport::ALL.into_iter().zip(&**tally) {
                        reached.add(transport, count.load(Ordering::Relaxed));
                    }
                }
            }
        }
        reached
    }
}
