//! The keys that verify tokens: a secret, PEM files, or a JWK set. Each key determines its algorithms.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{JwtError, refused};

/// The shortest secret, in bytes: the length of an HS256 signature (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// The smallest RSA modulus, in bytes (RFC 7518, 3.3).
const MODULUS_BYTES_MIN: usize = 256;
/// The most keys of a set.
const KEYS_MAX: usize = 100;
/// The bytes of an uncompressed point on each curve.
const P256_POINT_BYTES: usize = 65;
const P384_POINT_BYTES: usize = 97;

/// A file or set of keys that cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(String);

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadKey {}

/// A key of a set that is left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, or its position.
    pub key: String,
    /// Why it is left out.
    pub reason: &'static str,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?}: {}", self.key, self.reason)
    }
}

#[derive(Clone, Debug)]
struct VerificationKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The keys that verify tokens.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<VerificationKey>);

impl KeySet {
    /// Returns a set of one shared secret, for HS256, HS384 and HS512.
    ///
    /// # Errors
    /// Returns [`BadKey`] for a secret of fewer than 32 bytes, and for a text that is a PEM file: whoever knows a public
    /// key could sign with it.
    pub fn from_secret(secret: &[u8]) -> Result<Self, BadKey> {
        if secret.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(BadKey(
                "is a PEM file, and not a secret; use --jwt-key for a public key".into(),
            ));
        }
        if secret.len() < SECRET_BYTES_MIN {
            return Err(BadKey(
                "is shorter than 32 bytes; `openssl rand -hex 32` makes a secret".into(),
            ));
        }
        Ok(Self(vec![VerificationKey {
            id: None,
            algorithms: AlgorithmFamily::Hmac.algorithms().to_vec(),
            key: DecodingKey::from_secret(secret),
        }]))
    }

    /// Returns the keys of a file: one or more PEM public keys, or a JWK set.
    ///
    /// # Errors
    /// Returns [`BadKey`] if the file is neither, or holds no key that can be used.
    pub fn from_file(text: &str) -> Result<(Self, Vec<SkippedKey>), BadKey> {
        if text.trim_start().starts_with('{') {
            return Self::from_jwk_set(text.as_bytes(), true);
        }
        let blocks = text.split("-----BEGIN ").skip(1);
        let keys = blocks
            .map(|block| pem_key(&format!("-----BEGIN {block}")))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(BadKey("is neither a PEM public key nor a JWK set".into()));
        }
        Ok((Self(keys), Vec::new()))
    }

    /// Returns the keys of a JWK set (RFC 7517). A key that cannot be used is left out. Secrets are used only where
    /// `with_secrets` says so: a set that everyone may read must not hold one.
    ///
    /// # Errors
    /// Returns [`BadKey`] if the text is no JWK set, or holds no key that can be used.
    pub fn from_jwk_set(
        json: &[u8],
        with_secrets: bool,
    ) -> Result<(Self, Vec<SkippedKey>), BadKey> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Box<RawValue>>,
        }
        let set: Set =
            serde_json::from_slice(json).map_err(|_| BadKey("is not a JWK set".into()))?;
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, key) in set.keys.iter().enumerate() {
            match jwk(key.get(), with_secrets) {
                _ if index >= KEYS_MAX => {
                    skipped.push(SkippedKey {
                        key: index.to_string(),
                        reason: "the set has more than 100 keys",
                    });
                    break;
                }
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(SkippedKey {
                    key: name_of(key.get(), index),
                    reason,
                }),
            }
        }
        if keys.is_empty() {
            return Err(BadKey("holds no key that can verify a token".into()));
        }
        Ok((Self(keys), skipped))
    }

    /// Reports whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the keys of both sets.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Verifies a signature with the keys that the token may mean. A token without `kid` means any of them; a key
    /// without an id can be meant by any token.
    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtError> {
        if self.0.is_empty() {
            // The keys of a URL were not received yet.
            let id = id.unwrap_or_default().chars().take(64).collect();
            return Err(JwtError::UnknownKey { id });
        }
        let is_meant = |key: &&VerificationKey| match (id, key.id.as_deref()) {
            (Some(id), Some(its)) => id == its,
            _ => true,
        };
        let meant: Vec<&VerificationKey> = self.0.iter().filter(is_meant).collect();
        if let (Some(id), []) = (id, meant.as_slice()) {
            let id = id.chars().take(64).collect();
            return Err(JwtError::UnknownKey { id });
        }
        let mut fitting = meant
            .iter()
            .filter(|key| key.algorithms.contains(&algorithm))
            .peekable();
        if fitting.peek().is_none() {
            let detail =
                format!("no key of the hub is for the algorithm {algorithm:?} of the token");
            return Err(JwtError::Refused(refused(detail)));
        }
        let verifies = |key: &&&VerificationKey| {
            let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key.key);
            verifier.is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
        };
        match fitting.find(verifies) {
            Some(_) => Ok(()),
            None => Err(JwtError::Refused(refused(
                "the signature of the token is wrong",
            ))),
        }
    }
}

