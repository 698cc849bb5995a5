//! Lists sessions and closes them for the application.
//!
//! Knows no wire format.

use std::sync::Arc;

use super::{Session, Sessions, now_s};
use crate::auth::{Claims, KEY_LIFETIME_S};
use crate::protocol::ByeReason;

/// One client that the hub remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The public id of the session.
    pub id: Arc<str>,
    /// The user id of its grants.
    pub user: Option<Arc<str>>,
    /// The number of open readers: mostly one, two during a change of transport, zero between two polls.
    pub readers: usize,
}

impl Sessions {
    /// Returns the sessions that this node remembers, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<SessionInfo> {
        let info = |session: &Arc<Session>| SessionInfo {
            id: session.id.clone(),
            user: session.user.clone(),
            readers: session.living_attaches(),
        };
        self.table.lock().values().map(info).collect()
    }

    /// Ends a session with a bye `expired`, and refuses its key from now on. Returns whether it was remembered.
    pub fn close(&self, id: &str) -> bool {
        self.closed.close(id, now_s(), KEY_LIFETIME_S);
        let session = self.table.lock().get(id).cloned();
        session.as_ref().inspect(|session| end(session)).is_some()
    }

    /// Ends all sessions of a user. Returns how many were remembered.
    pub fn close_user(&self, user: &str) -> usize {
        self.closed.close(user, now_s(), KEY_LIFETIME_S);
        let is_theirs = |session: &&Arc<Session>| session.user.as_deref() == Some(user);
        let table = self.table.lock();
        let theirs: Vec<Arc<Session>> = table.values().filter(is_theirs).cloned().collect();
        drop(table);
        theirs.iter().for_each(end);
        theirs.len()
    }

    /// Returns the claims of a valid session key whose session and user were not closed since it was signed.
    pub(super) fn claims(&self, key: &str) -> Option<Claims> {
        let claims = self.signer.check(key, now_s())?;
        let ids = [Some(&*claims.id), claims.grants.user()];
        let is_closed = self.closed.ends(ids, claims.expires, KEY_LIFETIME_S);
        (!is_closed).then_some(claims)
    }
}

fn end(session: &Arc<Session>) {
    session.end(ByeReason::Expired);
}
