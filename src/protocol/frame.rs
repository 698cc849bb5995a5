//! What the hub says to a client beside events: hello, gap, ping, reply, bye, as JSON texts.
//!
//! Does not know on which wire a frame goes.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{BUILD, ChannelName, Limits, MAGIC, Refusal};
use crate::protocol::cursor::Cursor;

/// Why events were forgotten before a reader saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// By the limits of count or bytes.
    Evicted,
    /// By age.
    Expired,
    /// The cursor is of another epoch.
    Restart,
    /// This hub never gave that cursor.
    Unknown,
}

impl GapReason {
    /// The reason as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Restart => "restart",
            Self::Unknown => "unknown",
        }
    }
}

/// Events of one channel that a reader will never see: those after `after` up to `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// The place that the reader had; none where it gave no cursor that can be read.
    pub after: Option<Cursor>,
    /// Why.
    pub reason: GapReason,
    /// The place from which the log goes on.
    pub id: Cursor,
    /// Whether another channel's gap of the same id follows: a cursor at this id would miss it.
    pub more: bool,
}

impl Gap {
    /// The gap frame.
    #[must_use]
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Shape<'a> {
            r#type: &'static str,
            channel: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            after: Option<String>,
            reason: GapReason,
            id: String,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            more: bool,
        }
        to_json(&Shape {
            r#type: "gap",
            channel: self.channel.as_str(),
            after: self.after.map(|cursor| cursor.to_string()),
            reason: self.reason,
            id: self.id.to_string(),
            more: self.more,
        })
    }
}

/// The session part of a hello.
#[derive(Clone, Debug, Serialize)]
pub struct HelloSession {
    /// The public id.
    pub id: Arc<str>,
    /// The user that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The signed key that proves it.
    pub key: String,
    /// Seconds since 1970 at which the key ends.
    pub expires: u64,
}

/// Bytes of a hello of one channel, and some.
const HELLO_BYTES_USUAL: usize = 640;

/// The first frame of an attach.
#[derive(Clone, Debug, Serialize)]
pub struct Hello {
    #[serde(rename = "type")]
    kind: &'static str,
    magic: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(serialize_with = "as_text")]
    id: Cursor,
    session: HelloSession,
    heartbeat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    #[serde(serialize_with = "as_names")]
    channels: Vec<ChannelName>,
    /// Places of the channels that begin after `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    places: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether more lay before the head than the reader wanted, so that it begins there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    behind: bool,
    network: String,
    build: &'static str,
}

impl Hello {
    /// A hello whose `id` is the place before the first frame that follows it. `places` names the channels
    /// that begin later than that.
    #[must_use]
    pub fn new(
        id: Cursor,
        session: HelloSession,
        channels: Vec<ChannelName>,
        places: &[(ChannelName, Cursor)],
    ) -> Self {
        let places = places
            .iter()
            .map(|(name, place)| (name.to_string(), place.to_string().into()));
        let places: serde_json::Map<_, _> = places.collect();
        Self {
            kind: "hello",
            magic: MAGIC,
            nonce: None,
            id,
            session,
            heartbeat: 0,
            limits: None,
            channels,
            places: (!places.is_empty()).then_some(places),
            behind: false,
            network: String::new(),
            build: BUILD,
        }
    }

    /// With the facts of the request: its nonce, the heartbeat in seconds, and the tag of its network.
    #[must_use]
    pub fn with(mut self, nonce: Option<String>, heartbeat_s: u64, network: String) -> Self {
        self.nonce = nonce;
        self.heartbeat = heartbeat_s;
        self.network = network;
        self
    }

    /// With the sizes that the hub accepts.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Saying whether more lay before the head than the reader wanted.
    #[must_use]
    pub fn behind(mut self, is_behind: bool) -> Self {
        self.behind = is_behind;
        self
    }

    /// The hello frame.
    #[must_use]
    pub fn json(&self) -> String {
        // Room for a usual one, so that it does not grow in steps.
        let mut json = Vec::with_capacity(HELLO_BYTES_USUAL);
        serde_json::to_writer(&mut json, self).expect("texts and numbers always serialise");
        String::from_utf8(json).expect("JSON is text")
    }
}

fn as_text<S: Serializer>(cursor: &Cursor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cursor)
}

fn as_names<S: Serializer>(names: &[ChannelName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(ChannelName::as_str))
}

/// Why an attach ends, with the close code of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByeReason {
    /// The node goes down; come back with the cursor.
    Drain,
    /// The credentials expired; come back with new ones.
    Expired,
    /// The reader took nothing for the write budget.
    Slow,
    /// The peer was silent for two heartbeats.
    Silent,
    /// A gap on a WebSocket of bare data.
    Gap,
    /// A limit was reached that passes; come back after a while.
    Busy,
    /// The request cannot be served.
    BadRequest,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Not allowed.
    Forbidden,
    /// A limit was reached.
    Limit,
    /// The session has newer attaches.
    Newer,
}

impl ByeReason {
    /// The close code and the reason's text.
    #[must_use]
    pub const fn facts(self) -> (u16, &'static str) {
        match self {
            Self::Drain => (3001, "drain"),
            Self::Expired => (3003, "expired"),
            Self::Slow => (3004, "slow"),
            Self::Silent => (3005, "silent"),
            Self::Gap => (3006, "gap"),
            Self::Busy => (3007, "busy"),
            Self::BadRequest => (3500, "bad_request"),
            Self::Unauthorized => (3501, "unauthorized"),
            Self::Forbidden => (3502, "forbidden"),
            Self::Limit => (3503, "limit"),
            Self::Newer => (3504, "newer"),
        }
    }
}

