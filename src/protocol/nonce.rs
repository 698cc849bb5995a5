//! A nonce as the answer to its poll repeats it.
//!
//! Kept in place where it is short, as those of our clients are: it is written once, often from afar, and gone.

use smallvec::SmallVec;

/// Bytes of a nonce that needs no place of its own, with its quotes.
const BYTES_USUAL: usize = 24;

/// A nonce as a JSON text; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonce(SmallVec<[u8; BYTES_USUAL]>);

impl Nonce {
    /// Any nonce.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let json = serde_json::Value::from(text).to_string();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_a_json_text() {
        assert_eq!(Nonce::default().json(), b"");
        assert_eq!(Nonce::plain(b"n1"), Nonce::new("n1"));
        assert_eq!(Nonce::new("a\"b").json(), br#""a\"b""#);
        assert_eq!(Nonce::new(&"n".repeat(64)).json().len(), 66);
    }
}
