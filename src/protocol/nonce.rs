//! The nonce of a request: as the answer to its poll repeats it, and as a refusal finds it.
//!
//! Kept in place where it is short, as those of our clients are: it is written once, often from afar, and gone.

use serde::Deserialize;
use serde_json::Value;
use smallvec::SmallVec;

use super::{NONCE_BYTES_MAX, decode_query};

/// Bytes of a nonce that needs no place of its own, with its quotes.
const BYTES_USUAL: usize = 24;

/// A nonce as a JSON text; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonce(SmallVec<[u8; BYTES_USUAL]>);

impl Nonce {
    /// Any nonce.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let json = Value::from(text).to_string();
        Self(SmallVec::from_slice(json.as_bytes()))
    }

    /// One that needs no escape.
    pub(super) fn plain(text: &[u8]) -> Self {
        let mut json = SmallVec::new();
        json.push(b'"');
        json.extend_from_slice(text);
        json.push(b'"');
        Self(json)
    }

    /// The JSON text; empty where there is none.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.0
    }
}

/// The nonce of a query, found even where the rest of the query cannot be read.
#[must_use]
pub fn nonce_of_query(query: &str) -> Option<Box<str>> {
    let pairs = query.split('&').rev();
    let mut decoded = pairs.filter_map(|pair| decode_query(pair).ok()?.pop());
    let (_, nonce) = decoded.find(|(name, _)| name == "nonce")?;
    checked(&nonce)
}

/// What a refusal repeats of a request's body, found even where the rest of the body cannot be used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BodyEcho {
    nonce: Value,
    token: Value,
}

impl BodyEcho {
    /// Reads the body of a reader's request. One that is no JSON object has nothing to repeat.
    #[must_use]
    pub fn of(json: &[u8]) -> Self {
        // serde would read an array as an object whose names were left out.
        let is_object = json.trim_ascii_start().first() == Some(&b'{');
        let object = Some(json).filter(|_| is_object);
        let echo = object.and_then(|json| serde_json::from_slice(json).ok());
        echo.unwrap_or_default()
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> Option<Box<str>> {
        match &self.nonce {
            Value::Null => None,
            Value::String(text) => checked(text),
            value => checked(&value.to_string()),
        }
    }

    /// Whether the body carries a credential.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_string()
    }
}

/// A nonce that may be repeated: one that is too long is none.
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
