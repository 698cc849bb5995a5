//! The frames of the wire: hello, event, gap, ping, refused, reply and bye.
//!
//! The hub writes them and clients read them with the same types. Does not know the wire that carries a frame.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::answer::{Reply, to_json};
use super::{BUILD, ByeFrame, ChannelName, Limits, MAGIC, RefusedEntry};
use crate::protocol::cursor::Cursor;

/// A frame as a client reads it.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// The first frame of an attachment.
    Hello(Box<Hello>),
    /// An event.
    Event(EventFrame<'a>),
    /// Events that are forgotten.
    Gap(Gap),
    /// A sign of life.
    Ping(Ping),
    /// Channels that are not opened.
    Refused(RefusedFrame<'a>),
    /// The reply to a command.
    Reply(Reply<'a>),
    /// The last frame of an attachment.
    Bye(ByeFrame<'a>),
    /// A frame of a later version of the hub, which clients ignore.
    Unknown,
}

impl<'a> Frame<'a> {
    /// Parses the JSON of a frame. The data of an event stays text, because some JSON has no value here: half of a
    /// surrogate pair, or a number beyond all floats.
    ///
    /// # Errors
    /// If the text is not JSON, or not a frame.
    pub fn parse(text: &'a str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(borrow, rename = "type")]
            kind: Cow<'a, str>,
        }
        // The type comes first in all frames of this hub, so most frames need no second pass.
        let kind = match text.strip_prefix("{\"type\":\"event\",") {
            Some(_) => Cow::Borrowed("event"),
            None => serde_json::from_str::<Kind<'_>>(text)?.kind,
        };
        Ok(match &*kind {
            "hello" => Self::Hello(serde_json::from_str(text)?),
            "event" => Self::Event(serde_json::from_str(text)?),
            "gap" => Self::Gap(serde_json::from_str(text)?),
            "ping" => Self::Ping(serde_json::from_str(text)?),
            "refused" => Self::Refused(serde_json::from_str(text)?),
            "reply" => Self::Reply(serde_json::from_str(text)?),
            "bye" => Self::Bye(serde_json::from_str(text)?),
            _ => Self::Unknown,
        })
    }

    /// The frame as the hub writes it; `None` for a reply, whose answer only its command knows, and for an unknown one.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        match self {
            Self::Hello(hello) => Some(hello.json()),
            Self::Event(event) => Some(to_json(event)),
            Self::Gap(gap) => Some(gap.json()),
            Self::Ping(ping) => Some(ping.json()),
            Self::Refused(refused) => Some(to_json(refused)),
            Self::Bye(bye) => Some(to_json(bye)),
            Self::Reply(_) | Self::Unknown => None,
        }
    }
}

/// An event. The hub writes it with `Event::encode_json`, which a test compares with this type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "event")]
pub struct EventFrame<'a> {
    /// The cursor just after the event.
    pub id: Cursor,
    /// Its channel.
    pub channel: ChannelName,
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its data, where that is JSON.
    // Not an Option alone: serde reads `"data":null` as an absent one, and null is a value.
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<&'a RawValue>,
    /// Its data as base64, if it is bytes and the wire is text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub data64: Option<Cow<'a, str>>,
    /// The publisher.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub from: Option<Cow<'a, str>>,
    /// Milliseconds since 1970.
    #[serde(rename = "time")]
    pub time_ms: u64,
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// The reason why events were forgotten before a reader saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// By the limits of count or bytes.
    Evicted,
    /// By age.
    Expired,
    /// The cursor is of another epoch.
    Restart,
    /// This hub never issued that cursor, or the reason is one that this build does not know.
    #[serde(other)]
    Unknown,
}

impl GapReason {
    /// Returns the reason as text.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "gap")]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// The reader's cursor. `None` if it sent no readable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// Why.
    pub reason: GapReason,
    /// The cursor from which the log continues.
    pub id: Cursor,
    /// Whether another channel's gap of the same id follows: a cursor at this id would miss it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Gap {
    /// Returns the gap frame.
    #[must_use]
    pub(crate) fn json(&self) -> String {
        to_json(self)
    }
}

/// The session part of a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloSession {
    /// The public id.
    pub id: Arc<str>,
    /// The user that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The signed key that proves it.
    pub key: String,
    /// Seconds since 1970 at which the key expires.
    pub expires: u64,
    /// Seconds until then, for clients whose clock is wrong.
    pub expires_in: u64,
}

/// Bytes of a hello of one channel, and some.
const HELLO_BYTES_USUAL: usize = 640;

