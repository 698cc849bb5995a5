//! The events that an application publishes, and the history that it reads back.

use std::sync::Arc;

use crate::broker::{Key, Scope};
use crate::hub::Item;
use crate::protocol::cursor::Cursor;
use crate::protocol::{ChannelName, Data, Draft, EventName, Refusal, check_key};

/// An event that the application publishes with [`Hub::publish_message`](crate::Hub::publish_message).
///
/// ```
/// use triway::{Data, Message};
/// let message = Message::new("news", Data::text("hello")).name("greeting").from("ann").key("order-17");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Message {
    channel: String,
    data: Data,
    name: Option<String>,
    from: Option<Arc<str>>,
    key: Option<String>,
}

impl Message {
    /// Creates a message of this data for a channel.
    pub fn new(channel: &str, data: Data) -> Self {
        Self {
            channel: channel.to_owned(),
            data,
            name: None,
            from: None,
            key: None,
        }
    }

    /// Sets the event name, at most 128 bytes. The default is `message`.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sets `from`, the publisher that readers see.
    pub fn from(mut self, from: &str) -> Self {
        self.from = Some(Arc::from(from));
        self
    }

    /// Sets an idempotency key, at most 128 bytes. A second message with this key is not published; it returns the
    /// answer to the first. `docs/protocol.md` says how long keys are kept.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Checks the message and returns it as a draft with its key.
    pub(super) fn checked(self) -> Result<(Draft, Key<'static>), Refusal> {
        let draft = Draft {
            channel: ChannelName::new(&self.channel)?,
            name: EventName::new(self.name.as_deref().unwrap_or_default())?,
            sent_bytes: self.data.counted(self.data.len()),
            data: self.data,
            from: self.from,
            session: None,
        };
        let key = self.key.as_deref().map(check_key).transpose()?;
        let key = key.map_or(Key::None, |key| Key::Scoped(Scope::App, key));
        Ok((draft, key))
    }
}

/// A part of what a channel still holds, as returned by [`Hub::history`](crate::Hub::history).
#[derive(Clone, Debug)]
pub struct History {
    /// Events, oldest first. If events after the start were forgotten, a gap comes first.
    pub items: Vec<Item>,
    /// Everything up to here was returned.
    pub cursor: Cursor,
    /// Whether the channel holds more events than the limit allowed.
    pub more: bool,
}
