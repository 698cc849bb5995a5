//! Channel names, checked once: a `ChannelName` is always valid.
//!
//! Does not know which sessions may read a channel; `auth` does.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{CHANNEL_BYTES_MAX, Refusal};

/// The prefix of presence channels, which the hub itself writes.
const PRESENCE_PREFIX: &str = "$presence/";

/// A channel's name: 1 to 128 bytes of UTF-8 without control characters and commas. Cheap to clone.
///
/// ```
/// use triway::ChannelName;
/// assert!(ChannelName::new("sensors/kitchen").is_ok());
/// assert!(ChannelName::new("a,b").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// The owner of a channel, which its first character determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// An ordinary channel without an owner.
    Anyone,
    /// `@ID`: the inbox of a session id or a user id.
    Inbox(&'a str),
    /// `@`: the reader's own inboxes.
    OwnInboxes,
    /// `$presence/NAME`: joins and leaves of NAME.
    Presence(&'a str),
    /// Any other `$…`, which belongs to the hub.
    Hub,
}

impl ChannelName {
    /// Checks a name.
    ///
    /// # Errors
    /// `bad_channel` when it is empty, longer than 128 bytes, or holds a control character or a comma.
    pub fn new(name: &str) -> Result<Self, Refusal> {
        let reason = if name.is_empty() {
            "a channel name is empty"
        } else if name.len() > CHANNEL_BYTES_MAX {
            "a channel name is longer than 128 bytes"
        } else if name.chars().any(char::is_control) {
            "a channel name holds a control character"
        } else if name.contains(',') {
            "a channel name holds a comma"
        } else {
            return Ok(Self(Arc::from(name)));
        };
        Err(Refusal::bad_channel(reason))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the owner of the channel.
    #[must_use]
    pub(crate) fn owner(&self) -> Owner<'_> {
        match self.0.as_bytes()[0] {
            b'@' if self.0.len() == 1 => Owner::OwnInboxes,
            b'@' => Owner::Inbox(&self.0[1..]),
            b'$' => match self.0.strip_prefix(PRESENCE_PREFIX) {
                Some(name) if !name.is_empty() => Owner::Presence(name),
                _ => Owner::Hub,
            },
            _ => Owner::Anyone,
        }
    }

    /// Reports whether it is an inbox. Every reader has the inboxes of its session and its user, so they do not count
    /// as channels that it chose.
    #[must_use]
    pub(crate) fn is_inbox(&self) -> bool {
        self.0.starts_with('@')
    }

    /// Returns the presence channel, which carries the joins and leaves of this channel.
    ///
    /// The prefix may make it longer than other names, because a client never writes it as a whole.
    #[must_use]
    pub(crate) fn presence(&self) -> Self {
        Self(Arc::from(format!("{PRESENCE_PREFIX}{}", self.0)))
    }

    /// Returns the inbox of a session id or a user id.
    #[must_use]
    pub(crate) fn inbox(id: &str) -> Self {
        Self(Arc::from(format!("@{id}")))
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for ChannelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Accepts the same names as `parse_channel_list`: a `$presence/…` name may be longer by its prefix.
impl<'de> Deserialize<'de> for ChannelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        read_name(&name).map_err(de::Error::custom)
    }
}

/// Parses the names of one path segment or query value. Splits on commas first and then percent-decodes each name, so
/// `%2C` cannot add a comma. A `$presence/…` name may be longer by its prefix.
///
/// # Errors
/// `bad_channel` for the first invalid name.
pub fn parse_channel_list(text: &str) -> Result<Vec<ChannelName>, Refusal> {
    text.split(',').map(parse_one).collect()
}

fn parse_one(part: &str) -> Result<ChannelName, Refusal> {
    let name = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| Refusal::bad_channel("a channel name is not UTF-8"))?;
    read_name(&name)
}

/// Checks a name from a reader. The presence prefix does not count towards its length.
pub(super) fn read_name(name: &str) -> Result<ChannelName, Refusal> {
    match name.strip_prefix(PRESENCE_PREFIX) {
        Some(of) if !of.is_empty() => Ok(ChannelName::new(of)?.presence()),
        _ => ChannelName::new(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_before_they_decode() {
        let names = parse_channel_list("a,b%20c,caf%C3%A9,x/y").unwrap();
        let names: Vec<&str> = names.iter().map(ChannelName::as_str).collect();
        assert_eq!(names, ["a", "b c", "café", "x/y"]);
        assert!(
            parse_channel_list("a%2Cb").is_err(),
            "a decoded comma is refused"
        );
        assert!(parse_channel_list("a,,b").is_err());
        assert!(parse_channel_list("%FF").is_err());
        assert!(parse_channel_list("a%00").is_err());
    }

    #[test]
    fn lengths_are_bytes() {
        assert!(ChannelName::new(&"é".repeat(64)).is_ok());
        assert!(ChannelName::new(&"é".repeat(65)).is_err());
        assert!(parse_channel_list(&format!("$presence/{}", "a".repeat(128))).is_ok());
    }

    #[test]
    fn the_first_character_tells_the_owner() {
        let owner = |name: &str| format!("{:?}", ChannelName::new(name).unwrap().owner());
        assert_eq!(owner("lobby"), "Anyone");
        assert_eq!(owner("@"), "OwnInboxes");
        assert_eq!(owner("@ann"), "Inbox(\"ann\")");
        assert_eq!(owner("$presence/lobby"), "Presence(\"lobby\")");
        assert_eq!(owner("$presence/"), "Hub");
        assert_eq!(owner("$x"), "Hub");
    }
}