fn pem_key(pem: &str) -> Result<VerificationKey, BadKey> {
    if pem.contains("PRIVATE KEY") {
        return Err(BadKey(
            "is a private key; the hub needs the public key only".into(),
        ));
    }
    let bytes = pem.as_bytes();
    let key = DecodingKey::from_rsa_pem(bytes)
        .or_else(|_| DecodingKey::from_ec_pem(bytes))
        .or_else(|_| DecodingKey::from_ed_pem(bytes))
        .map_err(|_| {
            BadKey("is not a public key of RSA, EC P-256, EC P-384 or Ed25519 in PEM".into())
        })?;
    let algorithms = match key.family() {
        AlgorithmFamily::Ec => match key.as_bytes().len() {
            P256_POINT_BYTES => vec![Algorithm::ES256],
            P384_POINT_BYTES => vec![Algorithm::ES384],
            _ => {
                return Err(BadKey(
                    "is an EC key of another curve than P-256 and P-384".into(),
                ));
            }
        },
        family => family.algorithms().to_vec(),
    };
    Ok(VerificationKey {
        id: None,
        algorithms,
        key,
    })
}

fn jwk(json: &str, with_secrets: bool) -> Result<VerificationKey, &'static str> {
    let jwk: Jwk =
        serde_json::from_str(json).map_err(|_| "its kind or its members are not supported")?;
    let common = &jwk.common;
    if common
        .public_key_use
        .as_ref()
        .is_some_and(|its| *its != PublicKeyUse::Signature)
    {
        return Err("its `use` is not `sig`");
    }
    let operations = common.key_operations.as_ref();
    if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Err("its `key_ops` do not contain `verify`");
    }
    let mut algorithms = algorithms_of(&jwk.algorithm, with_secrets)?;
    if let Some(named) = common.key_algorithm {
        algorithms.retain(|algorithm| format!("{algorithm:?}") == named.to_string());
    }
    if algorithms.is_empty() {
        return Err("its `alg` does not fit its kind");
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| "its members are not base64url")?;
    Ok(VerificationKey {
        id: common.key_id.clone(),
        algorithms,
        key,
    })
}

fn algorithms_of(
    parameters: &AlgorithmParameters,
    with_secrets: bool,
) -> Result<Vec<Algorithm>, &'static str> {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_or(0, |bytes| bytes.len());
    let family = match parameters {
        AlgorithmParameters::EllipticCurve(key) => {
            return match key.curve {
                EllipticCurve::P256 if bytes(&key.x) == 32 && bytes(&key.y) == 32 => {
                    Ok(vec![Algorithm::ES256])
                }
                EllipticCurve::P384 if bytes(&key.x) == 48 && bytes(&key.y) == 48 => {
                    Ok(vec![Algorithm::ES384])
                }
                _ => Err("its curve is not P-256 or P-384, or its coordinates have another length"),
            };
        }
        AlgorithmParameters::OctetKeyPair(key)
            if key.curve == EllipticCurve::Ed25519 && bytes(&key.x) == 32 =>
        {
            AlgorithmFamily::Ed
        }
        AlgorithmParameters::OctetKeyPair(_) => return Err("its curve is not Ed25519"),
        AlgorithmParameters::RSA(key) if bytes(&key.n) < MODULUS_BYTES_MIN => {
            return Err("its RSA modulus is shorter than 2048 bits");
        }
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
        AlgorithmParameters::OctetKey(_) if !with_secrets => {
            return Err("a secret does not belong into a public set");
        }
        AlgorithmParameters::OctetKey(key) if bytes(&key.value) < SECRET_BYTES_MIN => {
            return Err("its secret is shorter than 32 bytes");
        }
        AlgorithmParameters::OctetKey(_) => AlgorithmFamily::Hmac,
    };
    Ok(family.algorithms().to_vec())
}

/// Returns how a log names a key: by its `kid`, shortened, or its position.
fn name_of(json: &str, index: usize) -> String {
    #[derive(Deserialize)]
    struct Named {
        kid: String,
    }
    let named: Option<Named> = serde_json::from_str(json).ok();
    named.map_or_else(
        || index.to_string(),
        |named| named.kid.chars().take(64).collect(),
    )
}
