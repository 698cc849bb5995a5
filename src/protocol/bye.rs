//! The end of an attachment: the reasons with their close codes, and the bye frame.
//!
//! Does not know the wire that carries the frame.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::answer::to_json;
use super::{Problem, Refusal};
use crate::protocol::cursor::Cursor;

/// From this close code on, the client must not reconnect.
const FINAL_CODES_BEGIN: u16 = 3500;

/// The reason why an attachment ends, with its close code in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByeReason {
    /// The node shuts down. Reconnect with the cursor.
    Drain,
    /// The credentials expired. Reconnect with new ones.
    Expired,
    /// The reader accepted no bytes within the write budget.
    Slow,
    /// The peer was silent for two heartbeats.
    Silent,
    /// A gap on a WebSocket of bare data.
    Gap,
    /// A temporary limit was reached. Reconnect later.
    Busy,
    /// The request cannot be served.
    BadRequest,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Not allowed.
    Forbidden,
    /// A limit was reached.
    Limit,
    /// The session has newer attachments.
    Newer,
}

impl ByeReason {
    /// The close code and the reason's text.
    #[must_use]
    pub const fn facts(self) -> (u16, &'static str) {
        match self {
            Self::Drain => (3001, "drain"),
            Self::Expired => (3003, "expired"),
            Self::Slow => (3004, "slow"),
            Self::Silent => (3005, "silent"),
            Self::Gap => (3006, "gap"),
            Self::Busy => (3007, "busy"),
            Self::BadRequest => (3500, "bad_request"),
            Self::Unauthorized => (3501, "unauthorized"),
            Self::Forbidden => (3502, "forbidden"),
            Self::Limit => (3503, "limit"),
            Self::Newer => (3504, "newer"),
        }
    }
}

/// The last frame of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
    /// Milliseconds after which to reconnect, spread over the clients.
    pub after_ms: Option<u64>,
    /// Everything up to this cursor was written.
    pub id: Option<Cursor>,
    /// The refusal that caused it, if any.
    pub refusal: Option<Refusal>,
}

impl Bye {
    /// Returns a bye with only its reason.
    #[must_use]
    pub const fn new(reason: ByeReason) -> Self {
        Self {
            reason,
            after_ms: None,
            id: None,
            refusal: None,
        }
    }

    /// Returns the bye for a refusal.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        let reason = refusal.bye();
        Self {
            reason,
            after_ms: refusal
                .retry_after_s
                .filter(|_| reason == ByeReason::Busy)
                .map(|seconds| seconds * 1_000),
            id: None,
            refusal: Some(refusal),
        }
    }

    /// The bye as it is on the wire.
    #[must_use]
    pub fn frame(&self) -> ByeFrame<'_> {
        let (code, reason) = self.reason.facts();
        ByeFrame {
            code,
            reason: reason.into(),
            reconnect: code < FINAL_CODES_BEGIN,
            after_ms: self.after_ms,
            id: self.id,
            error: self.refusal.as_ref().map(Problem::from),
        }
    }

    /// The bye frame.
    #[must_use]
    pub fn json(&self) -> String {
        to_json(&self.frame())
    }
}

/// A bye on the wire. A later version of the hub may send other reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "bye")]
pub struct ByeFrame<'a> {
    /// The close code.
    pub code: u16,
    /// The reason's name.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// Whether to reconnect.
    pub reconnect: bool,
    /// Milliseconds after which to reconnect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// Everything up to this cursor was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cursor>,
    /// The refusal that caused it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byes_have_exact_bytes() {
        let bye = Bye {
            after_ms: Some(730),
            id: Some("k3x9q2-44".parse().unwrap()),
            ..Bye::new(ByeReason::Drain)
        };
        assert_eq!(
            bye.json(),
            r#"{"type":"bye","code":3001,"reason":"drain","reconnect":true,"after_ms":730,"id":"k3x9q2-44"}"#
        );
        assert_eq!(
            Bye::new(ByeReason::Newer).json(),
            r#"{"type":"bye","code":3504,"reason":"newer","reconnect":false}"#
        );
    }
}
