//! How an attach ends: the reasons with their close codes, and the frame that says so.
//!
//! Does not know on which wire it goes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::answer::to_json;
use super::{Problem, Refusal};
use crate::protocol::cursor::Cursor;

/// Close codes from here on mean: do not come back.
const FINAL_CODES_BEGIN: u16 = 3500;

/// Why an attach ends, with the close code of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByeReason {
    /// The node goes down; come back with the cursor.
    Drain,
    /// The credentials expired; come back with new ones.
    Expired,
    /// The reader took nothing for the write budget.
    Slow,
    /// The peer was silent for two heartbeats.
    Silent,
    /// A gap on a WebSocket of bare data.
    Gap,
    /// A limit was reached that passes; come back after a while.
    Busy,
    /// The request cannot be served.
    BadRequest,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Not allowed.
    Forbidden,
    /// A limit was reached.
    Limit,
    /// The session has newer attaches.
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

/// The last frame of an attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
    /// Milliseconds after which to come back, spread over the clients.
    pub after_ms: Option<u64>,
    /// Everything up to here was written.
    pub id: Option<Cursor>,
    /// The refusal behind it, where there is one.
    pub refusal: Option<Refusal>,
}

impl Bye {
    /// A bye with nothing but its reason.
    #[must_use]
    pub const fn new(reason: ByeReason) -> Self {
        Self {
            reason,
            after_ms: None,
            id: None,
            refusal: None,
        }
    }

    /// The bye over a refusal.
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

/// A bye on the wire, whose reason may be one of a later hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "bye")]
pub struct ByeFrame<'a> {
    /// The close code.
    pub code: u16,
    /// Why, in a word.
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// Whether to come back.
    pub reconnect: bool,
    /// Milliseconds after which to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// Everything up to here was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cursor>,
    /// The refusal behind it.
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
