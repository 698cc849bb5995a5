//! The claims of a token, checked one by one.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{JwtOptions, refused};
use crate::auth::{Grants, Reach};
use crate::protocol::{INFO_BYTES_MAX, Refusal};

/// By how much the clock of the issuer may be ahead. Nothing extends `exp`.
const LEEWAY: Duration = Duration::from_secs(5);
/// The longest `jti`, in bytes.
const ID_BYTES_MAX: usize = 128;

/// The claims that the hub reads. A claim that stands twice is an error of the parser; `null` is a value.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "given")]
    sub: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    exp: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    iat: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    nbf: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    jti: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    aud: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    iss: Option<Value>,
    #[serde(default, deserialize_with = "given")]
    triway: Option<Value>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Returns the grants of claims whose signature was verified.
pub(super) fn grants(claims: Claims, options: &JwtOptions, now_s: u64) -> Result<Grants, Refusal> {
    let user = text("sub", claims.sub)?.ok_or_else(|| missing("sub"))?;
    let expires = seconds("exp", claims.exp)?.ok_or_else(|| missing("exp"))?;
    let issued = seconds("iat", claims.iat)?;
    let begins = seconds("nbf", claims.nbf)?;
    let id = text("jti", claims.jti)?;
    check_times(now_s, expires, issued, begins, options.max_age)?;
    check_audience(claims.aud, options.audience.as_deref())?;
    check_issuer(claims.iss, options.issuer.as_deref())?;
    if id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
        return Err(refused("the claim `jti` is longer than 128 bytes"));
    }
    let Access {
        read,
        publish,
        info,
    } = access(claims.triway)?;
    let grants = Grants::new(read, publish)
        .with_user(&user)
        .map_err(|refusal| refused(format!("the claim `sub`: {}", refusal.detail)))?;
    Ok(grants
        .until(expires)
        .issued(issued, id.as_deref())
        .showing(info))
}

fn check_times(
    now_s: u64,
    expires: u64,
    issued: Option<u64>,
    begins: Option<u64>,
    max_age: Duration,
) -> Result<(), Refusal> {
    let latest = now_s + LEEWAY.as_secs();
    if now_s >= expires {
        return Err(refused("the token has expired (`exp`)"));
    }
    if begins.is_some_and(|begins| begins > latest) {
        return Err(refused("the token is not valid yet (`nbf`)"));
    }
    if issued.is_some_and(|issued| issued > latest) {
        return Err(refused(
            "the token was issued in the future (`iat`); compare the clocks",
        ));
    }
    if expires - issued.unwrap_or(now_s).min(expires) > max_age.as_secs() {
        return Err(refused(
            "the token lives longer than the hub allows (--token-max-age)",
        ));
    }
    Ok(())
}

fn check_audience(claim: Option<Value>, wanted: Option<&str>) -> Result<(), Refusal> {
    let names: Vec<String> = match claim {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names
            .into_iter()
            .map(|name| text("aud", Some(name)))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect(),
        Some(_) => return Err(wrong_type("aud", "a text or a list of texts")),
    };
    match wanted {
        Some(wanted) if !names.iter().any(|name| name == wanted) => {
            Err(refused("the token is for another audience (`aud`)"))
        }
        _ => Ok(()),
    }
}

fn check_issuer(claim: Option<Value>, wanted: Option<&str>) -> Result<(), Refusal> {
    let issuer = text("iss", claim)?;
    match wanted {
        Some(wanted) if issuer.as_deref() != Some(wanted) => {
            Err(refused("the token is from another issuer (`iss`)"))
        }
        _ => Ok(()),
    }
}

/// The claim `triway`.
struct Access {
    read: Reach,
    publish: Reach,
    /// JSON.
    info: Option<String>,
}

fn access(claim: Option<Value>) -> Result<Access, Refusal> {
    let mut members = match claim {
        None => serde_json::Map::new(),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(wrong_type("triway", "an object")),
    };
    let mut reach = |name: &str| match members.remove(name) {
        None => Ok(Reach::Some(Vec::new())),
        Some(Value::Array(patterns)) => patterns_of(name, patterns),
        Some(_) => Err(wrong_type(&format!("triway.{name}"), "a list of texts")),
    };
    let (read, publish) = (reach("read")?, reach("publish")?);
    let info = members.remove("info").map(|info| info.to_string());
    if info
        .as_ref()
        .is_some_and(|info| info.len() > INFO_BYTES_MAX)
    {
        return Err(refused(format!(
            "the claim `triway.info` is longer than {INFO_BYTES_MAX} bytes"
        )));
    }
    if let Some(unknown) = members.keys().next() {
        let name: String = unknown.chars().take(32).collect();
        return Err(refused(format!(
            "the claim `triway` has an unknown member {name:?}"
        )));
    }
    Ok(Access {
        read,
        publish,
        info,
    })
}

fn patterns_of(name: &str, patterns: Vec<Value>) -> Result<Reach, Refusal> {
    let claim = format!("triway.{name}");
    let patterns = patterns
        .into_iter()
        .map(|pattern| match pattern {
            Value::String(pattern) => Ok(pattern),
            _ => Err(wrong_type(&claim, "a list of texts")),
        })
        .collect::<Result<_, _>>()?;
    Reach::of_patterns(patterns).map_err(|bad| refused(format!("the claim `{claim}`: {bad}")))
}

fn text(name: &str, claim: Option<Value>) -> Result<Option<String>, Refusal> {
    match claim {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(name, "a text")),
    }
}

/// Returns a claim of seconds since 1970. Fractions are cut off.
fn seconds(name: &str, claim: Option<Value>) -> Result<Option<u64>, Refusal> {
    /// Beyond this, a number of seconds is a mistake, such as milliseconds.
    const LATEST_S: f64 = 1e11;
    let Some(claim) = claim else { return Ok(None) };
    match claim.as_f64() {
        Some(seconds) if (0.0..=LATEST_S).contains(&seconds) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked"
            )]
            Ok(Some(seconds as u64))
        }
        _ => Err(wrong_type(name, "a number of seconds since 1970")),
    }
}

fn missing(name: &str) -> Refusal {
    refused(format!("the claim `{name}` is missing"))
}

fn wrong_type(name: &str, expected: &str) -> Refusal {
    refused(format!("the claim `{name}` is not {expected}"))
}
