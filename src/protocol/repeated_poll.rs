//! A repeated poll: it differs from the poll before it only in its cursor and nonce, and is recognized by its head
//! alone.
//!
//! Compares bytes and reads two values. `protocol/attach_request.rs` reads everything else.

use smallvec::SmallVec;

use crate::protocol::cursor::{Cursor, Since};

use super::{NONCE_BYTES_MAX, Nonce};

/// The beginning of a poll's head.
const METHOD: &[u8] = b"GET ";
/// The usual number of values in an address that may vary: `since` and `nonce`.
const HOLES_USUAL: usize = 2;

/// The values of a poll that repeats an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedPoll {
    /// Its `since`.
    pub cursor: Cursor,
    /// Its `nonce`.
    pub nonce: Nonce,
    /// The length of its head in bytes.
    pub head_bytes: usize,
}

/// The head of a poll, and the variable spans in which a repeated poll may differ: the values of `since` and `nonce`.
#[derive(Clone, Debug)]
pub struct PollHead {
    head: Box<[u8]>,
    holes: SmallVec<[VariableSpan; HOLES_USUAL]>,
}

/// A value that may vary.
#[derive(Clone, Copy, Debug)]
struct VariableSpan {
    from: u16,
    to: u16,
    is_nonce: bool,
}

impl PollHead {
    /// Reads a head, including its empty line. Returns `None` if no repeated poll can be recognized by this head: it
    /// has no `since`, or one that would have to be decoded.
    #[must_use]
    pub fn new(head: &[u8]) -> Option<Self> {
        let target = head.strip_prefix(METHOD)?;
        let end = METHOD.len() + memchr::memchr(b' ', target)?;
        let question = METHOD.len() + memchr::memchr(b'?', target)?;
        // The part after a fragment sign does not belong to the query.
        let asked = head.get(question + 1..end)?;
        if memchr::memchr(b'#', asked).is_some() {
            return None;
        }
        let mut at = question + 1;
        let mut holes = SmallVec::<[VariableSpan; HOLES_USUAL]>::new();
        for pair in asked.split(|byte| *byte == b'&') {
            let name = pair.split(|byte| *byte == b'=').next()?;
            // An encoded name may stand for `since` or `nonce`. A start of one channel by name does not vary.
            if name.iter().any(|byte| b"%+.".contains(byte)) {
                return None;
            }
            let is_nonce = name == b"nonce";
            if is_nonce || name == b"since" {
                // A name without a value does not vary.
                let from = at + name.len() + 1;
                let (from, to) = (from.try_into().ok()?, (at + pair.len()).try_into().ok()?);
                (from <= to).then(|| holes.push(VariableSpan { from, to, is_nonce }))?;
            }
            at += pair.len() + 1;
        }
        let moves = holes.iter().any(|hole| !hole.is_nonce);
        moves.then(|| Self {
            head: head.into(),
            holes,
        })
    }

    /// Returns the values of a repeated poll whose head is at the beginning of these bytes. Returns `None` if the bytes
    /// are anything else, or if a value would have to be decoded.
    #[must_use]
    pub fn moved(&self, bytes: &[u8]) -> Option<RepeatedPoll> {
        let (mut rest, mut from) = (bytes, 0);
        let (mut cursor, mut nonce) = (None, Nonce::default());
        for hole in &self.holes {
            rest = rest.strip_prefix(&self.head[from..usize::from(hole.from)])?;
            from = hole.to.into();
            let end = rest.iter().position(|byte| !is_plain(*byte))?;
            let (value, behind) = rest.split_at(end);
            rest = behind;
            if hole.is_nonce {
                nonce = (value.len() <= NONCE_BYTES_MAX).then(|| Nonce::plain(value))?;
            } else {
                match str::from_utf8(value).ok()?.parse() {
                    Ok(Since::At(at)) => cursor = Some(at),
                    _ => return None,
                }
            }
        }
        rest = rest.strip_prefix(&self.head[from..])?;
        Some(RepeatedPoll {
            cursor: cursor?,
            nonce,
            head_bytes: bytes.len() - rest.len(),
        })
    }
}

/// Returns whether a byte stands for itself without being decoded. Cursors consist of such bytes, and so do the nonces
/// of our clients.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(address: &str) -> String {
        format!("GET {address} HTTP/1.1\r\nHost: h\r\n\r\n")
    }

    fn between(earlier: &str, later: &str) -> Option<RepeatedPoll> {
        PollHead::new(head(earlier).as_bytes())?.moved(head(later).as_bytes())
    }

    #[test]
    fn only_since_and_nonce_may_differ() {
        let earlier = "/poll?channels=a%2Cb&since=k-5&nonce=n1&session=S&echo=0";
        let moved = |later| between(earlier, later);
        let there = moved("/poll?channels=a%2Cb&since=k-17&nonce=n2&session=S&echo=0").unwrap();
        assert_eq!(there.cursor, "k-17".parse().unwrap());
        assert_eq!(there.nonce, Nonce::new("n2"));
        assert_eq!(there.head_bytes, head(earlier).len() + 1);
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
            "/poll?channels=a%2Cb&since=k-7&since=k-8&session=S&echo=0",
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
    fn values_at_the_end_of_an_address_and_none_at_all_are_read() {
        let there = between("/poll/a?nonce=&since=k-5", "/poll/a?nonce=&since=k-6").unwrap();
        assert_eq!(there.nonce, Nonce::new(""));
        let there = between("/poll/a?since=k-5", "/poll/a?since=k-66").unwrap();
        assert_eq!(there.nonce, Nonce::default());
    }

    #[test]
    fn a_head_must_be_there_whole_and_be_the_same() {
        let earlier = head("/poll/a?since=k-5");
        let asked = PollHead::new(earlier.as_bytes()).unwrap();
        for end in 0..earlier.len() {
            assert_eq!(asked.moved(&earlier.as_bytes()[..end]), None, "{end}");
        }
        assert!(asked.moved(format!("{earlier}GET /").as_bytes()).is_some());
        let other = earlier.replace("Host", "host");
        assert_eq!(asked.moved(other.as_bytes()), None);
        assert!(PollHead::new(b"POST /poll/a?since=k-5 HTTP/1.1\r\n\r\n").is_none());
    }

    #[test]
    fn what_would_have_to_be_decoded_is_left() {
        for address in [
            "/poll/a?since=k-5&s%69nce=k-1",
            "/poll/a,b?since=k-5&since.b=k-1",
            "/poll/a?since=k-5&nonce",
            "/poll/a",
            "/poll/a?nonce=n",
            "/poll/a?since=k-5#&since=k-1",
        ] {
            assert_eq!(between(address, address), None, "{address}");
        }
    }
}
