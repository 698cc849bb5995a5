//! Decodes the query of an address. Knows no parameter by name.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::Refusal;

/// A name of a query and its value, copied only if they contain encoded characters.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Returns the decoded pairs of a query. `+` is a space, and text that is not UTF-8 is refused.
///
/// # Errors
/// `bad_parameter` if a name or value is not UTF-8.
pub fn decode_query(query: &str) -> Result<Vec<Pair<'_>>, Refusal> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_word(name)?, decode_word(value)?))
        })
        .collect()
}

/// Returns one decoded name or value of a query, copied only if it contains encoded characters.
fn decode_word(word: &str) -> Result<Cow<'_, str>, Refusal> {
    if !word.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Ok(Cow::Borrowed(word));
    }
    decode_text(&word.replace('+', " ")).map(Cow::Owned)
}

/// Returns a percent-encoded text, decoded.
///
/// # Errors
/// `bad_parameter` if it is not UTF-8.
pub fn decode_text(text: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| Refusal::bad_parameter("the address is not UTF-8"))
}
