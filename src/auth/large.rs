//! Grants that would make a session key too long. This node keeps them, and the key carries their hash.
//!
//! Another node does not know the hash, so it requests the client's credential again.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Grants, Reach};

/// Most bytes of the kept grants. Beyond this limit, those that expire first are dropped.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a hash. 128 bits rule out collisions, by chance and by search.
const HASH_BYTES: usize = 16;
/// Approximate cost of one entry without its names, in bytes.
const ENTRY_BYTES: usize = 200;
/// Cost of one name without its characters, in bytes.
const NAME_BYTES: usize = 32;

/// The parts of grants that may be large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LargeParts {
    pub(super) read: Reach,
    pub(super) publish: Reach,
    pub(super) info: Option<Arc<str>>,
}

impl Grants {
    /// Takes the large parts. What is left reaches nothing.
    pub(super) fn take_parts(&mut self) -> LargeParts {
        let nothing = || Reach::Some(Vec::new());
        LargeParts {
            read: std::mem::replace(&mut self.read, nothing()),
            publish: std::mem::replace(&mut self.publish, nothing()),
            info: self.info.take(),
        }
    }

    pub(super) fn put_parts(&mut self, parts: &LargeParts) {
        let LargeParts {
            read,
            publish,
            info,
        } = parts.clone();
        (self.read, self.publish, self.info) = (read, publish, info);
    }
}

#[derive(Debug)]
struct LargeGrant {
    parts: Arc<LargeParts>,
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
    pub(super) fn keep(&self, parts: LargeParts, until_s: u64, now_s: u64) -> String {
        let text = serde_json::to_vec(&parts).expect("lists of texts always serialize");
        let hash = BASE64URL_NOPAD.encode(&Sha256::digest(text)[..HASH_BYTES]);
        let mut kept = self.kept.lock();
        if let Some(entry) = kept.by_hash.get_mut(&hash) {
            entry.until_s = entry.until_s.max(until_s);
            return hash;
        }
        let bytes = ENTRY_BYTES + bytes_of(&parts);
        kept.make_room(bytes, now_s);
        kept.bytes += bytes;
        let parts = Arc::new(parts);
        let entry = LargeGrant {
            parts,
            until_s,
            bytes,
        };
        kept.by_hash.insert(hash.clone(), entry);
        hash
    }

    /// Returns the grants with this hash.
    pub(super) fn find(&self, hash: &str) -> Option<Arc<LargeParts>> {
        let kept = self.kept.lock();
        kept.by_hash.get(hash).map(|entry| entry.parts.clone())
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

fn bytes_of(parts: &LargeParts) -> usize {
    let names = |reach: &Reach| match reach {
        Reach::All => 0,
        Reach::Some(names) => names.iter().map(|name| name.len() + NAME_BYTES).sum(),
    };
    names(&parts.read) + names(&parts.publish) + parts.info.as_ref().map_or(0, |info| info.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> LargeParts {
        LargeParts {
            read: Reach::Some(vec![text.into()]),
            publish: Reach::All,
            info: None,
        }
    }

    #[test]
    fn what_is_kept_is_found_by_its_hash() {
        let large = LargeGrants::default();
        let [one, again, other] = ["a", "a", "b"].map(|text| large.keep(parts(text), 100, 0));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert_eq!(large.find(&one).as_deref(), Some(&parts("a")));
        assert_eq!(large.find("nonsense"), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stays() {
        let large = LargeGrants::default();
        let name = "x".repeat(100_000);
        for n in 0..500_u64 {
            let hash = large.keep(parts(&format!("{name}{n}")), 1_000 + n, 0);
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
