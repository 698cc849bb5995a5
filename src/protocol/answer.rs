//! The JSON answers to requests and commands.
//!
//! The hub writes each type and clients read it. [`Paged`] writes the lists of large answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{BUILD, ChannelName, MAGIC, Paged, Problem, Refusal, Transport};
use crate::protocol::cursor::Cursor;

/// Readers on this node that an event notified, by transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reached {
    /// Over WebSocket.
    pub ws: u32,
    /// Over Server-Sent Events.
    pub sse: u32,
    /// Over long polling. A poll between two requests is not counted.
    pub poll: u32,
}

impl Reached {
    pub(crate) fn add(&mut self, transport: Transport, count: u32) {
        match transport {
            Transport::Ws => self.ws += count,
            Transport::Sse => self.sse += count,
            Transport::Poll => self.poll += count,
        }
    }
}

/// The answer to a publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishAnswer {
    /// The event's id.
    pub id: Cursor,
    /// Its channel. Absent in the reply to a command, because the command names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// The number of notified readers.
    pub reached: Reached,
}

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingAnswer {
    /// Milliseconds since 1970.
    #[serde(rename = "time")]
    pub time_ms: u64,
}

/// The answer to a subscribe or an unsubscribe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeAnswer {
    /// The channel.
    pub channel: ChannelName,
}

/// The empty answer to a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyAnswer {}

/// The answer of `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthAnswer<'a> {
    /// The mark that distinguishes this hub from a captive portal.
    #[serde(borrow)]
    pub magic: Cow<'a, str>,
    /// The version of the hub.
    #[serde(borrow)]
    pub build: Cow<'a, str>,
}

impl HealthAnswer<'_> {
    /// That of this build.
    #[must_use]
    pub const fn of_this_build() -> Self {
        Self {
            magic: Cow::Borrowed(MAGIC),
            build: Cow::Borrowed(BUILD),
        }
    }
}

/// A page of history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryAnswer<'a> {
    /// The channel.
    pub channel: ChannelName,
    /// A gap, then events.
    #[serde(borrow)]
    pub frames: Vec<&'a RawValue>,
    /// The cursor at which the next page begins.
    pub cursor: Cursor,
    /// Whether there is a next page.
    pub more: bool,
}

/// The members of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PresenceAnswer<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
    /// The number of members.
    pub count: usize,
    /// The first thousand members.
    #[serde(borrow)]
    pub members: Vec<&'a RawValue>,
}

/// The number of members of a channel, as its presence channel publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceCount {
    /// The number of members.
    pub count: usize,
}

/// The answer to a poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PollAnswer<'a> {
    /// The cursor at which the next poll continues.
    pub cursor: Cursor,
    /// The nonce of the request.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Cow<'a, str>>,
    /// Whether the next poll is answered at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// The frames.
    #[serde(borrow)]
    pub frames: Vec<&'a RawValue>,
}

/// The reply to a command. In a successful reply, the answer to the command follows `ok`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "reply")]
pub struct Reply<'a> {
    /// The `ref` of the command.
    #[serde(borrow, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a RawValue>,
    /// Whether the command succeeded.
    pub ok: bool,
    /// The reason for the failure.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem<'a>>,
}

impl<'a> Reply<'a> {
    /// Returns the reply to a successful command, with the members of its answer.
    #[must_use]
    pub fn answer(reference: Option<&'a RawValue>, members: Paged) -> Paged {
        let reply = Self {
            reference,
            ok: true,
            error: None,
        };
        let mut head = to_json(&reply);
        if members.is_empty() {
            return head.into();
        }
        head.pop();
        head.push(',');
        if let Some(words) = members.only_words() {
            return (head + words + "}").into();
        }
        let mut text = Paged::from(head);
        text.append(members);
        text.words("}");
        text
    }

    /// Returns the reply to a successful command with a short answer.
    #[must_use]
    pub fn short(reference: Option<&'a RawValue>, answer: &impl Serialize) -> String {
        #[derive(Serialize)]
        struct Whole<'a, A> {
            #[serde(flatten)]
            reply: Reply<'a>,
            #[serde(flatten)]
            answer: A,
        }
        to_json(&Whole {
            reply: Self {
                reference,
                ok: true,
                error: None,
            },
            answer,
        })
    }

    /// Returns the reply to a refused command.
    #[must_use]
    pub fn refused(reference: Option<&'a RawValue>, refusal: &'a Refusal) -> String {
        to_json(&Self {
            reference,
            ok: false,
            error: Some(Problem::from(refusal)),
        })
    }
}

/// Returns the members of an answer without the braces around them.
#[must_use]
pub fn members_of(answer: &impl Serialize) -> String {
    let mut json = to_json(answer);
    json.pop();
    json.remove(0);
    json
}

/// Splits the members of an answer whose last list is empty into the part up to the inside of that list and the rest.
#[must_use]
pub fn members_around_list(answer: &impl Serialize) -> (String, String) {
    let mut before = members_of(answer);
    let inside = before.rfind("[]").map_or(before.len(), |list| list + 1);
    let after = before.split_off(inside);
    (before, after)
}

/// Returns a value of this module or of `frame` as JSON.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs of texts and numbers always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[test]
    fn replies_have_exact_bytes() {
        let reference = raw(r#"{"frames":[]}"#);
        assert_eq!(
            Reply::short(Some(&reference), &EmptyAnswer {}),
            r#"{"type":"reply","ref":{"frames":[]},"ok":true}"#
        );
        let ping = PingAnswer { time_ms: 5 };
        assert_eq!(
            Reply::short(None, &ping),
            r#"{"type":"reply","ok":true,"time":5}"#
        );
        let answer = |members: String| Reply::answer(None, members.into()).whole().unwrap();
        assert_eq!(answer(members_of(&ping)), Reply::short(None, &ping));
        let nothing = EmptyAnswer {};
        assert_eq!(answer(members_of(&nothing)), Reply::short(None, &nothing));
    }

    #[test]
    fn a_refused_reply_is_read_again() {
        let refusal = Refusal::new(Code::Forbidden, "no");
        let reference = raw("1");
        let json = Reply::refused(Some(&reference), &refusal);
        let reply: Reply<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(reply.error, Some(Problem::from(&refusal)));
        assert_eq!(reply.reference.unwrap().get(), "1");
        assert!(json.starts_with(r#"{"type":"reply","ref":1,"ok":false,"error":{"#));
    }

    #[test]
    fn a_page_is_cut_inside_its_list() {
        let page = HistoryAnswer {
            channel: ChannelName::new(r#"a"frames":[]"#).unwrap(),
            frames: Vec::new(),
            cursor: "k-1".parse().unwrap(),
            more: true,
        };
        let (before, after) = members_around_list(&page);
        assert_eq!(before, r#""channel":"a\"frames\":[]","frames":["#);
        assert_eq!(after, r#"],"cursor":"k-1","more":true"#);
        let text = format!("{{{before}{{\"a\":1}}{after}}}");
        let read: HistoryAnswer<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.frames[0].get(), r#"{"a":1}"#);
        assert_eq!(to_json(&read), text);
    }
}
