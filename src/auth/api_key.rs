//! API keys of back ends: their form, and the grants of each.
//!
//! The hub knows only the SHA-256 of a key. This file does not know where the keys are kept.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER_PERMISSIVE;
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{BadRule, Grants, Reach};
use crate::protocol::{Code, Refusal};

/// The prefix by which an API key is recognised.
const PREFIX: &str = "twk_";
/// The hexadecimal digits of its hash in the credential id of a key.
const ID_DIGITS: usize = 16;
/// The random bytes of a new key.
const SECRET_BYTES: usize = 32;

/// What the owner of an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// Publish to channels and inboxes, without a rate limit.
    Publish,
    /// Read channels, their history and their members.
    Read,
    /// End sessions, and revoke credentials.
    Admin,
}

impl KeyScope {
    const WORDS: [(&'static str, Self); 3] = [
        ("publish", Self::Publish),
        ("read", Self::Read),
        ("admin", Self::Admin),
    ];
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, scope)| scope == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl FromStr for KeyScope {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found
            .map(|(_, scope)| *scope)
            .ok_or_else(|| BadRule::new(format!("expected publish, read or admin, found {text:?}")))
    }
}

/// The SHA-256 of an API key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Returns the hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

impl FromStr for KeyHash {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Self)
            .ok_or_else(|| BadRule::new("expected a SHA-256 as 64 hexadecimal digits"))
    }
}

/// An API key as the hub knows it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    name: String,
    hash: KeyHash,
    grants: Grants,
    is_admin: bool,
}

impl ApiKey {
    /// Returns a key with these scopes. `channels` are patterns as in a grant; `None` means all channels and inboxes.
    ///
    /// # Errors
    /// Returns [`BadRule`] for a pattern with a `*` before its end.
    pub fn new(
        name: &str,
        hash: KeyHash,
        scopes: &[KeyScope],
        channels: Option<Vec<String>>,
    ) -> Result<Self, BadRule> {
        let reach = channels.map_or(Ok(Reach::All), Reach::of_patterns)?;
        let scoped = |scope| match scopes.contains(&scope) {
            true => reach.clone(),
            false => Reach::Some(Vec::new()),
        };
        let grants = Grants::new(scoped(KeyScope::Read), scoped(KeyScope::Publish));
        let id = format!("api-key:{}", &hash.to_string()[..ID_DIGITS]);
        let grants = grants.as_server().issued(None, Some(&id));
        Ok(Self {
            name: name.to_owned(),
            hash,
            grants,
            is_admin: scopes.contains(&KeyScope::Admin),
        })
    }

    /// Returns the text of a new key. Only its hash is kept: the text must be given to its owner now.
    ///
    /// # Panics
    /// If the system gives no random bytes.
    #[must_use]
    pub fn generate() -> String {
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random).expect("the system gives random bytes");
        let mut text = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        text
    }

    /// Returns the name of the key, which is no secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reports whether the key has the scope `admin`.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        self.is_admin
    }
}

/// The API keys of a hub. All clones share one list.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Arc<RwLock<Vec<ApiKey>>>);

