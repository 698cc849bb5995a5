//! The grants of a credential, and the signed keys by which any node recognises a session.
//!
//! Pure rules: the time is an argument. Does not know how a credential arrives.

mod key;
mod large;

use std::sync::{Arc, LazyLock};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};

use crate::protocol::{ChannelName, Code, Owner, Refusal};

pub(crate) use key::KEY_LIFETIME_S;
pub use key::{Claims, Signer};

/// Characters of a session id: `s` and 25 of base32, 125 random bits.
const SESSION_ID_BYTES: usize = 26;
/// The longest user id, in bytes: its inbox must be a channel name.
const USER_BYTES_MAX: usize = 127;

/// Channels that a credential reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// All channels except the hub's own and the inboxes of others.
    #[default]
    All,
    /// The channels with these names. A `*` at the end matches any rest.
    Some(Vec<String>),
}

impl Reach {
    fn is_all(&self) -> bool {
        *self == Self::All
    }

    fn covers(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(patterns) => {
                patterns
                    .iter()
                    .any(|pattern| match pattern.strip_suffix('*') {
                        Some(prefix) => name.starts_with(prefix),
                        None => name == pattern,
                    })
            }
        }
    }
}

/// The rights of a credential.
///
/// ```
/// use triway::{Grants, Reach};
/// let grants = Grants::new(Reach::Some(vec!["news/*".into()]), Reach::Some(vec![])).with_user("ann").unwrap();
/// assert_eq!(grants.user(), Some("ann"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    // Names are short and defaults are omitted: keys are sent in addresses, and some middleboxes allow only 500 bytes.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    user: Option<Arc<str>>,
    #[serde(rename = "r", default, skip_serializing_if = "Reach::is_all")]
    read: Reach,
    #[serde(rename = "p", default, skip_serializing_if = "Reach::is_all")]
    publish: Reach,
    /// Whether events are published without `from`, as by an application's own back end.
    #[serde(rename = "s", default, skip_serializing_if = "is_false")]
    server: bool,
    /// Seconds since 1970 at which the grants expire.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Grants {
    /// Returns grants to read and to publish.
    #[must_use]
    pub const fn new(read: Reach, publish: Reach) -> Self {
        Self {
            user: None,
            read,
            publish,
            server: false,
            expires: None,
        }
    }

    /// Returns grants for everything, which an open listener gives to all clients.
    #[must_use]
    pub const fn everything() -> Self {
        Self::new(Reach::All, Reach::All)
    }

    /// Returns the same grants with a user id. It is shown as `from` and owns the inbox `@ID`.
    ///
    /// # Errors
    /// `forbidden` if the id is empty, too long or no channel name, or if it has the form of a session id.
    pub fn with_user(mut self, user: &str) -> Result<Self, Refusal> {
        let is_name = ChannelName::new(user).is_ok() && user.len() <= USER_BYTES_MAX;
        if !is_name || is_session_id(user) {
            return Err(Refusal::new(
                Code::Forbidden,
                "the user id is not a valid name, or has the form of a session id",
            ));
        }
        self.user = Some(Arc::from(user));
        Ok(self)
    }

    /// Returns the same grants with this expiry, in seconds since 1970.
    #[must_use]
    pub const fn until(mut self, expires_s: u64) -> Self {
        self.expires = Some(expires_s);
        self
    }

    /// Returns the same grants for an application's own back end, whose publishes carry no `from`.
    #[must_use]
    pub const fn as_server(mut self) -> Self {
        self.server = true;
        self
    }

    /// Returns the user id.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the user id as a shared string.
    pub(crate) fn shared_user(&self) -> Option<Arc<str>> {
        self.user.clone()
    }

    /// Returns when the grants expire, in seconds since 1970.
    #[must_use]
    pub const fn expires_s(&self) -> Option<u64> {
        self.expires
    }

    /// Returns the `from` of the events that this session publishes: `None` for an application's own back end.
    #[must_use]
    pub(crate) fn from(&self, session: &Arc<str>) -> Option<Arc<str>> {
        if self.server {
            None
        } else {
            Some(self.user.as_ref().unwrap_or(session).clone())
        }
    }

    /// Returns whether the grants have expired at this time, in seconds since 1970.
    #[must_use]
    pub(crate) fn have_ended(&self, now_s: u64) -> bool {
        self.expires.is_some_and(|expires| now_s >= expires)
    }

    /// Checks that the grants have not expired. Expired grants allow nothing.
    fn are_valid(&self, now_s: u64) -> Result<(), Refusal> {
        if self.have_ended(now_s) {
            let detail = "the grants of its credential have expired";
            return Err(Refusal::new(Code::SessionExpired, detail));
        }
        Ok(())
    }

    /// Checks that a session with these grants may read a channel at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// `forbidden` if it may not; `session_expired` if the grants have expired.
    pub(crate) fn may_read(
        &self,
        channel: &ChannelName,
        session: Option<&str>,
        now_s: u64,
    ) -> Result<(), Refusal> {
        self.are_valid(now_s)?;
        let allowed = match channel.owner() {
            Owner::Anyone => self.read.covers(channel.as_str()),
            Owner::Inbox(id) => session == Some(id) || self.user() == Some(id),
            Owner::OwnInboxes => true,
            Owner::Presence(of) => return self.may_read(&ChannelName::new(of)?, session, now_s),
            Owner::Hub => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(
                Code::Forbidden,
                format!("`{channel}` may not be read"),
            ))
        }
    }

    /// Checks that these grants allow publishing to a channel at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// `forbidden` if they do not; `bad_channel` for `@` alone; `session_expired` if the grants have expired.
    pub(crate) fn may_publish(&self, channel: &ChannelName, now_s: u64) -> Result<(), Refusal> {
        self.are_valid(now_s)?;
        let allowed = match channel.owner() {
            Owner::Anyone | Owner::Inbox(_) => self.publish.covers(channel.as_str()),
            Owner::OwnInboxes => {
                return Err(Refusal::bad_channel(
                    "`@` alone can only be read; publish to `@` with an id",
                ));
            }
            Owner::Presence(_) | Owner::Hub => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(
                Code::Forbidden,
                format!("these credentials do not allow publishing to `{channel}`"),
            ))
        }
    }
}

