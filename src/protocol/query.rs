//! The query of an address, decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Refusal;

/// A name of a query and its value, copied only where something in them was encoded.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The pairs of a query, decoded: `+` is a space, and what is not UTF-8 is refused.
///
/// # Errors
/// `bad_parameter` when a name or value is not UTF-8.
pub fn decode_query(query: &str) -> Result<Vec<Pair<'_>>, Refusal> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_word(name)?, decode_word(value)?))
        })
        .collect()
}

/// One word of a query, copied only where something in it was encoded.
fn decode_word(word: &str) -> Result<Cow<'_, str>, Refusal> {
    if !word.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Ok(Cow::Borrowed(word));
    }
    decode_text(&word.replace('+', " ")).map(Cow::Owned)
}

/// A percent-encoded text, decoded.
///
/// # Errors
/// `bad_parameter` when it is not UTF-8.
pub fn decode_text(text: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| Refusal::bad_parameter("the address is not UTF-8"))
}
