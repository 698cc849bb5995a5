//! The nonce of a request, which the response to a poll repeats. A refusal repeats it too, even if the rest of the
//! request cannot be read.
//!
//! A short nonce is stored in place, and those of our clients are short. It is written only once, often on another
//! core, and then dropped. Knows no request and no response.

use serde::Deserialize;
use serde_json::Value;
use smallvec::SmallVec;

use super::{NONCE_BYTES_MAX, decode_query};

/// Bytes of a nonce with its quotes that needs no allocation.
const BYTES_USUAL: usize = 24;

/// A nonce as JSON text; empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonce(SmallVec<[u8; BYTES_USUAL]>);

impl Nonce {
    /// Returns a nonce of any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let json = Value::from(text).to_string();
        Self(SmallVec::from_slice(json.as_bytes()))
    }

    /// Returns a nonce of a text that needs no escapes.
    pub(super) fn plain(text: &[u8]) -> Self {
        let mut json = SmallVec::new();
        json.push(b'"');
        json.extend_from_slice(text);
        json.push(b'"');
        Self(json)
    }

    /// Returns the JSON text, which is empty if there is no nonce.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the nonce of a query, even if the rest of the query cannot be read.
#[must_use]
pub fn nonce_of_query(query: &str) -> Option<Box<str>> {
    let pairs = query.split('&').rev();
    let mut decoded = pairs.filter_map(|pair| decode_query(pair).ok()?.pop());
    let (_, nonce) = decoded.find(|(name, _)| name == "nonce")?;
    checked(&nonce)
}

/// The fields of a request's body that matter for a refusal, found even if the rest of the body cannot be used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BodyEcho {
    nonce: Value,
    token: Value,
}

impl BodyEcho {
    /// Reads the body of a reader's request. A body that is not a JSON object has nothing to repeat.
    #[must_use]
    pub fn of(json: &[u8]) -> Self {
        // serde would read an array as an object whose names were omitted.
        let is_object = json.trim_ascii_start().first() == Some(&b'{');
        let object = Some(json).filter(|_| is_object);
        let echo = object.and_then(|json| serde_json::from_slice(json).ok());
        echo.unwrap_or_default()
    }

    /// Returns the nonce.
    #[must_use]
    pub fn nonce(&self) -> Option<Box<str>> {
        match &self.nonce {
            Value::Null => None,
            Value::String(text) => checked(text),
            value => checked(&value.to_string()),
        }
    }

    /// Returns whether the body carries a credential.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_string()
    }
}

/// Returns the nonce if a response may repeat it. One that is too long or has control characters counts as none.
fn checked(nonce: &str) -> Option<Box<str>> {
    let is_nonce = nonce.len() <= NONCE_BYTES_MAX && !nonce.chars().any(char::is_control);
    is_nonce.then(|| nonce.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_found_beside_words_that_cannot_be_read() {
        let of_query = |query: &str| nonce_of_query(query).map(String::from);
        assert_eq!(of_query("since=%ff&nonce=a%20b+c&x"), Some("a b c".into()));
        assert_eq!(of_query("nonce=1&nonce=2"), Some("2".into()));
        assert_eq!(of_query("nonce=%ff"), None);
        assert_eq!(of_query("nonce=%00"), None);
        assert_eq!(of_query(&format!("nonce={}", "n".repeat(65))), None);
        assert_eq!(of_query("since=now"), None);
        let of_body = |json: &str| BodyEcho::of(json.as_bytes()).nonce().map(String::from);
        assert_eq!(of_body(r#"{"channels":7,"nonce":"n"}"#), Some("n".into()));
        assert_eq!(of_body(r#"{"nonce":7}"#), Some("7".into()));
        assert_eq!(of_body(r#"{"nonce":null}"#), None);
        assert_eq!(of_body("[1]"), None);
        assert_eq!(of_body("{"), None);
    }

    #[test]
    fn a_nonce_is_a_json_text() {
        assert_eq!(Nonce::default().json(), b"");
        assert_eq!(Nonce::plain(b"n1"), Nonce::new("n1"));
        assert_eq!(Nonce::new("a\"b").json(), br#""a\"b""#);
        assert_eq!(Nonce::new(&"n".repeat(64)).json().len(), 66);
    }
}