/// Returns a new session id made from random bytes.
#[must_use]
pub fn session_id(random: [u8; 16]) -> Arc<str> {
    let mut text = String::with_capacity(2 * random.len());
    text.push('s');
    BASE32.encode_append(&random, &mut text);
    Arc::from(&text[..SESSION_ID_BYTES])
}

/// Returns whether a text has the form of a session id.
#[must_use]
pub fn is_session_id(text: &str) -> bool {
    let rest = text
        .strip_prefix('s')
        .filter(|_| text.len() == SESSION_ID_BYTES);
    rest.is_some_and(|rest| {
        rest.bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
    })
}

/// Base32 in lower case. Its tables are built only once.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification
        .encoding()
        .expect("32 different symbols are an encoding")
});

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    #[test]
    fn session_ids_have_their_form_and_users_may_not_take_it() {
        let id = session_id([0xab; 16]);
        assert!(is_session_id(&id), "{id}");
        assert!(Grants::everything().with_user(&id).is_err());
        assert!(Grants::everything().with_user("a,b").is_err());
        assert!(Grants::everything().with_user(&"x".repeat(128)).is_err());
    }

    #[test]
    fn inboxes_and_the_hubs_channels_have_their_own_rules() {
        let grants = Grants::new(
            Reach::Some(vec!["news/*".into(), "lobby".into()]),
            Reach::All,
        )
        .with_user("ann")
        .unwrap();
        let reads = |channel: &str| grants.may_read(&name(channel), Some("s1"), 0).is_ok();
        assert!(
            reads("news/today")
                && reads("lobby")
                && reads("@s1")
                && reads("@ann")
                && reads("@")
                && reads("$presence/lobby")
        );
        assert!(
            !reads("other")
                && !reads("@bob")
                && !reads("$x")
                && !reads("$presence/other")
                && !reads("$presence/@bob")
        );
        assert!(grants.may_publish(&name("@bob"), 0).is_ok());
        assert!(
            grants.may_publish(&name("$presence/lobby"), 0).is_err()
                && grants.may_publish(&name("@"), 0).is_err()
        );
    }

    #[test]
    fn grants_that_have_ended_allow_nothing() {
        let grants = Grants::everything().with_user("ann").unwrap().until(100);
        for channel in ["a", "@ann", "@", "$presence/a"] {
            let read = |now_s| grants.may_read(&name(channel), Some("s1"), now_s);
            assert!(read(99).is_ok(), "{channel}");
            assert_eq!(read(100).unwrap_err().code, Code::SessionExpired);
        }
        assert!(grants.may_publish(&name("a"), 99).is_ok());
        let refusal = grants.may_publish(&name("a"), 100).unwrap_err();
        assert_eq!(refusal.code, Code::SessionExpired);
    }

    #[test]
    fn from_is_the_user_else_the_session() {
        let session: Arc<str> = Arc::from("s1");
        assert_eq!(Grants::everything().from(&session).as_deref(), Some("s1"));
        assert_eq!(
            Grants::everything()
                .with_user("ann")
                .unwrap()
                .from(&session)
                .as_deref(),
            Some("ann")
        );
        assert_eq!(Grants::everything().as_server().from(&session), None);
    }
}
