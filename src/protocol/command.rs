//! The commands of a client: publish, subscribe, unsubscribe, presence, history, ping and leave.
//!
//! They are the same over WebSocket and `POST /send`. Parses and checks commands, but does not know how they run.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::channel::read_name;
use super::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, COMMANDS_MAX, ChannelName, Code, Data, EventName,
    KEY_BYTES_MAX, Refusal,
};
use crate::protocol::cursor::Since;

/// The longest `ref`, in bytes. Every reply repeats it.
const REF_BYTES_MAX: usize = 128;
/// Events on a page of history when the request sets no limit.
const HISTORY_LIMIT: usize = 100;

/// One publish request, fully checked except for its size, whose limit the broker knows.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The channel to publish to.
    pub channel: ChannelName,
    /// The event's name.
    pub name: EventName,
    /// Its data.
    pub data: Data,
    /// Bytes of the data as it was sent.
    pub sent_bytes: usize,
    /// The idempotency key.
    pub key: Option<String>,
}

/// A checked command.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the words of the contract")]
pub enum Command {
    /// Publishes an event.
    Publish(Publish),
    /// Reads one more channel on this attachment.
    Subscribe { channel: ChannelName, start: Since },
    /// Stops reading a channel.
    Unsubscribe { channel: ChannelName },
    /// Lists the members of a channel.
    Presence { channel: ChannelName },
    /// Reads a page of the events that the log still holds.
    History {
        channel: ChannelName,
        start: Since,
        limit: usize,
        bytes: usize,
    },
    /// Checks that the hub answers.
    Ping,
    /// Ends this session's presence at once.
    Leave,
}

/// A command or its refusal, with the `ref` by which the client finds the reply.
#[derive(Debug)]
pub struct CommandRequest {
    /// The `ref`, which the reply repeats.
    pub reference: Option<Box<RawValue>>,
    /// The command.
    pub command: Result<Command, Refusal>,
    /// The key of a refused publish. A final refusal uses up a numbered key.
    pub refused_key: Option<String>,
}

#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    // Not an Option: serde reads `"data":null` as an absent one, and null is a value.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    since: Option<Cow<'a, str>>,
    limit: Option<usize>,
    bytes: Option<usize>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Parses one command from a JSON text. `bytes` is the data after the JSON in a binary message.
#[must_use]
pub fn parse_command(json: &[u8], bytes: Option<Bytes>) -> CommandRequest {
    // serde would read an array as an object without names.
    let is_array = json.trim_ascii_start().first() == Some(&b'[');
    let refused = |refusal| CommandRequest {
        reference: None,
        command: Err(refusal),
        refused_key: None,
    };
    match serde_json::from_slice(json) {
        Ok(shape) if !is_array => order(&shape, bytes),
        Err(error) if !(is_array && error.is_data()) => refused(not_a_command(&error)),
        Ok(_) | Err(_) => refused(Refusal::new(
            Code::BadCommand,
            "a command must be a JSON object, not an array",
        )),
    }
}

/// The body of a `POST /send`.
#[derive(Debug)]
pub struct SendBody {
    /// The session key, if the body has one.
    pub session: Option<String>,
    /// A credential, if the body has one.
    pub token: Option<String>,
    /// The commands, in their order.
    pub orders: Vec<CommandRequest>,
}

#[derive(Deserialize)]
struct SendShape<'a> {
    session: Option<String>,
    token: Option<String>,
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

impl SendBody {
    /// Parses a body: a JSON array of commands, or an object with the array as `commands`. The object can also carry
    /// values that a network may remove from an address or a head.
    ///
    /// # Errors
    /// `bad_json` if it is neither, `too_large` if it holds more than 1,000 commands.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let is_object = json.trim_ascii_start().first() == Some(&b'{');
        let parsed = if is_object {
            serde_json::from_slice(json)
        } else {
            serde_json::from_slice(json).map(|commands| SendShape {
                session: None,
                token: None,
                commands,
            })
        };
        let shape = parsed.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Refusal::new(
                Code::BadJson,
                "the body must be an array of commands, such as [{\"type\":\"ping\"}], or an object that has it as `commands`",
            ),
            _ => Refusal::bad_json(&error),
        })?;
        Ok(Self {
            session: shape.session,
            token: shape.token,
            orders: orders(&shape.commands)?,
        })
    }
}

