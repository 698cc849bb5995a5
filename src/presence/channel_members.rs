//! The members of one channel: its sessions, and the users that they belong to.
//!
//! Others see a user once, with the number of its connections, and a session without a user by itself. Knows no
//! length of a grace period.

use std::collections::HashMap;
use std::sync::Arc;

use super::member::{Entry, Member};

/// The sessions and users that a channel shows.
#[derive(Debug, Default)]
pub(super) struct ChannelMembers {
    sessions: HashMap<Arc<str>, Entry>,
    users: HashMap<Box<str>, UserEntry>,
    /// The number of sessions without a user.
    sessions_alone: usize,
}

/// A user, as others see it.
#[derive(Debug)]
struct UserEntry {
    /// The membership of its first session, which orders the list.
    membership: u64,
    member: Arc<Member>,
}

impl ChannelMembers {
    /// Returns the number of members as others see them.
    pub(super) fn count(&self) -> usize {
        self.users.len() + self.sessions_alone
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.sessions.contains_key(id)
    }

    pub(super) fn session_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.sessions.get_mut(id)
    }

    /// Adds a session. Returns the member that joined, unless it is one more connection of a user who is present.
    pub(super) fn add(&mut self, id: Arc<str>, entry: Entry) -> Option<Arc<Member>> {
        let (membership, member) = (entry.membership, entry.member.clone());
        self.sessions.insert(id, entry);
        let Some(user) = member.user() else {
            self.sessions_alone += 1;
            return Some(member);
        };
        if let Some(known) = self.users.get_mut(user) {
            known.member = Arc::new(known.member.with_connections(1));
            return None;
        }
        let shown = Arc::new(member.as_user());
        let entry = UserEntry {
            membership,
            member: shown.clone(),
        };
        self.users.insert(user.into(), entry);
        Some(shown)
    }

    /// Removes a session. Returns its id, and the member that left, unless the user has other connections.
    pub(super) fn remove(&mut self, id: &str) -> Option<(Arc<str>, Option<Arc<Member>>)> {
        let (id, entry) = self.sessions.remove_entry(id)?;
        let Some(user) = entry.member.user() else {
            self.sessions_alone -= 1;
            return Some((id, Some(entry.member)));
        };
        let known = self.users.get_mut(user)?;
        if known.member.connections() > 1 {
            known.member = Arc::new(known.member.with_connections(-1));
            return Some((id, None));
        }
        let left = self.users.remove(user).map(|user| user.member);
        Some((id, left))
    }

    /// Returns the first `most` members in the order of joining.
    pub(super) fn list(&self, most: usize) -> Vec<Arc<Member>> {
        let alone = self
            .sessions
            .values()
            .filter(|entry| entry.member.user().is_none());
        let alone = alone.map(|entry| (entry.membership, &entry.member));
        let users = self
            .users
            .values()
            .map(|user| (user.membership, &user.member));
        let mut members: Vec<(u64, &Arc<Member>)> = alone.chain(users).collect();
        // Ordered by membership, not by time: two members may join in the same millisecond.
        if members.len() > most {
            members.select_nth_unstable_by_key(most, |(membership, _)| *membership);
            members.truncate(most);
        }
        members.sort_unstable_by_key(|(membership, _)| *membership);
        members
            .into_iter()
            .map(|(_, member)| member.clone())
            .collect()
    }
}
