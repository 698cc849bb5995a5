//! The parameters with which a reader opens: channels, starts, format, session and others. Parses them for all three
//! transports from the address, a header and the body.
//!
//! Checks the syntax. Grants nothing and opens nothing.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::query::decode_query;
use super::since::{Named, SinceMap, named, names_of_path};
use super::{AskedChannel, Code, INFO_BYTES_MAX, NONCE_BYTES_MAX, Refusal};
use crate::protocol::cursor::Since;

/// The longest `heartbeat` and `wait`, in seconds. By default, proxies cut a silent connection after 60.
const SECONDS_MAX: f64 = 60.0;
/// The largest `replay`, in bytes: the default bound of the history of sixteen channels.
const REPLAY_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// The longest `why`, in bytes. It becomes a label of a metric.
const WHY_BYTES_MAX: usize = 32;

/// A transport by which a reader receives events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket.
    Ws,
    /// Server-Sent Events.
    Sse,
    /// HTTP long polling.
    Poll,
}

impl Transport {
    /// All transports, best first.
    pub const ALL: [Self; 3] = [Self::Ws, Self::Sse, Self::Poll];

    /// Returns the name, as it occurs in addresses and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }
}

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Frames as JSON.
    Full,
    /// Bare data.
    Data,
}

/// The channels of a session in which it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShownIn {
    /// No channel.
    #[default]
    Nowhere,
    /// All its channels.
    Everywhere,
    /// The channels whose `$presence/NAME` it reads too.
    Watched,
}

/// The parameters of a reader, parsed.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    /// The transport.
    pub transport: Transport,
    /// The channels in the order of the request, each with its start or its refusal. No channel occurs twice. Once the
    /// reader is open, only refused channels remain, except for a WebSocket in format `data`.
    pub channels: Vec<AskedChannel>,
    /// How frames are written.
    pub format: Format,
    /// The session key from an earlier hello.
    pub session: Option<String>,
    /// A credential from the body or the query.
    pub token: Option<String>,
    /// Whether a token was in the query, which the hub must be configured to accept.
    pub token_in_query: bool,
    /// The channels in which this session is shown.
    pub presence: ShownIn,
    /// What presence shows with the session: a JSON text.
    pub info: Option<Bytes>,
    /// The longest time between two pings, in seconds.
    pub heartbeat_s: Option<u64>,
    /// A text that the answer echoes.
    pub nonce: Option<String>,
    /// Whether this session's own events are delivered to it.
    pub echo: bool,
    /// How long a poll is held.
    pub wait: Option<Duration>,
    /// Whether the response head of a poll is sent at once.
    pub early: bool,
    /// Whether the reader wants lone pings, which reveal a proxy that holds frames back.
    pub probe: bool,
    /// The most bytes of data to replay. If there are more, nothing is replayed.
    pub replay: Option<u32>,
    /// The client's reason for this attachment, for the metrics.
    pub why: Option<String>,
}

/// The JSON body of a POST that opens a reader. It has the same parameters as the query.
#[derive(Debug, Default, Deserialize)]
pub struct AttachBody {
    channels: Option<Vec<String>>,
    since: Option<Value>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl AttachBody {
    /// Parses a body.
    ///
    /// # Errors
    /// `bad_json` if it is not a JSON object, or if `channels` is not a list of strings.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(json).map_err(|error| Refusal::bad_json(&error))
    }
}

