//! A refusal as JSON: an RFC 9457 problem, as answers, replies and byes contain it.
//!
//! The hub writes it from a [`Refusal`]. Clients read it, and may not know every code of their hub.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::refused_channels::echoed;
use super::{CredentialPlace, Refusal, RefusedChannel};

/// A refusal on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem<'a> {
    /// The stable code.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// Where the credential was in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialPlace>,
    /// What exactly was wrong.
    #[serde(borrow, default)]
    pub detail: Cow<'a, str>,
    /// The sequence number that was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// What to do about it.
    #[serde(borrow, default)]
    pub hint: Cow<'a, str>,
    /// The nonce of the request.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Cow<'a, str>>,
    /// All channels of a request that names several, if none of them is opened.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Vec<RefusedEntry<'a>>>,
    /// The id of the request in the hub's log.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// The HTTP status.
    pub status: u16,
    /// What the code means.
    #[serde(borrow, default)]
    pub title: Cow<'a, str>,
    /// A URI that identifies the code.
    #[serde(borrow, default, rename = "type")]
    pub kind: Cow<'a, str>,
}

/// A refused channel, on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEntry<'a> {
    /// Its name as in the request, truncated if it is longer than any valid name.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// Why.
    #[serde(borrow)]
    pub error: Problem<'a>,
}

impl<'a> From<&'a Refusal> for Problem<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        let (_, code, title, hint) = refusal.code.facts();
        let entries = |refused: &'a [RefusedChannel]| refused.iter().map(RefusedEntry::from);
        Self {
            code: code.into(),
            credential: refusal.credential,
            detail: (&*refusal.detail).into(),
            expected: refusal.expected,
            hint: hint.into(),
            nonce: refusal.nonce.as_deref().map(Cow::from),
            refused: refusal
                .refused
                .as_deref()
                .map(|refused| entries(refused).collect()),
            request_id: None,
            status: refusal.status(),
            title: title.into(),
            kind: format!("/problems/{code}").into(),
        }
    }
}

impl<'a> From<&'a RefusedChannel> for RefusedEntry<'a> {
    fn from(refused: &'a RefusedChannel) -> Self {
        Self {
            channel: echoed(&refused.channel).into(),
            error: Problem::from(&refused.refusal),
        }
    }
}

/// Formats the problem for a terminal.
impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status, code, hint, ..
        } = self;
        let said = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        write!(f, "refused ({status} {code}): {said}\n  {hint}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    #[test]
    fn a_problem_has_exact_bytes_and_is_read_again() {
        let refusal = Refusal {
            expected: Some(3),
            nonce: Some("n\"1".into()),
            ..Refusal::new(Code::KeyOutOfOrder, "3 is missing")
        };
        let json = refusal.to_json(Some("r1"));
        assert_eq!(
            json,
            r#"{"code":"key_out_of_order","detail":"3 is missing","expected":3,"hint":"Send the key with the number in `expected` first.","nonce":"n\"1","request_id":"r1","status":409,"title":"A numbered key is missing before this one","type":"/problems/key_out_of_order"}"#
        );
        let problem: Problem<'_> = serde_json::from_str(&json).unwrap();
        let written = Problem {
            request_id: Some("r1".into()),
            ..Problem::from(&refusal)
        };
        assert_eq!(problem, written);
    }

    #[test]
    fn a_code_of_a_later_hub_can_be_read() {
        let problem: Problem<'_> =
            serde_json::from_str(r#"{"status":418,"code":"teapot","title":"Tea"}"#).unwrap();
        assert_eq!(problem.to_string(), "refused (418 teapot): Tea\n  ");
    }
}