/// The last frame of an attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
    /// Milliseconds after which to come back, spread over the clients.
    pub after_ms: Option<u64>,
    /// Everything up to here was written.
    pub id: Option<Cursor>,
    /// The refusal behind it, where there is one.
    pub refusal: Option<Refusal>,
}

impl Bye {
    /// A bye with nothing but its reason.
    #[must_use]
    pub const fn new(reason: ByeReason) -> Self {
        Self {
            reason,
            after_ms: None,
            id: None,
            refusal: None,
        }
    }

    /// The bye over a refusal.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        let reason = refusal.bye();
        Self {
            reason,
            after_ms: refusal
                .retry_after_s
                .filter(|_| reason == ByeReason::Busy)
                .map(|seconds| seconds * 1_000),
            id: None,
            refusal: Some(refusal),
        }
    }

    /// The bye frame.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Shape<'a> {
            r#type: &'static str,
            code: u16,
            reason: &'a str,
            reconnect: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            after_ms: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<Box<RawValue>>,
        }
        let (code, reason) = self.reason.facts();
        to_json(&Shape {
            r#type: "bye",
            code,
            reason,
            reconnect: code < 3500,
            after_ms: self.after_ms,
            id: self.id.map(|id| id.to_string()),
            error: self
                .refusal
                .as_ref()
                .and_then(|refusal| RawValue::from_string(refusal.to_json(None)).ok()),
        })
    }
}

/// A ping: everything up to `id` was written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Everything up to here was written.
    pub id: Cursor,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Events and gaps that were written on this attach since its hello.
    pub count: u64,
}

impl Ping {
    /// The ping frame.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { id, time_ms, count } = self;
        format!("{{\"type\":\"ping\",\"id\":\"{id}\",\"time\":{time_ms},\"count\":{count}}}")
    }
}

/// A reply that says yes: `fields` is what the command's row in the contract names, as JSON members without
/// braces (`"id":"…"`), or empty.
#[must_use]
pub fn reply_ok(reference: Option<&RawValue>, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(
        "{{\"type\":\"reply\"{},\"ok\":true{comma}{fields}}}",
        ref_member(reference)
    )
}

/// A reply that refuses.
#[must_use]
pub fn reply_error(reference: Option<&RawValue>, refusal: &Refusal) -> String {
    format!(
        "{{\"type\":\"reply\"{},\"ok\":false,\"error\":{}}}",
        ref_member(reference),
        refusal.to_json(None)
    )
}

fn ref_member(reference: Option<&RawValue>) -> String {
    reference
        .map(|text| format!(",\"ref\":{}", text.get().replace(['\n', '\r'], "")))
        .unwrap_or_default()
}

fn to_json(shape: &impl Serialize) -> String {
    serde_json::to_string(shape).expect("plain structs of texts and numbers always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_exact_bytes() {
        let gap = Gap {
            channel: ChannelName::new("lobby").unwrap(),
            after: Some("k3x9q2-7".parse().unwrap()),
            reason: GapReason::Evicted,
            id: "k3x9q2-31".parse().unwrap(),
            more: false,
        };
        assert_eq!(
            gap.json(),
            r#"{"type":"gap","channel":"lobby","after":"k3x9q2-7","reason":"evicted","id":"k3x9q2-31"}"#
        );
        let bye = Bye {
            after_ms: Some(730),
            id: Some("k3x9q2-44".parse().unwrap()),
            ..Bye::new(ByeReason::Drain)
        };
        assert_eq!(
            bye.json(),
            r#"{"type":"bye","code":3001,"reason":"drain","reconnect":true,"after_ms":730,"id":"k3x9q2-44"}"#
        );
        assert_eq!(
            Bye::new(ByeReason::Newer).json(),
            r#"{"type":"bye","code":3504,"reason":"newer","reconnect":false}"#
        );
        let ping = Ping {
            id: "k3x9q2-44".parse().unwrap(),
            time_ms: 5,
            count: 17,
        };
        assert_eq!(
            ping.json(),
            r#"{"type":"ping","id":"k3x9q2-44","time":5,"count":17}"#
        );
        let reference = RawValue::from_string("1".into()).unwrap();
        assert_eq!(
            reply_ok(Some(&reference), ""),
            r#"{"type":"reply","ref":1,"ok":true}"#
        );
        assert_eq!(
            reply_ok(None, r#""time":5"#),
            r#"{"type":"reply","ok":true,"time":5}"#
        );
    }

    #[test]
    fn a_hello_has_exact_bytes() {
        let session = HelloSession {
            id: "s8f3".into(),
            user: Some("ann".into()),
            key: "k".into(),
            expires: 1_795_172_788,
        };
        let lobby = ChannelName::new("lobby").unwrap();
        let hello = Hello::new("k3x9q2-41".parse().unwrap(), session, vec![lobby], &[]);
        let hello = hello.with(Some("n1".into()), 15, "9c1f".into());
        let json = hello.with_limits(Limits::new(10, None)).json();
        assert_eq!(
            json,
            format!(
                r#"{{"type":"hello","magic":"triway/1","nonce":"n1","id":"k3x9q2-41","session":{{"id":"s8f3","user":"ann","key":"k","expires":1795172788}},"heartbeat":15,"limits":{{"data":10,"message":8252,"body":1048636,"commands":1000,"address":4096,"info":1024}},"channels":["lobby"],"network":"9c1f","build":"{BUILD}"}}"#
            )
        );
    }
}
