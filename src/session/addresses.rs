//! What the clients of each address have used of a rate, as far as it is worth remembering.
//!
//! Does not know who is counted by address, nor what a rate is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::broker::Bucket;
use crate::protocol::peer::client_network;

/// Addresses whose rate is remembered; beyond it those at rest go, then all: some 2 MB.
const ADDRESSES_MAX: usize = 10_000;

/// The bucket of each address, held by whoever publishes from there.
pub(super) type SharedBucket = Arc<Mutex<Bucket>>;

/// The buckets by address; those without one share a bucket.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    buckets: Mutex<HashMap<Option<IpAddr>, SharedBucket>>,
}

impl Addresses {
    /// The bucket of this address, of the whole /64 for IPv6.
    pub(super) fn bucket(&self, address: Option<IpAddr>) -> SharedBucket {
        let network = address.map(client_network);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&network) {
            let now = Instant::now();
            buckets.retain(|_, bucket| is_worth_keeping(bucket, now));
            if buckets.len() >= ADDRESSES_MAX {
                // All of them are at it right now: forget them rather than refuse one more.
                buckets.clear();
            }
        }
        buckets.entry(network).or_default().clone()
    }

    /// Forgets addresses at rest.
    pub(super) fn sweep(&self, now: Instant) {
        let mut buckets = self.buckets.lock();
        buckets.retain(|_, bucket| is_worth_keeping(bucket, now));
    }
}

/// Whoever holds it will use it again, and must not be given another beside it.
fn is_worth_keeping(bucket: &SharedBucket, now: Instant) -> bool {
    Arc::strong_count(bucket) > 1 || !bucket.lock().is_full(now)
}