impl AttachRequest {
    /// Parses a request: the channels of its path and its query, both still percent-encoded, the value of
    /// `Last-Event-ID`, and its body.
    ///
    /// # Errors
    /// `bad_channel`, `bad_cursor`, `bad_json` or `bad_parameter`; the detail names what is wrong.
    pub fn parse(
        transport: Transport,
        path: Option<&str>,
        query: &str,
        last_event_id: Option<&[u8]>,
        body: Option<AttachBody>,
    ) -> Result<Self, Refusal> {
        let mut attach_request = Self::empty(transport);
        let mut starts = SinceMap::default();
        let mut places = Vec::new();
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            places.push(names_of_path(path));
        }
        for (name, value) in decode_query(query)? {
            match &*name {
                // A name contains no comma, so an encoded comma separates names too.
                "channels" => places.push(value.split(',').map(named).collect()),
                "since" => starts.set("", &value)?,
                "token" => {
                    (attach_request.token, attach_request.token_in_query) =
                        (Some(value.into_owned()), true);
                }
                _ => match name.strip_prefix("since.") {
                    Some(channel) => starts.set(channel, &value)?,
                    None => attach_request.set(&name, &value)?,
                },
            }
        }
        if let Some(body) = body {
            attach_request.read_body(body, &mut starts, &mut places)?;
        }
        if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
            let cursor = str::from_utf8(id).ok().and_then(|text| text.parse().ok());
            // A browser's EventSource reconnects to its original address. The starts in it were meant for the first
            // connection.
            starts.all = Some(cursor.map_or(Since::Unknown, Since::At));
            starts.named.clear();
        }
        attach_request.channels = match places.len() {
            0 => return Err(Refusal::bad_channel("no channel is named")),
            1 => starts.spread(places.remove(0))?,
            _ => {
                return Err(Refusal::bad_channel("channels are named in two places"));
            }
        };
        if attach_request.channels.is_empty() {
            return Err(Refusal::bad_channel("the list of channels is empty"));
        }
        match (attach_request.format, transport) {
            (Format::Data, Transport::Ws) if attach_request.channels.len() > 1 => Err(
                Refusal::bad_parameter("`format=data` on a WebSocket allows only one channel"),
            ),
            (Format::Data, _) if attach_request.replay.is_some() => Err(Refusal::bad_parameter(
                "`replay` needs `format=full`, whose hello reports that nothing was replayed",
            )),
            // A poll's answer has a cursor besides its frames, and bare data has no room for it.
            (Format::Data, Transport::Poll) => Err(Refusal::bad_parameter(
                "`format=data` is for WebSocket and SSE; a poll's answer is JSON",
            )),
            _ => Ok(attach_request),
        }
    }

    fn empty(transport: Transport) -> Self {
        Self {
            transport,
            channels: Vec::new(),
            format: if transport == Transport::Sse {
                Format::Data
            } else {
                Format::Full
            },
            session: None,
            token: None,
            token_in_query: false,
            presence: ShownIn::Nowhere,
            info: None,
            heartbeat_s: None,
            nonce: None,
            echo: true,
            wait: None,
            early: false,
            probe: false,
            replay: None,
            why: None,
        }
    }

    fn read_body(
        &mut self,
        body: AttachBody,
        starts: &mut SinceMap,
        places: &mut Vec<Vec<Named>>,
    ) -> Result<(), Refusal> {
        if let Some(channels) = body.channels {
            places.push(channels.iter().map(|name| named(name)).collect());
        }
        match body.since {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => starts.set("", &text)?,
            Some(Value::Object(named)) => {
                for (name, start) in named {
                    match start.as_str() {
                        Some(text) => starts.set(&name, text)?,
                        None if name.is_empty() => {
                            return Err(Refusal::bad_parameter("a start must be a string"));
                        }
                        None => {
                            let refusal = Refusal::new(Code::BadCursor, "a start must be a string");
                            starts.set_named(&name, Err(refusal))?;
                        }
                    }
                }
            }
            Some(_) => {
                return Err(Refusal::bad_parameter(
                    "`since` must be a string or an object of strings",
                ));
            }
        }
        for (name, value) in body.rest {
            match (name.as_str(), value) {
                ("token", Value::String(token)) => {
                    self.token = Some(token);
                }
                (_, Value::Null) => {}
                (_, Value::String(text)) if name != "info" => self.set(&name, &text)?,
                (_, value) => self.set(&name, &value.to_string())?,
            }
        }
        Ok(())
    }

    /// Sets one parameter. Unknown ones are ignored, because later versions of the protocol may define them.
    fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match name {
            "format" => self.format = parse_format(value)?,
            "session" => self.session = (!value.is_empty()).then(|| value.to_owned()),
            "presence" => self.presence = parse_shown(value)?,
            "info" => self.info = parse_info(value)?,
            "heartbeat" => self.heartbeat_s = Some(parse_seconds(name, value, 1.0)?.as_secs()),
            "nonce" => self.nonce = Some(bounded(name, value, NONCE_BYTES_MAX)?),
            "echo" => self.echo = parse_switch(name, value)?,
            "wait" => self.wait = Some(parse_seconds(name, value, 0.0)?),
            "early" => self.early = parse_switch(name, value)?,
            "probe" => self.probe = parse_switch(name, value)?,
            "replay" => self.replay = Some(parse_replay(value)?),
            "why" => self.why = Some(bounded(name, value, WHY_BYTES_MAX)?),
            _ => {}
        }
        Ok(())
    }
}

