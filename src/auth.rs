//! What a credential allows, and the signed keys by which a session is known again on any node.
//!
//! Pure rules: the time is an argument, and how a credential came is the edge's business.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::{Encoding, HEXLOWER, Specification};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::protocol::{ChannelName, Code, Owner, Refusal};

/// How long a session key is good, in seconds. Every hello renews it.
const KEY_LIFETIME_S: u64 = 3_600;
/// Bytes of the signature: 128 bits are far beyond guessing, and keys travel in addresses.
const SIGNATURE_BYTES: usize = 16;
/// Characters of a session id: `s` and 25 of base32, 125 random bits.
const SESSION_ID_BYTES: usize = 26;
/// The longest user id, in bytes: its inbox must be a channel name.
const USER_BYTES_MAX: usize = 127;
/// Room for what a key says of a session under usual grants, and for the whole key.
const CLAIMS_BYTES_USUAL: usize = 128;
const KEY_BYTES_USUAL: usize = 192;
/// The longest session key that is looked at, in bytes.
const KEY_BYTES_MAX: usize = 4_096;

/// Channels that a credential reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// All but the hub's own and other people's inboxes.
    #[default]
    All,
    /// Those of these names; a `*` at the end stands for any rest.
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

/// What a credential allows.
///
/// ```
/// use triway::auth::{Grants, Reach};
/// let grants = Grants::new(Reach::Some(vec!["news/*".into()]), Reach::Some(vec![])).with_user("ann").unwrap();
/// assert_eq!(grants.user(), Some("ann"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    // Short names, and nothing for what is usual: keys travel in addresses, and some boxes allow 500 bytes of those.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    user: Option<Arc<str>>,
    #[serde(rename = "r", default, skip_serializing_if = "Reach::is_all")]
    read: Reach,
    #[serde(rename = "p", default, skip_serializing_if = "Reach::is_all")]
    publish: Reach,
    /// Whether publishes carry no `from`: an application's own back end.
    #[serde(rename = "s", default, skip_serializing_if = "is_false")]
    server: bool,
    /// Seconds since 1970 at which they end.
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
    /// Grants to read and to publish.
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

    /// Everything: what an open listener gives to everybody.
    #[must_use]
    pub const fn everything() -> Self {
        Self::new(Reach::All, Reach::All)
    }

    /// With a user id, which is shown as `from` and owns the inbox `@ID`.
    ///
    /// # Errors
    /// `forbidden` for ids that are empty, too long, no channel name, or that look like session ids.
    pub fn with_user(mut self, user: &str) -> Result<Self, Refusal> {
        let is_name = ChannelName::new(user).is_ok() && user.len() <= USER_BYTES_MAX;
        if !is_name || is_session_id(user) {
            return Err(Refusal::new(
                Code::Forbidden,
                "the user id cannot be used: it is no name, or looks like a session id",
            ));
        }
        self.user = Some(Arc::from(user));
        Ok(self)
    }

    /// Ending at this time, in seconds since 1970.
    #[must_use]
    pub const fn until(mut self, expires_s: u64) -> Self {
        self.expires = Some(expires_s);
        self
    }

    /// As an application's own back end: its publishes carry no `from`.
    #[must_use]
    pub const fn as_server(mut self) -> Self {
        self.server = true;
        self
    }

    /// The user id.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Seconds since 1970 at which they end.
    #[must_use]
    pub const fn expires_s(&self) -> Option<u64> {
        self.expires
    }

    /// The `from` of what this session publishes: nothing under a server grant.
    #[must_use]
    pub fn from(&self, session: &Arc<str>) -> Option<Arc<str>> {
        if self.server {
            None
        } else {
            Some(self.user.as_ref().unwrap_or(session).clone())
        }
    }

    /// Whether a session under these grants may read a channel.
    ///
    /// # Errors
    /// `forbidden` where not.
    pub fn may_read(&self, channel: &ChannelName, session: Option<&str>) -> Result<(), Refusal> {
        let allowed = match channel.owner() {
            Owner::Anyone => self.read.covers(channel.as_str()),
            Owner::Inbox(id) => session == Some(id) || self.user() == Some(id),
            Owner::OwnInboxes => true,
            Owner::Presence(of) => return self.may_read(&ChannelName::new(of)?, session),
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

    /// Whether these grants allow to publish to a channel.
    ///
    /// # Errors
    /// `forbidden` where not; `bad_channel` for `@` alone.
    pub fn may_publish(&self, channel: &ChannelName) -> Result<(), Refusal> {
        let allowed = match channel.owner() {
            Owner::Anyone | Owner::Inbox(_) => self.publish.covers(channel.as_str()),
            Owner::OwnInboxes => {
                return Err(Refusal::bad_channel(
                    "`@` alone can only be read; publish to `@` and an id",
                ));
            }
            Owner::Presence(_) | Owner::Hub => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(
                Code::Forbidden,
                format!("nobody may publish to `{channel}` with these credentials"),
            ))
        }
    }
}

