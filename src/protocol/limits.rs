//! The sizes that a hub accepts, as its hello states them.
//!
//! Accounts for how much JSON escaping can lengthen a text: an event whose data is within its limit always fits into a
//! message and a body.

use serde::{Deserialize, Serialize};

use super::{COMMANDS_MAX, GET_PUBLISH_BYTES_MAX, INFO_BYTES_MAX};

/// The most bytes that one byte of text becomes in JSON: a control character is written as `\u0000`.
const ESCAPED_BYTES_MAX: usize = 6;
/// Room for a command besides its data, in bytes: channel, name, key and the JSON syntax around them.
const COMMAND_BYTES: usize = 8 * 1024;
/// Room for the commands of one `POST /send` besides the data of the largest event, in bytes.
const COMMANDS_BYTES: usize = 1024 * 1024;

/// The limits of a hub. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Data of one event, as the hub counts it.
    pub data: usize,
    /// One message of a WebSocket in format `full`.
    pub message: usize,
    /// The body of a `POST /send`, and of a `POST /pub` whose data is JSON.
    pub body: usize,
    /// Commands in one `POST /send`.
    pub commands: usize,
    /// The address of a GET that publishes.
    pub address: usize,
    /// The `info` of a member.
    pub info: usize,
    /// Channels of one session. Absent if there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
}

impl Limits {
    /// Returns the limits of a hub that accepts this many bytes of data in an event, and this many channels in a
    /// session.
    #[must_use]
    pub const fn new(data: usize, channels: Option<usize>) -> Self {
        let escaped = data.saturating_mul(ESCAPED_BYTES_MAX);
        Self {
            data,
            message: escaped.saturating_add(COMMAND_BYTES),
            body: escaped.saturating_add(COMMANDS_BYTES),
            commands: COMMANDS_MAX,
            address: GET_PUBLISH_BYTES_MAX,
            info: INFO_BYTES_MAX,
            channels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Data;

    #[test]
    fn limits_have_exact_bytes() {
        let json = |limits| serde_json::to_string(&limits).unwrap();
        assert_eq!(
            json(Limits::new(64 * 1024, Some(100))),
            r#"{"data":65536,"message":401408,"body":1441792,"commands":1000,"address":4096,"info":1024,"channels":100}"#
        );
        assert!(!json(Limits::new(1, None)).contains("channels"));
        assert_eq!(Limits::new(usize::MAX, None).message, usize::MAX);
    }

    #[test]
    fn no_character_grows_by_more_than_the_limits_allow() {
        for character in (0..=0x7f_u8).map(char::from) {
            let grown = Data::text(&character.to_string()).len() - 2;
            assert!(grown <= ESCAPED_BYTES_MAX, "{character:?}: {grown}");
        }
    }
}