fn parse_format(value: &str) -> Result<Format, Refusal> {
    match value {
        "full" => Ok(Format::Full),
        "data" => Ok(Format::Data),
        _ => Err(Refusal::bad_parameter("`format` must be `full` or `data`")),
    }
}

fn parse_shown(value: &str) -> Result<ShownIn, Refusal> {
    match value {
        "1" | "true" => Ok(ShownIn::Everywhere),
        "0" | "false" => Ok(ShownIn::Nowhere),
        "watched" => Ok(ShownIn::Watched),
        _ => Err(Refusal::bad_parameter("`presence` must be 0, 1 or watched")),
    }
}

fn parse_switch(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Refusal::bad_parameter(format!("`{name}` must be 0 or 1"))),
    }
}

fn parse_info(value: &str) -> Result<Option<Bytes>, Refusal> {
    if value.len() > INFO_BYTES_MAX {
        return Err(Refusal::bad_parameter("`info` is longer than 1 KiB"));
    }
    match super::Data::from_json(value.as_bytes())? {
        super::Data::Json(text) | super::Data::Bytes(text) => Ok(Some(text)),
    }
}

fn parse_seconds(name: &str, value: &str, least: f64) -> Result<Duration, Refusal> {
    match value.parse::<f64>() {
        Ok(seconds) if (least..=SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Refusal::bad_parameter(format!(
            "`{name}` must be {least} to 60 seconds"
        ))),
    }
}

fn parse_replay(value: &str) -> Result<u32, Refusal> {
    match value.parse() {
        Ok(bytes @ 0..=REPLAY_BYTES_MAX) => Ok(bytes),
        _ => Err(Refusal::bad_parameter(
            "`replay` must be 0 to 16,777,216 bytes",
        )),
    }
}

