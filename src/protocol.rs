//! The types of the wire protocol: channel names, events, commands, frames and refusals, with their size limits.
//!
//! Knows no async code, no clock and no lock. `docs/protocol.md` is the normative text.

mod answer;
mod attach_request;
mod bye;
mod channel;
mod command;
mod credential;
pub mod cursor;
mod event;
mod frame;
mod ledger;
mod limits;
mod nonce;
mod paged;
pub mod peer;
mod problem;
mod query;
mod refusal;
mod refused_channels;
mod repeated_poll;
mod since;

pub use answer::{
    EmptyAnswer, HealthAnswer, HistoryAnswer, PingAnswer, PollAnswer, PresenceAnswer,
    PresenceCount, PublishAnswer, Reached, Reply, SubscribeAnswer, members_around_list, members_of,
};
pub use attach_request::{AttachBody, AttachRequest, Format, ShownIn, Transport};
pub use bye::{Bye, ByeFrame, ByeReason};
pub use channel::{ChannelName, Owner, parse_channel_list};
pub use command::{Command, CommandRequest, Publish, SendBody, parse_command};
pub(crate) use command::{check_key, history_bytes, history_limit};
pub use credential::CredentialPlace;
pub(crate) use event::WIRE_FORMS;
pub use event::{Data, Draft, Event, EventName, WireForm};
#[cfg(any(feature = "cli", test))]
pub use frame::EventFrame;
pub use frame::{Frame, Gap, GapReason, Hello, HelloSession, Ping, RefusedFrame};
pub use ledger::Ledger;
pub(crate) use ledger::RetainedEvent;
pub use limits::Limits;
pub use nonce::{BodyEcho, Nonce, nonce_of_query};
pub(crate) use paged::PAGED_BYTES_MIN;
pub use paged::{Encode, EventForgotten, EventSource, Paged, PagedSection, Rewritable};
pub use problem::{Problem, RefusedEntry};
pub use query::decode_query;
pub use refusal::{Code, Refusal};
pub(crate) use refused_channels::REFUSED_CHANNELS_MAX;
pub use refused_channels::RefusedChannel;
pub use repeated_poll::PollHead;
pub use since::AskedChannel;

/// The mark in every first answer, by which a client tells this hub from a captive portal.
pub const MAGIC: &str = "triway/1";
/// The version of this build.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
/// The most frames in one poll answer or one page of history.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// The most bytes of data in one batch, beyond its first event.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The upper bound of the configurable size of an event's data, in bytes. Many WebSocket frames and SSE blocks of this
/// size still fit in memory.
pub const DATA_BYTES_CEILING: usize = 16 * 1024 * 1024;
/// The deepest nesting of an event's JSON. Common parsers stop at 128 levels, and the frame and the poll answer around
/// the event need a few of them. One event that readers cannot parse would stop all of them.
pub const DATA_DEPTH_MAX: usize = 120;
/// The longest channel name, in bytes.
pub const CHANNEL_BYTES_MAX: usize = 128;
/// The longest event name, in bytes. Programs switch on the name; it is not content.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest `info` of a member, in bytes.
pub const INFO_BYTES_MAX: usize = 1024;
/// The longest `nonce`, in bytes.
pub const NONCE_BYTES_MAX: usize = 64;
/// The longest idempotency key, in bytes: two UUIDs and a word.
pub const KEY_BYTES_MAX: usize = 128;
/// The most commands in one `POST /send`. With more, a request could last longer than a client waits.
pub const COMMANDS_MAX: usize = 1_000;
/// The longest address of a publish by GET, in bytes.
pub const GET_PUBLISH_BYTES_MAX: usize = 4096;
