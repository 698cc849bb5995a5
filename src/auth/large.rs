//! Grants that would make a session key too long. This node keeps them, and the key carries their hash.
//!
//! Another node does not know the hash, so it requests the client's credential again.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::Reach;

/// Most bytes of the kept grants. Beyond this limit, those that expire first are dropped.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a hash. 128 bits rule out collisions, by chance and by search.
const HASH_BYTES: usize = 16;
/// Approximate cost of one entry without its names, in bytes.
const ENTRY_BYTES: usize = 200;
/// Cost of one name without its characters, in bytes.
const NAME_BYTES: usize = 32;

/// The channels that a client may read, and those to which it may publish.
pub(super) type ChannelRules = (Reach, Reach);

#[derive(Debug)]
struct LargeGrant {
    reaches: Arc<ChannelRules>,
    /// Unix time in seconds at which the last key for these grants expires.
    until_s: u64,
    bytes: usize,
}

/// Large grants by hash.
#[derive(Debug, Default)]
pub(super) struct LargeGrants {
    kept: Mutex<LargeGrantTable>,
}

#[derive(Debug, Default)]
struct LargeGrantTable {
    by_hash: HashMap<String, LargeGrant>,
    bytes: usize,
}

impl LargeGrants {
    /// Keeps grants until `until_s` and returns their hash.
    pub(super) fn keep(&self, reaches: ChannelRules, until_s: u64, now_s: u64) -> String {
        let text = serde_json::to_vec(&reaches).expect("lists of texts always serialise");
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(text)[..HASH_BYTES]);
        let mut kept = self.kept.lock();
        if let Some(entry) = kept.by_hash.get_mut(&hash) {
            entry.until_s = entry.until_s.max(until_s);
            return hash;
        }
        let bytes = ENTRY_BYTES + bytes_of(&reaches.0) + bytes_of(&reaches.1);
        kept.make_room(bytes, now_s);
        kept.bytes += bytes;
        let reaches = Arc::new(reaches);
        let entry = LargeGrant {
            reaches,
            until_s,
            bytes,
        };
        kept.by_hash.insert(hash.clone(), entry);
        hash
    }

    /// Returns the grants with this hash.
    pub(super) fn find(&self, hash: &str) -> Option<Arc<ChannelRules>> {
        let kept = self.kept.lock();
        kept.by_hash.get(hash).map(|entry| entry.reaches.clone())
    }
}

impl LargeGrantTable {
    /// Drops expired grants, then those that expire first, until `bytes` more bytes are within the limit.
    fn make_room(&mut self, bytes: usize, now_s: u64) {
        if self.bytes + bytes <= KEPT_BYTES_MAX {
            return;
        }
        let mut ends: Vec<(u64, String)> = self
            .by_hash
            .iter()
            .map(|(hash, entry)| (entry.until_s, hash.clone()))
            .collect();
        ends.sort_unstable();
        for (until_s, hash) in ends {
            // Drop down to half the limit at once. Otherwise each new entry would sort all of them.
            if until_s > now_s && self.bytes + bytes <= KEPT_BYTES_MAX / 2 {
                return;
            }
            let entry = self.by_hash.remove(&hash);
            self.bytes -= entry.map_or(0, |entry| entry.bytes);
        }
    }
}

fn bytes_of(reach: &Reach) -> usize {
    match reach {
        Reach::All => 0,
        Reach::Some(names) => names.iter().map(|name| name.len() + NAME_BYTES).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(text: &str) -> ChannelRules {
        (Reach::Some(vec![text.into()]), Reach::All)
    }

    #[test]
    fn what_is_kept_is_found_by_its_hash() {
        let large = LargeGrants::default();
        let [one, again, other] = ["a", "a", "b"].map(|text| large.keep(reaches(text), 100, 0));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert_eq!(large.find(&one).as_deref(), Some(&reaches("a")));
        assert_eq!(large.find("nonsense"), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stays() {
        let large = LargeGrants::default();
        let name = "x".repeat(100_000);
        for n in 0..500_u64 {
            let hash = large.keep(reaches(&format!("{name}{n}")), 1_000 + n, 0);
            assert!(large.find(&hash).is_some());
            assert!(large.kept.lock().bytes <= KEPT_BYTES_MAX);
        }
        let kept = large.kept.lock();
        assert_eq!(
            kept.bytes,
            kept.by_hash
                .values()
                .map(|entry| entry.bytes)
                .sum::<usize>()
        );
    }
}
