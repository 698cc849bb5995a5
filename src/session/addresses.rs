//! The used part of a rate for each client address, for as long as it matters.
//!
//! This file does not know which clients are limited by address, or what a rate is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::broker::TokenBucket;
use crate::protocol::peer::client_network;

/// Most addresses whose rate is remembered, about 2 MB. Beyond it, first the idle addresses are forgotten, then all
/// of them.
const ADDRESSES_MAX: usize = 10_000;

/// The bucket of an address, shared by the publishers there.
pub(super) type SharedTokenBucket = Arc<Mutex<TokenBucket>>;

/// The buckets by address. Clients without an address share a bucket.
#[derive(Debug, Default)]
pub(super) struct AddressBuckets {
    buckets: Mutex<HashMap<Option<IpAddr>, SharedTokenBucket>>,
}

impl AddressBuckets {
    /// Returns the bucket of this address. An IPv6 address shares the bucket of its /64.
    pub(super) fn bucket(&self, address: Option<IpAddr>) -> SharedTokenBucket {
        let network = address.map(client_network);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&network) {
            let now = Instant::now();
            buckets.retain(|_, bucket| is_worth_keeping(bucket, now));
            if buckets.len() >= ADDRESSES_MAX {
                // All addresses are active right now: forget them rather than refuse one more.
                buckets.clear();
            }
        }
        buckets.entry(network).or_default().clone()
    }

    /// Forgets idle addresses.
    pub(super) fn sweep(&self, now: Instant) {
        let mut buckets = self.buckets.lock();
        buckets.retain(|_, bucket| is_worth_keeping(bucket, now));
    }
}

/// Returns whether the bucket must be kept. A publisher that holds a bucket uses it again, and must not get a second
/// one.
fn is_worth_keeping(bucket: &SharedTokenBucket, now: Instant) -> bool {
    Arc::strong_count(bucket) > 1 || !bucket.lock().is_full(now)
}
