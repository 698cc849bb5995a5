//! Channels of one request that are refused, while the others are opened.
//!
//! Knows how they are named to the client; why a channel is refused is known to whoever refuses it.

use std::sync::Arc;

use super::answer::to_json;
use super::{CHANNEL_BYTES_MAX, CredentialPlace, Refusal, RefusedEntry, RefusedFrame};

/// The most channels of one request that are refused one by one: a request names thousands, and each refusal is a
/// hundred times as long as a name. Beyond it the request is refused as a whole.
pub(crate) const REFUSED_CHANNELS_MAX: usize = 1_000;
/// Bytes of a name that are echoed: those of the longest name that could be right, with its prefix.
const ECHO_BYTES_MAX: usize = CHANNEL_BYTES_MAX + "$presence/".len();

/// A channel that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedChannel {
    /// Its name as the request has it, which may be none.
    pub channel: String,
    /// Why.
    pub refusal: Refusal,
}

/// A name as it is echoed: cut where it is longer than any.
pub(super) fn echoed(name: &str) -> &str {
    &name[..name.floor_char_boundary(ECHO_BYTES_MAX)]
}

impl RefusedChannel {
    /// A channel of this name.
    #[must_use]
    pub fn new(name: &str, refusal: Refusal) -> Self {
        Self {
            channel: name.to_owned(),
            refusal,
        }
    }

    /// Returns the same channel, refused in the answer to a request with this nonce and credential.
    pub(crate) fn answering(
        &self,
        nonce: Option<&str>,
        credential: Option<CredentialPlace>,
    ) -> Self {
        Self {
            channel: self.channel.clone(),
            refusal: self
                .refusal
                .clone()
                .answering(nonce.map(Box::from), credential),
        }
    }

    /// The one refusal of a request all of whose channels are refused: that of the first, which names the others where
    /// there are several.
    #[must_use]
    pub fn whole(refused: Vec<Self>) -> Refusal {
        let Some(first) = refused.first() else {
            return Refusal::bad_channel("no channel is named");
        };
        let mut refusal = first.refusal.clone();
        if refused.len() > 1 {
            refusal.refused = Some(Arc::from(refused));
        }
        refusal
    }

    /// The refused frame.
    #[must_use]
    pub fn frame(refused: &[Self]) -> String {
        to_json(&RefusedFrame {
            channels: refused.iter().map(RefusedEntry::from).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    fn refused(name: &str) -> RefusedChannel {
        let detail = format!("`{name}` may not be read");
        RefusedChannel::new(name, Refusal::new(Code::Forbidden, detail))
    }

    #[test]
    fn the_frame_names_each_channel_with_its_problem() {
        let old = refused("old-room");
        let problem = old.refusal.to_json(None);
        assert_eq!(
            RefusedChannel::frame(&[old]),
            format!(
                r#"{{"type":"refused","channels":[{{"channel":"old-room","error":{problem}}}]}}"#
            )
        );
    }

    #[test]
    fn where_all_are_refused_the_first_refusal_names_them() {
        let alone = RefusedChannel::whole(vec![refused("a")]);
        assert_eq!(alone, refused("a").refusal);
        let both = RefusedChannel::whole(vec![refused("a"), refused("b")]);
        let problem: serde_json::Value = serde_json::from_str(&both.to_json(Some("r"))).unwrap();
        assert_eq!(problem["detail"], "`a` may not be read");
        assert_eq!(problem["request_id"], "r");
        let names: Vec<_> = problem["refused"].as_array().unwrap().iter().collect();
        assert_eq!((names.len(), &names[1]["channel"]), (2, &"b".into()));
        assert_eq!(names[1]["error"]["code"], "forbidden");
    }

    #[test]
    fn a_name_is_cut_where_it_is_longer_than_any() {
        let long = refused(&"é".repeat(1_000));
        assert_eq!(RefusedEntry::from(&long).channel, "é".repeat(69));
    }
}
