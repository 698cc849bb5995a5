//! JSON Web Tokens: the signature and the claims of a token become grants.
//!
//! The key decides the algorithms, never the token. The library verifies signatures only; every rule about claims is
//! here. Pure: the time and the keys are arguments.

mod claims;
mod keys;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::Grants;
use crate::protocol::{Code, Refusal};

pub use keys::{BadKey, KeySet, SkippedKey};

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 512 * 1024;
/// The longest lifetime of a token, unless an option says otherwise.
const MAX_AGE: Duration = Duration::from_secs(30 * 86_400);

/// What the claims of a token must be, beyond a valid signature.
#[derive(Clone, Debug)]
pub struct JwtOptions {
    /// The audience that `aud` must contain. `None` accepts any.
    pub audience: Option<String>,
    /// The issuer that `iss` must be. `None` accepts any.
    pub issuer: Option<String>,
    /// The longest time from `iat`, or from now, to `exp`. Revocations are remembered for as long.
    pub max_age: Duration,
}

impl Default for JwtOptions {
    fn default() -> Self {
        Self {
            audience: None,
            issuer: None,
            max_age: MAX_AGE,
        }
    }
}

/// Why a token gives no grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtError {
    /// The token is refused.
    Refused(Refusal),
    /// No key has the id that the token names. A newer set of keys may have it.
    UnknownKey {
        /// The id, shortened.
        id: String,
    },
}

impl From<JwtError> for Refusal {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Refused(refusal) => refusal,
            JwtError::UnknownKey { id } => {
                refused(format!("no key has the `kid` {id:?} of the token"))
            }
        }
    }
}

fn refused(detail: impl Into<String>) -> Refusal {
    Refusal::new(Code::Unauthorized, detail.into())
}

/// The header of a token. `jku`, `jwk`, `x5u` and `x5c` are never used.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
    #[serde(rename = "b64")]
    is_encoded: Option<Value>,
}

/// Reports whether a text has the form of a signed token: three parts of base64url.
#[must_use]
pub(crate) fn is_jwt(token: &str) -> bool {
    let is_base64url = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let mut parts = token.split('.');
    // The signature of an unsigned token is empty.
    let is_signed = parts
        .by_ref()
        .take(2)
        .filter(|part| is_base64url(part))
        .count()
        == 2;
    let is_signature = |part: &str| part.is_empty() || is_base64url(part);
    is_signed && parts.next().is_some_and(is_signature) && parts.next().is_none()
}

/// Verifies a token and returns its grants. `now_s` is the time in seconds since 1970.
///
/// # Errors
/// `unauthorized`, with the claim or the part of the token that is wrong; [`JwtError::UnknownKey`] if no key has the id
/// that the token names.
pub fn check_jwt(
    token: &str,
    keys: &KeySet,
    options: &JwtOptions,
    now_s: u64,
) -> Result<Grants, JwtError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(JwtError::Refused(refused(
            "the token is longer than 512 KiB",
        )));
    }
    let malformed = || JwtError::Refused(refused("the token is not a signed JWT"));
    let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
    let header: Header = part(header, "header").map_err(JwtError::Refused)?;
    let algorithm = algorithm(&header).map_err(JwtError::Refused)?;
    keys.verify(
        header.kid.as_deref(),
        algorithm,
        message.as_bytes(),
        &signature,
    )?;
    let claims = part(payload, "claims").map_err(JwtError::Refused)?;
    claims::grants(claims, options, now_s).map_err(JwtError::Refused)
}

/// Returns the JSON of one part of a token.
fn part<T: for<'de> Deserialize<'de>>(text: &str, name: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| refused(format!("the {name} of the token are not base64url")))?;
    // An error of the parser may quote the token.
    serde_json::from_slice(&bytes).map_err(|error| {
        let kind = match error.classify() {
            serde_json::error::Category::Data => "have a member twice, or of the wrong type",
            _ => "are not JSON",
        };
        refused(format!("the {name} of the token {kind}"))
    })
}

fn algorithm(header: &Header) -> Result<Algorithm, Refusal> {
    if header.crit.is_some() || header.is_encoded.is_some() {
        return Err(refused(
            "the token has critical header parameters (`crit`), which the hub does not support",
        ));
    }
    header.alg.parse().map_err(|_| {
        let alg: String = header.alg.chars().take(16).collect();
        refused(format!(
            "the token has the algorithm {alg:?}, which the hub does not accept"
        ))
    })
}

#[cfg(test)]
mod tests;
