//! The requests of the load: heads, bodies and WebSocket messages, parsed without a copy.
//!
//! The parser understands the output of `triway bench`. Any other input closes the connection.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::words::EPOCH;

/// Highest number of headers in a request.
const HEADERS_MAX: usize = 32;
/// First byte of a text message in one frame: FIN and the opcode.
const FINAL_TEXT: u8 = 0x81;
/// First byte of a Close frame: FIN and the opcode.
const FINAL_CLOSE: u8 = 0x88;
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const HEALTHY: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 36\r\n\r\n{\"magic\":\"triway/1\",\"build\":\"floor\"}";

/// The transport of a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Ws,
    Sse,
    Poll,
}

/// A parsed request.
pub(super) enum Asked<'a> {
    Read(Read<'a>),
    Publish {
        channel: &'a str,
        data: &'a [u8],
        /// Whether the publisher has a session. The event then names its id.
        is_known: bool,
    },
    Other(&'static str),
}

/// A reading request.
pub(super) struct Read<'a> {
    pub(super) way: Way,
    pub(super) channels: Vec<Cow<'a, str>>,
    pub(super) since: Option<u64>,
    pub(super) nonce: &'a str,
    pub(super) accept: Option<String>,
}

/// A command over a WebSocket.
#[derive(Deserialize)]
pub(super) struct Command<'a> {
    pub(super) channel: &'a str,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    pub(super) number: Option<&'a RawValue>,
}

/// Parses the first request with its body. Returns the number of its bytes and the request, or `None` if it is
/// incomplete.
pub(super) fn asked(bytes: &[u8]) -> Result<Option<(usize, Asked<'_>)>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).map_err(drop)? else {
        return Ok(None);
    };
    let (mut body, mut accept) = (0, None);
    for header in &*request.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = str::from_utf8(header.value).map_err(drop)?;
            body = text.parse().map_err(drop)?;
        } else if header.name.eq_ignore_ascii_case("sec-websocket-key") {
            accept = Some(derive_accept_key(header.value));
        }
    }
    let Some(data) = bytes.get(head..head + body) else {
        return Ok(None);
    };
    let asked = of_target(request.path.ok_or(())?, data, accept);
    Ok(Some((head + body, asked)))
}

fn of_target<'a>(target: &'a str, data: &'a [u8], accept: Option<String>) -> Asked<'a> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let parameter = |wanted| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
            .next()
    };
    let way = match first {
        "ws" => Way::Ws,
        "sse" => Way::Sse,
        "poll" => Way::Poll,
        "pub" => {
            return Asked::Publish {
                channel: parameter("channels").unwrap_or(rest),
                data,
                is_known: parameter("session").is_some(),
            };
        }
        "healthz" | "readyz" => return Asked::Other(HEALTHY),
        _ => return Asked::Other(NOT_FOUND),
    };
    let names = parameter("channels").unwrap_or(rest).split(',');
    let since = parameter("since").and_then(|since| since.strip_prefix(EPOCH)?.strip_prefix('-'));
    Asked::Read(Read {
        way,
        channels: names
            .map(|name| percent_decode_str(name).decode_utf8_lossy())
            .collect(),
        since: since.and_then(|offset| offset.parse().ok()),
        nonce: parameter("nonce").unwrap_or_default(),
        accept,
    })
}

/// Parses the first frame. Returns the number of its bytes and its unmasked text, if it has one. Returns `None` if the
/// frame is incomplete.
#[expect(clippy::type_complexity, reason = "one caller, told in the line above")]
pub(super) fn message(bytes: &mut [u8]) -> Result<Option<(usize, Option<&[u8]>)>, ()> {
    let [kind, second, ..] = *bytes else {
        return Ok(None);
    };
    let (at, length) = match second & 0x7f {
        126 => match bytes.get(2..4) {
            Some(two) => (4, usize::from(u16::from_be_bytes([two[0], two[1]]))),
            None => return Ok(None),
        },
        127 => return Err(()),
        short => (2, usize::from(short)),
    };
    if kind == FINAL_CLOSE || second & 0x80 == 0 {
        return Err(());
    }
    let end = at + 4 + length;
    if bytes.len() < end {
        return Ok(None);
    }
    let (head, text) = bytes[..end].split_at_mut(at + 4);
    let mask = &head[at..];
    for (index, byte) in text.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
    Ok(Some((end, (kind == FINAL_TEXT).then_some(text))))
}

pub(super) fn command(text: &[u8]) -> Option<Command<'_>> {
    serde_json::from_slice(text).ok()
}