fn orders(items: &[&RawValue]) -> Result<Vec<CommandRequest>, Refusal> {
    if items.len() > COMMANDS_MAX {
        return Err(Refusal::new(
            Code::TooLarge,
            "more than 1,000 commands in one request",
        ));
    }
    Ok(items
        .iter()
        .map(|item| parse_command(item.get().as_bytes(), None))
        .collect())
}

fn not_a_command(error: &serde_json::Error) -> Refusal {
    match error.classify() {
        serde_json::error::Category::Data => Refusal::new(Code::BadCommand, error.to_string()),
        _ => Refusal::bad_json(error),
    }
}

fn order(shape: &Shape<'_>, bytes: Option<Bytes>) -> CommandRequest {
    let reference = shape.reference.map(in_one_line);
    if reference
        .as_ref()
        .is_some_and(|text| text.get().len() > REF_BYTES_MAX)
    {
        let refusal = Refusal::bad_parameter("`ref` is longer than 128 bytes");
        return CommandRequest {
            reference: None,
            command: Err(refusal),
            refused_key: refused_key(shape),
        };
    }
    let command = command(shape, bytes);
    let refused_key = command.as_ref().err().and_then(|_| refused_key(shape));
    CommandRequest {
        reference,
        command,
        refused_key,
    }
}

/// Returns the value without line ends between its tokens. A line end would end an SSE block.
fn in_one_line(value: &RawValue) -> Box<RawValue> {
    let text = value.get().replace(['\n', '\r'], "");
    RawValue::from_string(text).unwrap_or_else(|_| value.to_owned())
}

fn refused_key(shape: &Shape<'_>) -> Option<String> {
    let is_publish = shape.kind.as_deref() == Some("publish");
    let key = shape.key.as_deref().filter(|_| is_publish)?;
    check_key(key).ok()
}

fn command(shape: &Shape<'_>, bytes: Option<Bytes>) -> Result<Command, Refusal> {
    let channel = || match &shape.channel {
        Some(name) => read_name(name),
        None => Err(Refusal::bad_channel("`channel` is missing")),
    };
    let start = |default| match shape.since.as_deref() {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|error| Refusal::new(Code::BadCursor, format!("`since` is {error}"))),
    };
    Ok(match shape.kind.as_deref() {
        Some("publish") => {
            let data = data(shape, bytes)?;
            Command::Publish(Publish {
                channel: channel()?,
                name: EventName::new(shape.name.as_deref().unwrap_or_default())?,
                sent_bytes: data.counted(shape.data.map_or(data.len(), |json| json.get().len())),
                data,
                key: shape.key.as_deref().map(check_key).transpose()?,
            })
        }
        Some("subscribe") => Command::Subscribe {
            channel: channel()?,
            start: start(Since::Now)?,
        },
        Some("unsubscribe") => Command::Unsubscribe {
            channel: channel()?,
        },
        Some("presence") => Command::Presence {
            channel: channel()?,
        },
        Some("history") => Command::History {
            channel: channel()?,
            start: start(Since::All)?,
            limit: history_limit(shape.limit)?,
            bytes: history_bytes(shape.bytes)?,
        },
        Some("ping") => Command::Ping,
        Some("leave") => Command::Leave,
        Some(_) => {
            return Err(Refusal::new(
                Code::BadCommand,
                "`type` is not a known command",
            ));
        }
        None => return Err(Refusal::new(Code::BadCommand, "`type` is missing")),
    })
}

/// Checks an idempotency key.
pub(crate) fn check_key(key: &str) -> Result<String, Refusal> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        return Err(Refusal::bad_parameter(
            "a key must have 1 to 128 bytes without control characters",
        ));
    }
    Ok(key.to_owned())
}

/// Checks the limit of a page of history.
pub(crate) fn history_limit(limit: Option<usize>) -> Result<usize, Refusal> {
    match limit.unwrap_or(HISTORY_LIMIT) {
        limit @ 1..=BATCH_EVENTS_MAX => Ok(limit),
        _ => Err(Refusal::bad_parameter("`limit` must be 1 to 1,000")),
    }
}

/// Checks the most bytes of data on a page of history.
pub(crate) fn history_bytes(bytes: Option<usize>) -> Result<usize, Refusal> {
    match bytes.unwrap_or(BATCH_BYTES_MAX) {
        bytes @ 1..=BATCH_BYTES_MAX => Ok(bytes),
        _ => Err(Refusal::bad_parameter("`bytes` must be 1 to 1,048,576")),
    }
}