fn bounded(name: &str, value: &str, bytes: usize) -> Result<String, Refusal> {
    if value.len() > bytes || value.chars().any(char::is_control) {
        return Err(Refusal::bad_parameter(format!(
            "`{name}` must have at most {bytes} bytes without control characters"
        )));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, query: &str) -> Result<AttachRequest, Refusal> {
        AttachRequest::parse(Transport::Poll, Some(path), query, None, None)
    }

    #[test]
    fn all_parameters_are_read() {
        let read = |query| AttachRequest::parse(Transport::Sse, Some("a,b"), query, None, None);
        let attach_request = read(
            "since=k-5&since.b=last%3A3&format=full&replay=0&session=S&presence=1&info=%7B%22n%22:1%7D&heartbeat=5&nonce=n&echo=0&wait=0.5&early=1&probe=1&why=ws:refused&unknown=1",
        )
        .unwrap();
        let names: Vec<_> = attach_request
            .channels
            .iter()
            .flatten()
            .map(|(name, start)| format!("{name} {start:?}"))
            .collect();
        assert_eq!(names, ["a At(k-5)", "b Last(3)"]);
        assert_eq!(
            (attach_request.format, attach_request.replay),
            (Format::Full, Some(0))
        );
        assert_eq!(attach_request.info.as_deref(), Some(&b"{\"n\":1}"[..]));
        assert_eq!(attach_request.wait, Some(Duration::from_millis(500)));
        assert!(
            attach_request.presence == ShownIn::Everywhere
                && !attach_request.echo
                && attach_request.early
                && attach_request.probe
        );
        assert_eq!(
            (attach_request.heartbeat_s, attach_request.why.as_deref()),
            (Some(5), Some("ws:refused"))
        );
    }

    #[test]
    fn a_body_says_the_same_words() {
        let body = AttachBody::parse(br#"{"channels":["a","b"],"since":{"":"k-5","b":"all"},"session":"S","token":"T","presence":true,"info":{"n":1},"wait":2}"#).unwrap();
        let attach_request =
            AttachRequest::parse(Transport::Poll, None, "nonce=1", None, Some(body)).unwrap();
        assert_eq!(attach_request.channels[1].as_ref().unwrap().1, Since::All);
        assert_eq!(attach_request.info.as_deref(), Some(&b"{\"n\":1}"[..]));
        assert_eq!(
            (
                attach_request.token.as_deref(),
                attach_request.token_in_query
            ),
            (Some("T"), false)
        );
        assert_eq!(attach_request.presence, ShownIn::Everywhere);
    }

    #[test]
    fn last_event_id_wins_and_may_be_malformed() {
        let start = |id: &str| {
            AttachRequest::parse(
                Transport::Sse,
                Some("a"),
                "since=k-5&since.a=last:3",
                Some(id.as_bytes()),
                None,
            )
            .unwrap()
            .channels
            .remove(0)
            .unwrap()
            .1
        };
        assert_eq!(start("k-9"), Since::At("k-9".parse().unwrap()));
        assert_eq!(start("nonsense"), Since::Unknown);
    }

    #[test]
    fn what_is_wrong_with_one_channel_harms_no_other() {
        let query = "since.b=x&since.c=last:2&since.c=all";
        let attach_request = parse("a,b,,c,a,%FF,d%2Ce", query).unwrap();
        let told = attach_request.channels.iter().map(|channel| match channel {
            Ok((name, start)) => format!("{name} {start:?}"),
            Err(refused) => format!("{} {}", refused.channel, refused.refusal.code.as_str()),
        });
        let expected = [
            "a Now",
            "b bad_cursor",
            " bad_channel",
            "c All",
            "%FF bad_channel",
            "d,e bad_channel",
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        let body = br#"{"channels":["a","b","\u0000"],"since":{"b":5}}"#;
        let body = AttachBody::parse(body).unwrap();
        let attach_request =
            AttachRequest::parse(Transport::Poll, None, "", None, Some(body)).unwrap();
        let are_right: Vec<bool> = attach_request.channels.iter().map(Result::is_ok).collect();
        assert_eq!(are_right, [true, false, false]);
    }

    #[test]
    fn mistakes_are_named() {
        let code = |path: &str, query: &str| parse(path, query).unwrap_err().code;
        assert_eq!(code("", ""), Code::BadChannel);
        assert_eq!(code("a", "channels=b"), Code::BadChannel);
        assert_eq!(code("a", "since=x"), Code::BadCursor);
        for query in [
            "since.b=all",
            "heartbeat=0",
            "heartbeat=61",
            "heartbeat=NaN",
            "wait=-1",
            "format=x",
            "presence=2",
            "replay=-1",
            "replay=16777217",
        ] {
            assert_eq!(code("a", query), Code::BadParameter, "{query}");
        }
        assert_eq!(
            code("a", &format!("info=%22{}%22", "x".repeat(1024))),
            Code::BadParameter
        );
        assert_eq!(code("a", "info=x"), Code::BadJson);
        assert_eq!(
            code("a", &format!("nonce={}", "x".repeat(65))),
            Code::BadParameter
        );
        assert!(
            parse("a,a", "").unwrap().channels.len() == 1,
            "a channel named twice is read once"
        );
        for (transport, channels, query) in [
            (Transport::Ws, "a,b", "format=data"),
            (Transport::Poll, "a", "format=data"),
            (Transport::Sse, "a", "replay=0"),
        ] {
            assert!(AttachRequest::parse(transport, Some(channels), query, None, None).is_err());
        }
    }
}