/// The first frame of an attach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "hello")]
pub struct Hello {
    /// The mark that distinguishes this hub from a captive portal.
    pub magic: Cow<'static, str>,
    /// The nonce of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The cursor before the first frame that follows.
    pub id: Cursor,
    /// The session.
    pub session: HelloSession,
    /// Seconds between two signs of life.
    #[serde(rename = "heartbeat")]
    pub heartbeat_s: u64,
    /// The sizes that the hub accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The channels that are read.
    pub channels: Vec<ChannelName>,
    /// Places of the channels that begin after `id`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<ChannelName, Cursor>,
    /// Whether more lay before the head than the reader wanted, so that it begins there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
    /// The tag of the client's network.
    pub network: String,
    /// The version of the hub.
    pub build: Cow<'static, str>,
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
        Self {
            magic: MAGIC.into(),
            nonce: None,
            id,
            session,
            heartbeat_s: 0,
            limits: None,
            channels,
            places: places.iter().cloned().collect(),
            behind: false,
            network: String::new(),
            build: BUILD.into(),
        }
    }

    /// With the facts of the request: its nonce, the heartbeat in seconds, and the tag of its network.
    #[must_use]
    pub fn with(mut self, nonce: Option<String>, heartbeat_s: u64, network: String) -> Self {
        self.nonce = nonce;
        self.heartbeat_s = heartbeat_s;
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

    /// Returns the hello frame.
    #[must_use]
    pub fn json(&self) -> String {
        // Reserve the usual size, to avoid growing in steps.
        let mut json = Vec::with_capacity(HELLO_BYTES_USUAL);
        serde_json::to_writer(&mut json, self).expect("texts and numbers always serialise");
        String::from_utf8(json).expect("JSON is text")
    }
}

/// The channels of a request that are not opened, while others are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "refused")]
pub struct RefusedFrame<'a> {
    /// The channels.
    #[serde(borrow)]
    pub channels: Vec<RefusedEntry<'a>>,
}

/// A ping: everything up to `id` was written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "ping")]
pub struct Ping {
    /// Everything up to this cursor was written.
    pub id: Cursor,
    /// Milliseconds since 1970.
    #[serde(rename = "time")]
    pub time_ms: u64,
    /// Events and gaps written on this attachment since its hello.
    pub count: u64,
}

impl Ping {
    /// Returns the ping frame.
    #[must_use]
    pub fn json(&self) -> String {
        to_json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Bye, Code, Refusal, RefusedChannel};

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
        let ping = Ping {
            id: "k3x9q2-44".parse().unwrap(),
            time_ms: 5,
            count: 17,
        };
        assert_eq!(
            ping.json(),
            r#"{"type":"ping","id":"k3x9q2-44","time":5,"count":17}"#
        );
    }

    #[test]
    fn a_hello_has_exact_bytes() {
        let session = HelloSession {
            id: "s8f3".into(),
            user: Some("ann".into()),
            key: "k".into(),
            expires: 1_795_172_788,
            expires_in: 3_600,
        };
        let lobby = ChannelName::new("lobby").unwrap();
        let hello = Hello::new("k3x9q2-41".parse().unwrap(), session, vec![lobby], &[]);
        let hello = hello.with(Some("n1".into()), 15, "9c1f".into());
        let json = hello.with_limits(Limits::new(10, None)).json();
        assert_eq!(
            json,
            format!(
                r#"{{"type":"hello","magic":"triway/1","nonce":"n1","id":"k3x9q2-41","session":{{"id":"s8f3","user":"ann","key":"k","expires":1795172788,"expires_in":3600}},"heartbeat":15,"limits":{{"data":10,"message":8252,"body":1048636,"commands":1000,"address":4096,"info":1024}},"channels":["lobby"],"network":"9c1f","build":"{BUILD}"}}"#
            )
        );
    }

    #[test]
    fn every_frame_is_read_as_it_is_written() {
        let refusal = Refusal::new(Code::TooManyConnections, "later");
        let refused = RefusedChannel::new("a", refusal.clone());
        let lobby = ChannelName::new("lobby").unwrap();
        let id: Cursor = "k3x9q2-41".parse().unwrap();
        let session = HelloSession {
            id: "s8f3".into(),
            user: None,
            key: "k".into(),
            expires: 1,
            expires_in: 1,
        };
        let hello = Hello::new(id, session, vec![lobby.presence()], &[(lobby.clone(), id)]);
        for json in [
            hello
                .with_limits(Limits::new(10, Some(1)))
                .behind(true)
                .json(),
            Bye::refused(refusal).json(),
            RefusedChannel::frame(&[refused]),
            format!(
                r#"{{"type":"event","id":"{id}","channel":"a","name":"b","data":null,"time":1}}"#
            ),
            format!(
                r#"{{"type":"event","id":"{id}","channel":"a","name":"b","data":["\ud800",1e999],"time":1}}"#
            ),
            format!(r#"{{"type":"gap","channel":"a","reason":"unknown","id":"{id}","more":true}}"#),
            format!(r#"{{"type":"ping","id":"{id}","time":5,"count":17}}"#),
        ] {
            let frame = Frame::parse(&json).unwrap();
            assert_eq!(frame.json().as_deref(), Some(&*json));
        }
        let spaced = r#" { "id": "k-1", "type": "gap", "channel": "a", "reason": "new" }"#;
        let Frame::Gap(gap) = Frame::parse(spaced).unwrap() else {
            panic!("a gap")
        };
        assert_eq!(gap.reason, GapReason::Unknown);
        assert!(matches!(
            Frame::parse(r#"{"type":"later","id":7}"#),
            Ok(Frame::Unknown)
        ));
        for text in [
            "",
            "[]",
            r#"{"type":"event"}"#,
            r#"{"type":"ping","id":"K-1","time":1,"count":0}"#,
        ] {
            assert!(Frame::parse(text).is_err(), "{text}");
        }
    }
}
