//! Lists sessions and closes them for the application.
//!
//! Knows no wire format.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Credential, Session, Sessions, Subject, new_id, now_s};
use crate::auth::{Claims, Grants, KEY_LIFETIME_S};
use crate::hub::now_ms;
use crate::protocol::{ByeReason, Code, HelloSession, Refusal};

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

/// The outcome of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The number of sessions whose readers were ended.
    pub ended: usize,
    /// Until when the revocation is remembered, in seconds since 1970.
    pub until_s: u64,
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
        self.revoke(Subject::Session(id), ByeReason::Expired).ended > 0
    }

    /// Ends all sessions of a user. Returns how many were remembered.
    pub fn close_user(&self, user: &str) -> usize {
        self.revoke(Subject::User(user), ByeReason::Expired).ended
    }

    /// Begins a session without a reader, or resumes that of a key, and returns its new key.
    ///
    /// # Errors
    /// `unauthorized`; `session_expired` for a key that is not valid; `forbidden` for a key of another user.
    pub fn begin(
        &self,
        key: Option<&str>,
        credential: &Credential,
        address: Option<IpAddr>,
    ) -> Result<HelloSession, Refusal> {
        credential.judge()?;
        let (Credential::Given(grants) | Credential::Absent(Some(grants))) = credential else {
            let detail = "the request has no valid token";
            return Err(Refusal::new(Code::Unauthorized, detail));
        };
        self.check_revoked(grants)?;
        let resumed = key.map_or(Ok(None), |key| self.resumed(key, credential))?;
        let id = match resumed {
            Some(claims) if !claims.grants.is_of_same_client(grants) => {
                let detail = "the session and the token belong to different users";
                return Err(Refusal::new(Code::Forbidden, detail));
            }
            Some(claims) => claims.id,
            None => new_id(),
        };
        self.session(&id, grants, address);
        Ok(self.signed(&id, grants))
    }

    /// Returns a session with a new key, as hello states it.
    pub(super) fn signed(&self, id: &Arc<str>, grants: &Grants) -> HelloSession {
        let now_s = now_s();
        let (key, expires) = self.signer.sign(id, grants, now_s);
        HelloSession {
            id: id.clone(),
            user: grants.shared_user(),
            key,
            expires,
            expires_in: expires.saturating_sub(now_s),
        }
    }

    /// Ends the session of a key, and refuses the key from now on.
    ///
    /// # Errors
    /// `session_expired` for a key that is unknown or expired.
    pub fn log_out(&self, key: &str) -> Result<(), Refusal> {
        let claims = self.claims(key).ok_or_else(|| {
            let detail = "the session key is unknown or expired";
            Refusal::new(Code::SessionExpired, detail)
        })?;
        self.close(&claims.id);
        Ok(())
    }

    /// Refuses everything that was issued for this subject until now, and ends its open readers with this reason.
    pub fn revoke(&self, subject: Subject<'_>, reason: ByeReason) -> Revoked {
        let now_ms = now_ms();
        let lifetime = match subject {
            Subject::Session(_) => Duration::from_secs(KEY_LIFETIME_S),
            Subject::User(_) | Subject::Credential(_) => self.options.token_max_age,
        };
        let until_ms = now_ms + u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX / 2);
        // First the fact, which every later request meets; then its consequence.
        self.revocations.add(subject, now_ms, until_ms);
        wait_past(now_ms);
        let table = self.table.lock();
        let sessions: Vec<Arc<Session>> = match subject {
            Subject::Session(id) => table.get(id).cloned().into_iter().collect(),
            Subject::User(user) => {
                let is_theirs = |session: &&Arc<Session>| session.user.as_deref() == Some(user);
                table.values().filter(is_theirs).cloned().collect()
            }
            Subject::Credential(_) => table.values().cloned().collect(),
        };
        drop(table);
        let end = |session: &&Arc<Session>| match subject {
            Subject::Credential(id) => session.end_credential(id, reason),
            Subject::User(_) | Subject::Session(_) => {
                session.end(reason);
                true
            }
        };
        Revoked {
            ended: sessions.iter().filter(end).count(),
            until_s: until_ms / 1_000,
        }
    }

    /// Returns the claims of a valid session key. `None` if it has expired, or its session was closed since it was signed.
    pub(super) fn claims(&self, key: &str) -> Option<Claims> {
        let claims = self.signer.check(key, now_s())?;
        (!self.is_closed(&claims)).then_some(claims)
    }

    fn is_closed(&self, claims: &Claims) -> bool {
        self.revocations
            .include_session(&claims.id, claims.signed_s() * 1_000)
    }

    /// Returns the claims of the key with which a reader resumes its session, or `None` if a new session begins.
    ///
    /// On an open hub a key that is not valid begins a new session. Where credentials are judged, an identity is never
    /// lost silently: such a key is refused, unless it has no identity, or comes with a credential of the same user.
    pub(super) fn resumed(
        &self,
        key: &str,
        credential: &Credential,
    ) -> Result<Option<Claims>, Refusal> {
        let signed = self.signer.verify(key);
        let is_closed = signed.as_ref().is_some_and(|claims| self.is_closed(claims));
        let is_expired = signed
            .as_ref()
            .is_some_and(|claims| now_s() >= claims.expires);
        match (signed, credential) {
            (Some(claims), _) if !is_closed && !is_expired => Ok(Some(claims)),
            _ if !self.hooks.has_credentials => Ok(None),
            (Some(claims), _) if claims.grants.is_anonymous() => Ok(None),
            (Some(claims), Credential::Given(grants))
                if grants.is_of_same_client(&claims.grants) =>
            {
                Ok((!is_closed).then_some(claims))
            }
            _ => Err(Refusal::new(
                Code::SessionExpired,
                "the session key is unknown or expired",
            )),
        }
    }

    /// Checks that neither a credential nor the session made from it was revoked.
    ///
    /// # Errors
    /// `unauthorized`.
    pub(super) fn check_revoked(&self, grants: &Grants) -> Result<(), Refusal> {
        if self.revocations.include(grants) {
            return Err(Refusal::new(
                Code::Unauthorized,
                "the credential was revoked",
            ));
        }
        Ok(())
    }
}

/// Waits until the clock shows a later millisecond: what is issued after a revocation must not look as old as what was
/// issued before it. Does not wait for a clock that was set back.
fn wait_past(time_ms: u64) {
    let began = std::time::Instant::now();
    while now_ms() <= time_ms && began.elapsed() < Duration::from_millis(2) {
        std::thread::yield_now();
    }
}