/// A session as its key tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The public id.
    #[serde(rename = "i")]
    pub id: Arc<str>,
    /// What its credential allowed when the key was signed.
    #[serde(flatten)]
    pub grants: Grants,
    /// Seconds since 1970 at which the key ends.
    #[serde(rename = "x")]
    pub expires: u64,
}

/// Signs and checks session keys.
#[derive(Clone)]
pub struct Signer {
    mac: Hmac<Sha256>,
}

impl Signer {
    /// A signer with this secret. Nodes with the same secret know each other's sessions.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { mac }
    }

    /// A key for a session, and when it ends: after an hour, or with the grants.
    #[must_use]
    pub fn sign(&self, id: &Arc<str>, grants: &Grants, now_s: u64) -> (String, u64) {
        let expires = grants
            .expires
            .unwrap_or(u64::MAX)
            .min(now_s + KEY_LIFETIME_S);
        let claims = Claims {
            id: id.clone(),
            grants: grants.clone(),
            expires,
        };
        let mut text = Vec::with_capacity(CLAIMS_BYTES_USUAL);
        serde_json::to_writer(&mut text, &claims)
            .expect("plain structs of texts and numbers always serialise");
        let mut key = String::with_capacity(KEY_BYTES_USUAL);
        URL_SAFE_NO_PAD.encode_string(text, &mut key);
        let signature = self.signature(key.as_bytes());
        key.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut key);
        (key, expires)
    }

    /// The claims of a key that this secret signed and that is still good.
    #[must_use]
    pub fn check(&self, key: &str, now_s: u64) -> Option<Claims> {
        let (text, signature) = key.split_once('.').filter(|_| key.len() <= KEY_BYTES_MAX)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        mac.verify_truncated_left(&signature)
            .ok()
            .filter(|()| signature.len() == SIGNATURE_BYTES)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (now_s < claims.expires).then_some(claims)
    }

    /// A short tag of some bytes that cannot be turned back without the secret.
    #[must_use]
    pub fn tag(&self, bytes: &[u8]) -> String {
        HEXLOWER.encode(&self.signature(bytes)[..3])
    }

    /// A salted tag of a client's network: /24 of an IPv4 address, /48 of an IPv6 one.
    #[must_use]
    pub fn network_tag(&self, client: Option<IpAddr>) -> String {
        match client {
            Some(IpAddr::V4(address)) => self.tag(&address.octets()[..3]),
            Some(IpAddr::V6(address)) => self.tag(&address.octets()[..6]),
            None => self.tag(b""),
        }
    }

    fn signature(&self, bytes: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|index| whole[index])
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// A new session id out of random bytes.
#[must_use]
pub fn session_id(random: [u8; 16]) -> Arc<str> {
    let mut text = String::with_capacity(2 * random.len());
    text.push('s');
    BASE32.encode_append(&random, &mut text);
    Arc::from(&text[..SESSION_ID_BYTES])
}

/// Whether a text has the form of a session id.
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

/// In small letters. Its tables are made once.
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
    fn a_key_is_known_again_until_it_ends() {
        let signer = Signer::new(b"secret");
        let id = session_id([7; 16]);
        let grants = Grants::everything().with_user("ann").unwrap();
        let (key, expires) = signer.sign(&id, &grants, 1_000);
        assert_eq!(expires, 1_000 + KEY_LIFETIME_S);
        assert_eq!(
            signer.check(&key, 1_000),
            Some(Claims {
                id: id.clone(),
                grants: grants.clone(),
                expires
            })
        );
        assert_eq!(signer.check(&key, expires), None, "expired");
        assert_eq!(
            Signer::new(b"other").check(&key, 1_000),
            None,
            "another secret"
        );
        let mut forged = key.clone().into_bytes();
        forged[3] ^= 1;
        assert_eq!(
            signer.check(&String::from_utf8(forged).unwrap(), 1_000),
            None,
            "forged"
        );
        for nonsense in [
            "",
            ".",
            "a.b",
            &key[..key.len() - 1],
            key.split('.').next().unwrap(),
        ] {
            assert_eq!(signer.check(nonsense, 1_000), None, "{nonsense}");
        }
        assert_eq!(
            signer.sign(&id, &grants.until(1_010), 1_000).1,
            1_010,
            "no longer than the grants"
        );
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
        let reads = |channel: &str| grants.may_read(&name(channel), Some("s1")).is_ok();
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
        assert!(grants.may_publish(&name("@bob")).is_ok());
        assert!(
            grants.may_publish(&name("$presence/lobby")).is_err()
                && grants.may_publish(&name("@")).is_err()
        );
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
