//! Session keys: signed texts by which any node with the same secret recognises a session and its grants.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Grants;
use super::large::LargeGrants;

/// How long a session key is valid, in seconds. A hello renews it, but not beyond its credential.
pub(crate) const KEY_LIFETIME_S: u64 = 3_600;
/// Bytes of the signature. 128 bits are far beyond guessing, and more would lengthen the addresses that contain keys.
const SIGNATURE_BYTES: usize = 16;
/// Initial capacity for the claims under usual grants, and for the whole key, in bytes.
const CLAIMS_BYTES_USUAL: usize = 128;
const KEY_BYTES_USUAL: usize = 192;
/// The longest session key that is checked, in bytes. No signed key is longer.
const KEY_BYTES_MAX: usize = 4_096;
/// The longest claims with the channels written out, in bytes. Longer claims contain a hash instead.
const CLAIMS_BYTES_MAX: usize = 1_024;

/// What a session key says about its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The public id of the session.
    #[serde(rename = "i")]
    pub id: Arc<str>,
    /// The grants of the credential when the key was signed.
    #[serde(flatten)]
    pub grants: Grants,
    /// When the key expires, in seconds since 1970.
    #[serde(rename = "x")]
    pub expires: u64,
    /// The seconds between its signing and its expiry.
    #[serde(
        rename = "n",
        default = "usual_life",
        skip_serializing_if = "is_usual_life"
    )]
    pub life: u64,
    /// The hash of the channels to read and to publish to, if they are too large for a key. The grants in the key then
    /// cover no channel.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    large: Option<String>,
}

const fn usual_life() -> u64 {
    KEY_LIFETIME_S
}

const fn is_usual_life(life: &u64) -> bool {
    *life == KEY_LIFETIME_S
}

impl Claims {
    /// When the key was signed, in seconds since 1970.
    #[must_use]
    pub const fn signed_s(&self) -> u64 {
        self.expires.saturating_sub(self.life)
    }

    /// Returns whether this node does not know what the key allows. The client must then send its credential again.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.large.is_some()
    }
}

/// Signs and checks session keys.
#[derive(Clone)]
pub struct Signer {
    mac: Hmac<Sha256>,
    large: Arc<LargeGrants>,
}

impl Signer {
    /// Returns a signer with this secret. Nodes with the same secret accept each other's session keys.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        let large = Arc::default();
        Self { mac, large }
    }

    /// Returns when a key signed at `now_s` expires, in seconds since 1970: after an hour, or earlier with the
    /// credential.
    #[must_use]
    pub fn expires_s(grants: &Grants, now_s: u64) -> u64 {
        let latest = now_s.saturating_add(KEY_LIFETIME_S);
        grants.keys_end_s().map_or(latest, |end| end.min(latest))
    }

    /// Returns a key for a session, and when it expires in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &Arc<str>, grants: &Grants, now_s: u64) -> (String, u64) {
        let expires = Self::expires_s(grants, now_s);
        let mut claims = Claims {
            id: id.clone(),
            grants: grants.clone(),
            expires,
            life: expires.saturating_sub(now_s),
            large: None,
        };
        let mut text = text_of(&claims);
        if text.len() > CLAIMS_BYTES_MAX {
            let parts = claims.grants.take_parts();
            claims.large = Some(self.large.keep(parts, expires, now_s));
            text = text_of(&claims);
        }
        let mut key = String::with_capacity(KEY_BYTES_USUAL);
        URL_SAFE_NO_PAD.encode_string(text, &mut key);
        let signature = self.signature(key.as_bytes());
        key.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut key);
        (key, expires)
    }

    /// Returns the claims of a key that this secret signed and that has not expired.
    #[must_use]
    pub fn check(&self, key: &str, now_s: u64) -> Option<Claims> {
        self.verify(key).filter(|claims| now_s < claims.expires)
    }

    /// Returns the claims of a key that this secret signed, even if it has expired.
    pub(crate) fn verify(&self, key: &str) -> Option<Claims> {
        let (text, signature) = key.split_once('.').filter(|_| key.len() <= KEY_BYTES_MAX)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        mac.verify_truncated_left(&signature)
            .ok()
            .filter(|()| signature.len() == SIGNATURE_BYTES)?;
        let mut claims: Claims =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        if let Some(parts) = claims.large.as_ref().and_then(|hash| self.large.find(hash)) {
            claims.grants.put_parts(&parts);
            claims.large = None;
        }
        Some(claims)
    }

    /// Returns a short tag of some bytes. Without the secret, the bytes cannot be derived from it.
    #[must_use]
    pub fn tag(&self, bytes: &[u8]) -> String {
        HEXLOWER.encode(&self.signature(bytes)[..3])
    }

    /// Returns a tag of a client's network, salted with the secret: /24 of an IPv4 address, /48 of an IPv6 address.
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

fn text_of(claims: &Claims) -> Vec<u8> {
    let mut text = Vec::with_capacity(CLAIMS_BYTES_USUAL);
    serde_json::to_writer(&mut text, claims)
        .expect("plain structs of texts and numbers always serialise");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::user_id::USER_BYTES_MAX;
    use crate::auth::{ChannelRules, Reach, session_id};
    use crate::protocol::ChannelName;

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
                expires,
                life: KEY_LIFETIME_S,
                large: None
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
    fn a_key_that_is_renewed_without_its_credential_ends_an_hour_after_the_credential() {
        let signer = Signer::new(b"secret");
        let id = session_id([7; 16]);
        let grants = Grants::everything().by_credential().presented_at(1_000);
        let end = 1_000 + KEY_LIFETIME_S;
        let (mut key, _) = signer.sign(&id, &grants, 1_000);
        for now_s in [1_001, 2_000, end - 1] {
            let claims = signer.check(&key, now_s).unwrap();
            let renewed = signer.sign(&id, &claims.grants, now_s);
            assert_eq!(renewed.1, end, "renewed at {now_s}");
            key = renewed.0;
        }
        assert_eq!(signer.check(&key, end), None);
        assert_eq!(
            Signer::expires_s(&grants.clone().until(1_500), 1_400),
            1_500,
            "no longer than the credential"
        );
        assert_eq!(
            Signer::expires_s(&Grants::everything(), 2_000),
            2_000 + KEY_LIFETIME_S,
            "a session without a credential has no such end"
        );
    }

    #[test]
    fn what_is_signed_is_accepted_whatever_its_size() {
        let (signer, other) = (Signer::new(b"secret"), Signer::new(b"secret"));
        let id = session_id([7; 16]);
        for names in [0, 1, 20, 300, 10_000] {
            let rooms = |kind: &str| (0..names).map(|n| format!("room/{kind}/{n}")).collect();
            let grants = Grants::new(Reach::Some(rooms("r")), Reach::Some(rooms("p")))
                .with_user(&"u".repeat(USER_BYTES_MAX))
                .unwrap();
            let (key, _) = signer.sign(&id, &grants, 1_000);
            assert!(key.len() < 2_000, "{names}: {} bytes", key.len());
            assert_eq!(signer.check(&key, 1_000).unwrap().grants, grants);
            // Another node reads small grants from the key. For large ones, it must request the credential again.
            let claims = other.check(&key, 1_000).unwrap();
            assert_eq!(claims.id, id);
            assert_eq!(claims.is_unknown(), names >= 300);
            assert_eq!(claims.grants == grants, names < 300);
            if claims.is_unknown() {
                assert!(
                    claims
                        .grants
                        .may_publish(
                            &ChannelRules::default(),
                            &ChannelName::new("room/p/1").unwrap(),
                            0
                        )
                        .is_err()
                );
            }
        }
    }
}
