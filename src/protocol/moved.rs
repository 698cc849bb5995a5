//! A poll that asks for the same as the one before it, but from another place: known by its address alone.
//!
//! Compares bytes and reads two words; everything else is read in `opening`.

use crate::cursor::{Cursor, Start};

use super::NONCE_BYTES_MAX;

/// Where a poll goes on that asks for nothing else than an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its `since`.
    pub cursor: Cursor,
    /// Its `nonce`.
    pub nonce: Option<Box<str>>,
}

impl Moved {
    /// Compares two addresses, each a path and a query; `None` where anything but the values of `since` and `nonce`
    /// differs, or where one of these would have to be decoded.
    #[must_use]
    pub fn between(earlier: &str, later: &str) -> Option<Self> {
        let (path, earlier) = earlier.split_once('?')?;
        let (same_path, later) = later.split_once('?')?;
        if path != same_path {
            return None;
        }
        let (mut cursor, mut nonce) = (None, None);
        let mut rest = Some(later);
        for was in earlier.split('&') {
            let later = rest?;
            let name = was.split_once('=').map_or(was, |(name, _)| name);
            let pair = match name {
                "since" | "nonce" => later.split_once('&').map_or(later, |(pair, _)| pair),
                // An encoded name may be one of these two; a start of one channel by name does not move.
                _ if name.contains(['%', '+', '.', '#']) => return None,
                _ => was,
            };
            let value = pair.strip_prefix(name)?;
            match (name, value.strip_prefix('=')) {
                ("since", Some(value)) => match value.parse() {
                    Ok(Start::At(at)) => cursor = Some(at),
                    _ => return None,
                },
                ("nonce", Some(value)) if is_plain_nonce(value) => nonce = Some(value.into()),
                ("since" | "nonce", _) => return None,
                _ => {}
            }
            rest = match later.strip_prefix(pair)? {
                "" => None,
                more => Some(more.strip_prefix('&')?),
            };
        }
        if rest.is_some() {
            return None;
        }
        cursor.map(|cursor| Self { cursor, nonce })
    }
}

/// Whether a nonce means what it says without being decoded, as those of our clients do.
fn is_plain_nonce(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    value.len() <= NONCE_BYTES_MAX && value.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_since_and_nonce_may_differ() {
        let earlier = "/poll?channels=a%2Cb&since=k-5&nonce=n1&session=S&echo=0";
        let moved = |later| Moved::between(earlier, later);
        let there = moved("/poll?channels=a%2Cb&since=k-7&nonce=n2&session=S&echo=0").unwrap();
        assert_eq!(there.cursor, "k-7".parse().unwrap());
        assert_eq!(there.nonce.as_deref(), Some("n2"));
        for later in [
            "/poll?channels=a%2Cc&since=k-7&nonce=n2&session=S&echo=0",
            "/poll?channels=a%2Cb&since=k-7&nonce=n2&session=T&echo=0",
            "/poll?channels=a%2Cb&since=k-7&nonce=n2&session=S&echo=1",
            "/poll?channels=a%2Cb&since=k-7&nonce=n2&session=S",
            "/poll?channels=a%2Cb&since=k-7&nonce=n2&session=S&echo=0&wait=1",
            "/poll?channels=a%2Cb&nonce=n2&since=k-7&session=S&echo=0",
            "/poll?channels=a%2Cb&since=now&nonce=n2&session=S&echo=0",
            "/poll?channels=a%2Cb&since=&nonce=n2&session=S&echo=0",
            "/poll?channels=a%2Cb&since=k-7&nonce=%20&session=S&echo=0",
            "/poll?channels=a%2Cb&since=k-7&nonce=a+b&session=S&echo=0",
            "/poll/a?channels=a%2Cb&since=k-7&nonce=n2&session=S&echo=0",
            "/poll",
        ] {
            assert_eq!(moved(later), None, "{later}");
        }
        let long = "n".repeat(NONCE_BYTES_MAX + 1);
        let with_nonce = format!("/poll?channels=a%2Cb&since=k-7&nonce={long}&session=S&echo=0");
        assert_eq!(moved(&with_nonce), None);
    }

    #[test]
    fn what_would_have_to_be_decoded_is_left() {
        for address in [
            "/poll/a?since=k-5&s%69nce=k-1",
            "/poll/a,b?since=k-5&since.b=k-1",
            "/poll/a",
            "/poll/a?nonce=n",
        ] {
            assert_eq!(Moved::between(address, address), None, "{address}");
        }
    }
}
