//! What was revoked: users, sessions and single credentials. Every request is compared with it.
//!
//! A revocation is a fact. That open readers end is only its consequence, which this file does not know.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::auth::Grants;

/// The most revocations of each kind, about 80 bytes each. Beyond it, the oldest are forgotten, and everything that was
/// issued before them is refused.
const REVOCATIONS_MAX: usize = 100_000;

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// All sessions and credentials of a user that were made up to now.
    User(&'a str),
    /// One session, by its id.
    Session(&'a str),
    /// One credential, by its `jti`, with the sessions made from it.
    Credential(&'a str),
}

/// The revocations of a node.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    /// Most hubs never revoke, so most requests read only this.
    is_used: AtomicBool,
    facts: RwLock<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    users: Kind,
    sessions: Kind,
    credentials: Kind,
}

/// The revocations of one kind.
#[derive(Debug, Default)]
struct Kind {
    by_id: HashMap<Arc<str>, Fact>,
    /// Everything that was issued up to this time, in ms since 1970, is refused.
    floor_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Fact {
    /// Both in ms since 1970.
    at_ms: u64,
    until_ms: u64,
}

impl Revocations {
    /// Revokes what was issued up to `at_ms`. The fact is kept until `until_ms`. Both are in ms since 1970.
    pub(super) fn add(&self, subject: Subject<'_>, at_ms: u64, until_ms: u64) {
        let mut facts = self.facts.write();
        let (kind, id) = match subject {
            Subject::User(id) => (&mut facts.users, id),
            Subject::Session(id) => (&mut facts.sessions, id),
            Subject::Credential(id) => (&mut facts.credentials, id),
        };
        kind.add(id, Fact { at_ms, until_ms });
        self.is_used.store(true, Ordering::Release);
    }

    /// Returns whether a credential with these grants was revoked, or a session key made from it.
    pub(super) fn include(&self, grants: &Grants) -> bool {
        if !self.is_used.load(Ordering::Acquire) {
            return false;
        }
        let facts = self.facts.read();
        // A credential without a time counts as old.
        let issued_ms = grants.issued_ms().unwrap_or(0);
        let includes =
            |kind: &Kind, id: Option<&str>| id.is_some_and(|id| kind.includes(id, issued_ms));
        includes(&facts.users, grants.user())
            || includes(&facts.credentials, grants.credential_id())
    }

    /// Returns whether a session was revoked, whose key was signed at this time, in ms since 1970.
    pub(super) fn include_session(&self, id: &str, signed_ms: u64) -> bool {
        self.is_used.load(Ordering::Acquire) && self.facts.read().sessions.includes(id, signed_ms)
    }
}

impl Kind {
    fn add(&mut self, id: &str, fact: Fact) {
        self.by_id.insert(Arc::from(id), fact);
        if self.by_id.len() > REVOCATIONS_MAX {
            self.by_id.retain(|_, other| other.until_ms > fact.at_ms);
        }
        if self.by_id.len() > REVOCATIONS_MAX {
            let oldest = self.by_id.values().map(|fact| fact.at_ms).min();
            self.floor_ms = self.floor_ms.max(oldest.unwrap_or_default());
            self.by_id.retain(|_, fact| fact.at_ms > self.floor_ms);
        }
    }

    fn includes(&self, id: &str, issued_ms: u64) -> bool {
        let at_ms = self
            .by_id
            .get(id)
            .map_or(0, |fact| fact.at_ms)
            .max(self.floor_ms);
        at_ms > 0 && issued_ms <= at_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER_MS: u64 = 1_000_000;

    fn grants(user: &str, issued_s: Option<u64>, id: Option<&str>) -> Grants {
        Grants::everything()
            .with_user(user)
            .unwrap()
            .issued(issued_s, id)
    }

    #[test]
    fn what_was_issued_up_to_a_revocation_is_included() {
        let revocations = Revocations::default();
        let ann = |issued_s| grants("ann", issued_s, Some("j1"));
        assert!(!revocations.include(&ann(Some(1))));
        revocations.add(Subject::User("ann"), 2_000, LATER_MS);
        assert!(revocations.include(&ann(Some(1))) && revocations.include(&ann(Some(2))));
        assert!(
            revocations.include(&ann(None)),
            "without a time it counts as old"
        );
        assert!(
            !revocations.include(&ann(Some(3))) && !revocations.include(&grants("bob", None, None))
        );
        revocations.add(Subject::Credential("j1"), 9_000, LATER_MS);
        assert!(
            revocations.include(&ann(Some(3)))
                && revocations.include(&grants("bob", Some(3), Some("j1")))
        );
        assert!(!revocations.include(&grants("ann", Some(3), Some("j2"))));
        revocations.add(Subject::Session("s1"), 5_000, LATER_MS);
        assert!(
            revocations.include_session("s1", 5_000) && !revocations.include_session("s1", 5_001)
        );
        assert!(!revocations.include_session("s2", 1));
    }

    #[test]
    fn what_is_forgotten_refuses_everything_older() {
        let revocations = Revocations::default();
        revocations.add(Subject::User("first"), 1_000, LATER_MS);
        (0..REVOCATIONS_MAX).for_each(|number| {
            revocations.add(Subject::User(&format!("u{number}")), 2_000, LATER_MS);
        });
        assert!(revocations.include(&grants("first", Some(1), None)));
        assert!(
            revocations.include(&grants("other", Some(1), None)),
            "older than what was forgotten"
        );
        assert!(!revocations.include(&grants("other", Some(2), None)));
        assert!(revocations.include(&grants("u0", Some(2), None)));
    }
}