impl ApiKeys {
    /// Returns these keys.
    #[must_use]
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(Arc::new(RwLock::new(keys)))
    }

    /// Uses these keys from now on. Returns the credential ids of those that are no longer among them: what was made from
    /// them ends by [`Hub::revoke_credential`](crate::Hub::revoke_credential).
    #[must_use]
    pub fn replace(&self, keys: Vec<ApiKey>) -> Vec<String> {
        let mut current = self.0.write();
        let is_gone = |old: &&ApiKey| keys.iter().all(|key| key.hash != old.hash);
        let gone = current.iter().filter(is_gone);
        let gone = gone.filter_map(|key| key.grants.credential_id().map(str::to_owned));
        let gone = gone.collect();
        *current = keys;
        gone
    }

    /// Reports whether a token has the form of an API key.
    pub(crate) fn is_key(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Returns the key with this text.
    fn find(&self, token: &str) -> Option<ApiKey> {
        let hash = KeyHash::of(token);
        // Every key is compared, and each comparison takes the same time.
        let keys = self.0.read();
        let found = keys.iter().fold(None, |found, key| {
            let is_same = bool::from(key.hash.0.ct_eq(&hash.0));
            if is_same { Some(key) } else { found }
        });
        found.cloned()
    }

    /// Returns the grants of a key.
    ///
    /// # Errors
    /// `unauthorized` for a key that is unknown.
    pub fn grants(&self, token: &str) -> Result<Grants, Refusal> {
        let key = self.find(token);
        key.map(|key| key.grants).ok_or_else(|| {
            Refusal::new(Code::Unauthorized, "the API key is unknown or was revoked")
        })
    }

    /// Returns the name of a key with the scope `admin`.
    ///
    /// # Errors
    /// `unauthorized` for a key that is unknown; `forbidden` for one without the scope.
    pub fn admin(&self, token: &str) -> Result<String, Refusal> {
        self.grants(token)?;
        let admin = self.find(token).filter(|key| key.is_admin);
        admin.map(|key| key.name).ok_or_else(|| {
            Refusal::new(
                Code::Forbidden,
                "the API key does not have the scope `admin`",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ChannelRules;
    use crate::protocol::ChannelName;

    fn keys(scopes: &[KeyScope], channels: Option<&[&str]>) -> (String, ApiKeys) {
        let text = ApiKey::generate();
        let channels = channels.map(|names| names.iter().map(ToString::to_string).collect());
        let key = ApiKey::new("app", KeyHash::of(&text), scopes, channels).unwrap();
        let other =
            ApiKey::new("other", KeyHash::of("twk_other"), &[KeyScope::Admin], None).unwrap();
        (text, ApiKeys::new(vec![other.clone(), key, other]))
    }

    #[test]
    fn a_key_has_the_grants_of_its_scopes_and_channels() {
        let rules = ChannelRules::default();
        let may = |grants: &Grants, channel: &str| {
            let channel = ChannelName::new(channel).unwrap();
            let publishes = grants.may_publish(&rules, &channel, 0).is_ok();
            (
                grants.may_read(&rules, &channel, None, 0).is_ok(),
                publishes,
            )
        };
        let (text, publisher) = keys(&[KeyScope::Publish], None);
        let grants = publisher.grants(&text).unwrap().by_credential();
        assert_eq!(may(&grants, "room/1"), (false, true));
        assert_eq!(may(&grants, "@ann"), (false, true));
        assert_eq!(may(&grants, "$presence/room/1"), (false, false));
        let (text, reader) = keys(&[KeyScope::Read], Some(&["room/*"]));
        let grants = reader.grants(&text).unwrap().by_credential();
        assert_eq!(may(&grants, "room/1"), (true, false));
        assert_eq!(may(&grants, "$presence/room/1"), (true, false));
        assert_eq!(may(&grants, "lobby"), (false, false));
    }

    #[test]
    fn only_the_whole_text_of_a_key_is_known() {
        let (text, keys) = keys(&[KeyScope::Publish, KeyScope::Admin], None);
        assert!(text.starts_with(PREFIX) && text.len() == 47, "{text}");
        assert_eq!(keys.admin(&text).unwrap(), "app");
        for wrong in [
            "",
            PREFIX,
            &text[..46],
            &format!("{text}a"),
            &text.to_uppercase(),
        ] {
            assert_eq!(keys.grants(wrong).unwrap_err().code, Code::Unauthorized);
            assert_eq!(keys.admin(wrong).unwrap_err().code, Code::Unauthorized);
        }
    }

    #[test]
    fn a_key_without_the_scope_is_no_admin() {
        let (text, keys) = keys(&[KeyScope::Publish, KeyScope::Read], None);
        assert_eq!(keys.admin(&text).unwrap_err().code, Code::Forbidden);
    }

    #[test]
    fn the_words_of_a_file_are_parsed_and_shown_alike() {
        for (word, scope) in KeyScope::WORDS {
            assert_eq!(
                (word.parse(), scope.to_string().as_str()),
                (Ok(scope), word)
            );
        }
        let hash = KeyHash::of("twk_a");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("abc".parse::<KeyHash>().is_err() && "owner".parse::<KeyScope>().is_err());
        assert!(ApiKey::new("a", hash, &[], Some(vec!["a*b".into()])).is_err());
    }
}