fn data(shape: &Shape<'_>, bytes: Option<Bytes>) -> Result<Data, Refusal> {
    match (shape.data, &shape.data64, bytes) {
        (Some(json), None, None) => Data::raw(json),
        (None, Some(text), None) => STANDARD
            .decode(text.as_bytes())
            .map(|bytes| Data::Bytes(bytes.into()))
            .map_err(|error| Refusal::bad_parameter(format!("`data64` is not base64: {error}"))),
        (None, None, Some(bytes)) => Ok(Data::Bytes(bytes)),
        (None, None, None) => Err(Refusal::new(Code::BadCommand, "`data` is missing")),
        _ => Err(Refusal::new(
            Code::BadCommand,
            "the command has data twice: in `data`, in `data64` or after the JSON",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(json: &str) -> &'static str {
        parse_command(json.as_bytes(), None)
            .command
            .map(|_| "ok")
            .unwrap_or_else(|refusal| refusal.code.as_str())
    }

    #[test]
    fn each_command_parses() {
        for json in [
            r#"{"type":"publish","channel":"a","data":null}"#,
            r#"{"type":"publish","channel":"a","name":"x","data64":"AP8=","key":"k","ref":"r"}"#,
            r#"{"type":"subscribe","channel":"$presence/a","since":"last:50"}"#,
            r#"{"type":"unsubscribe","channel":"a"}"#,
            r#"{"type":"presence","channel":"a"}"#,
            r#"{"type":"history","channel":"a","since":"k-1","limit":1000,"bytes":1048576}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"leave","more":[1,{"a":2}]}"#,
        ] {
            assert_eq!(code(json), "ok", "{json}");
        }
    }

    #[test]
    fn each_mistake_has_its_code() {
        for (json, expected) in [
            ("", "bad_json"),
            ("{", "bad_json"),
            ("[]", "bad_command"),
            (
                r#"["ping",1,null,null,null,null,null,null,null]"#,
                "bad_command",
            ),
            ("{}", "bad_command"),
            (r#"{"type":"dance"}"#, "bad_command"),
            (r#"{"type":"publish","channel":"a"}"#, "bad_command"),
            (
                r#"{"type":"publish","channel":"a","data":1,"data64":""}"#,
                "bad_command",
            ),
            (r#"{"type":"publish","data":1}"#, "bad_channel"),
            (
                r#"{"type":"publish","channel":"a,b","data":1}"#,
                "bad_channel",
            ),
            (r#"{"type":"publish","channel":7,"data":1}"#, "bad_command"),
            (
                r#"{"type":"publish","channel":"a","name":"open","data":1}"#,
                "bad_name",
            ),
            (
                r#"{"type":"publish","channel":"a","data64":"*"}"#,
                "bad_parameter",
            ),
            (
                r#"{"type":"publish","channel":"a","data":1,"key":""}"#,
                "bad_parameter",
            ),
            (
                r#"{"type":"subscribe","channel":"a","since":"x"}"#,
                "bad_cursor",
            ),
            (
                r#"{"type":"history","channel":"a","limit":0}"#,
                "bad_parameter",
            ),
            (
                r#"{"type":"history","channel":"a","bytes":1048577}"#,
                "bad_parameter",
            ),
        ] {
            assert_eq!(code(json), expected, "{json}");
        }
    }

    #[test]
    fn a_reference_is_echoed_even_with_a_refusal() {
        let order = parse_command(br#"{"type":"dance","ref":{"a":1}}"#, None);
        assert_eq!(order.reference.unwrap().get(), r#"{"a":1}"#);
        assert!(order.command.is_err());
        let order = parse_command(b"{\"type\":\"ping\",\"ref\":[1,\r\n\"\\n\"]}", None);
        assert_eq!(order.reference.unwrap().get(), r#"[1,"\n"]"#);
    }

    #[test]
    fn an_array_of_commands_is_bounded() {
        assert_eq!(SendBody::parse(b"[]").unwrap().orders.len(), 0);
        for no_body in [r#"{"type":"ping"}"#, "7", "", r#"{"commands":{}}"#] {
            let refusal = SendBody::parse(no_body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, Code::BadJson, "{no_body}");
        }
        let many = vec!["1"; COMMANDS_MAX + 1].join(",");
        for many in [format!("[{many}]"), format!("{{\"commands\":[{many}]}}")] {
            let refusal = SendBody::parse(many.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, Code::TooLarge);
        }
    }
}
