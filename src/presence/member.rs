//! One member of a channel, and how it is shown.
//!
//! Knows no channel and no grace.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::hub::now_ms;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) membership: u64,
    pub(super) user: Option<Arc<str>>,
    pub(super) info: Option<Bytes>,
    pub(super) since_ms: u64,
    pub(super) attaches: usize,
    /// When the grace ends; none while an attach lives.
    pub(super) grace_ends: Option<Instant>,
    /// When its last poll was answered: for a grace the chain counts as an attach, though none may be held.
    pub(super) polled: Option<Instant>,
    /// Whether the end of its grace is queued; one entry a member, however often it comes and goes.
    pub(super) is_queued: bool,
    /// Whether it said that it leaves.
    pub(super) left: bool,
}

/// Those who are in a channel, as `GET /presence` answers.
#[derive(Debug, Serialize)]
pub struct Members {
    /// The channel.
    pub channel: String,
    /// How many they are.
    pub count: usize,
    /// The first thousand of them.
    pub members: Vec<Listed>,
}

/// A member as it is listed.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub(super) id: String,
    pub(super) user: Option<String>,
    pub(super) info: Option<Box<RawValue>>,
    pub(super) since: u64,
}

/// A member as a join or leave tells of it.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) user: Option<String>,
    pub(super) info: Option<Box<RawValue>>,
    pub(super) count: usize,
}

impl Member {
    pub(super) fn new(membership: u64, user: Option<&str>, info: Option<&Bytes>) -> Self {
        let (user, info) = (user.map(Arc::from), info.cloned());
        Self {
            membership,
            user,
            info,
            since_ms: now_ms(),
            attaches: 1,
            grace_ends: None,
            polled: None,
            is_queued: false,
            left: false,
        }
    }

    pub(super) fn told(&self, id: &str) -> Told {
        Told {
            id: id.to_owned(),
            user: self.user.as_deref().map(str::to_owned),
            info: self.shown_info(),
            count: 0,
        }
    }

    pub(super) fn listed(&self, id: &str) -> Listed {
        let user = self.user.as_deref().map(str::to_owned);
        Listed {
            id: id.to_owned(),
            user,
            info: self.shown_info(),
            since: self.since_ms,
        }
    }

    /// The info, which was checked to be JSON when it came.
    fn shown_info(&self) -> Option<Box<RawValue>> {
        let text = String::from_utf8(self.info.as_ref()?.to_vec()).ok()?;
        RawValue::from_string(text).ok()
    }
}
