//! A member of a channel: its state, and the form in which others see it.
//!
//! Knows no channel and no length of a grace period.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::hub::now_ms;
use crate::protocol::Rewritable;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) membership: u64,
    pub(super) member: Arc<Member>,
    pub(super) attaches: usize,
    /// When the grace period ends. `None` while an attachment is open.
    pub(super) grace_ends: Option<Instant>,
    /// When its last poll was answered. For one grace period from then on, the polls count as an open attachment, even
    /// if none is held.
    pub(super) polled: Option<Instant>,
    /// Whether the end of its grace period is queued. This keeps one entry per membership, however often its
    /// attachments come and go.
    pub(super) is_queued: bool,
    /// Whether the session sent `leave`.
    pub(super) left: bool,
}

/// The members of a channel, as `GET /presence` answers.
#[derive(Clone, Debug)]
pub struct Members {
    /// The channel.
    pub channel: String,
    /// The number of members.
    pub count: usize,
    /// The first thousand members, in the order of joining.
    pub members: Vec<Arc<Member>>,
}

/// A user, or a session without a user, that is shown in a channel, as `GET /presence` lists it. All answers share it.
/// They serialise it only when there is room to write it.
#[derive(Debug, Serialize)]
pub struct Member {
    id: Arc<str>,
    user: Option<Box<str>>,
    #[serde(serialize_with = "as_json")]
    info: Option<Bytes>,
    since: u64,
    /// Of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<usize>,
}

impl Member {
    /// Returns the id of the user, or the public id of a session without a user.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the user id of its grants.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the number of sessions that show this member.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.unwrap_or(1)
    }

    /// Returns the user of this session as a member with one connection. It shows the info of this session.
    pub(super) fn as_user(&self) -> Self {
        Self {
            id: self.user().map_or_else(|| self.id.clone(), Arc::from),
            user: self.user.clone(),
            info: self.info.clone(),
            since: self.since,
            connections: Some(1),
        }
    }

    /// Returns the same member with so many more connections.
    pub(super) fn with_connections(&self, more: isize) -> Self {
        Self {
            connections: Some(self.connections().saturating_add_signed(more)),
            ..self.as_user()
        }
    }

    /// Returns what is shown besides the id: a JSON text, as the client sent it, or as its credential states it.
    #[must_use]
    pub fn info(&self) -> Option<&Bytes> {
        self.info.as_ref()
    }

    /// Returns when it joined, in milliseconds since 1970.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        self.since
    }
}

impl Rewritable for Member {
    fn words(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// Serialises the info, which was checked to be JSON when it arrived.
fn as_json<S: Serializer>(info: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = info.as_ref().and_then(|info| str::from_utf8(info).ok());
    let json = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    json.serialize(serializer)
}

/// A member, as a join or leave event describes it.
#[derive(Debug, Serialize)]
pub(super) struct MemberNotice {
    id: Arc<str>,
    user: Option<Box<str>>,
    #[serde(serialize_with = "as_json")]
    info: Option<Bytes>,
    pub(super) count: usize,
}

impl MemberNotice {
    pub(super) fn of(member: &Member) -> Self {
        Self {
            id: member.id.clone(),
            user: member.user.clone(),
            info: member.info.clone(),
            count: 0,
        }
    }
}

impl Entry {
    pub(super) fn new(
        membership: u64,
        id: &Arc<str>,
        user: Option<&str>,
        info: Option<&Bytes>,
    ) -> Self {
        let member = Member {
            id: id.clone(),
            user: user.map(Box::from),
            info: info.cloned(),
            since: now_ms(),
            connections: None,
        };
        Self {
            membership,
            member: Arc::new(member),
            attaches: 1,
            grace_ends: None,
            polled: None,
            is_queued: false,
            left: false,
        }
    }
}
