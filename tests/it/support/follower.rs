//! A client that follows the id rules of the protocol, over any transport and after any cut.
//!
//! This file knows the rules 1 to 4 of "Ids and cursors". `reader` knows how a frame looks on the wire.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Ask, End, Reader, Via, Wire};

/// An item that reaches the application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Event(Value),
    Gap(Value),
}

impl Told {
    /// Returns the event. Panics on a gap.
    #[track_caller]
    pub(crate) fn event(&self) -> &Value {
        match self {
            Self::Event(event) => event,
            Self::Gap(gap) => panic!("a gap instead of an event: {gap}"),
        }
    }

    /// Returns the gap. Panics on an event.
    #[track_caller]
    pub(crate) fn gap(&self) -> &Value {
        match self {
            Self::Gap(gap) => gap,
            Self::Event(event) => panic!("an event instead of a gap: {event}"),
        }
    }
}

/// A reader that reopens with its cursor and drops what it has already seen.
pub(crate) struct Follower {
    wire: Wire,
    /// The parameters of its requests, without the starts.
    ask: Ask,
    channels: Vec<String>,
    reader: Option<Reader>,
    session_key: Option<String>,
    session_id: Option<String>,
    /// The cursor of the latest attachment.
    cursor: Option<String>,
    /// For each channel, the last id seen or the id set by a gap.
    places: HashMap<String, String>,
    /// Channels whose replay has not ended, and where each replay began.
    joining: HashMap<String, String>,
    /// Number of frames that the rules dropped.
    pub(crate) dropped: usize,
}

impl Follower {
    /// Creates a client of these channels. `parameters` sets its first start and its parameters.
    pub(crate) fn new(wire: &Wire, channels: &[&str], parameters: impl FnOnce(Ask) -> Ask) -> Self {
        Self {
            wire: wire.clone(),
            ask: parameters(Ask::of([])),
            channels: channels.iter().map(|name| (*name).to_owned()).collect(),
            reader: None,
            session_key: None,
            session_id: None,
            cursor: None,
            places: HashMap::new(),
            joining: HashMap::new(),
            dropped: 0,
        }
    }

    /// Continues at another address of the same hub.
    pub(crate) fn move_to(&mut self, wire: &Wire) {
        self.wire = wire.clone();
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(crate) fn session_key(&self) -> Option<&str> {
        self.session_key.as_deref()
    }

    pub(crate) fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Returns the reader of the current attachment.
    pub(crate) fn reader(&mut self) -> &mut Reader {
        self.reader.as_mut().unwrap()
    }

    fn ask(&self) -> Ask {
        let mut ask = self.ask.clone().channels(&self.channels);
        if let Some(cursor) = &self.cursor {
            ask = ask.since(cursor);
        }
        for (channel, start) in &self.joining {
            let place = self.places.get(channel).unwrap_or(start);
            ask = ask.since_of(channel, place);
        }
        match &self.session_key {
            Some(key) => ask.session(key),
            None => ask,
        }
    }

    /// Attaches over this transport. The previous attachment is cut first.
    pub(crate) async fn attach(&mut self, via: Via) -> Result<(), End> {
        self.reader = None;
        self.attach_beside(via).await.map(drop)
    }

    /// Attaches over this transport and returns the previous attachment, which the caller drops.
    pub(crate) async fn attach_beside(&mut self, via: Via) -> Result<Option<Reader>, End> {
        let reader = self.wire.try_open(via, &self.ask()).await?;
        Ok(self.reader.replace(reader))
    }

    /// Drops the attachment without a leave.
    pub(crate) fn cut(&mut self) {
        self.reader = None;
    }

    /// Subscribes to a channel over the current WebSocket, from `start`.
    pub(crate) async fn subscribe(&mut self, channel: &str, start: &str) {
        self.channels.push(channel.to_owned());
        self.joining.insert(channel.to_owned(), start.to_owned());
        let command =
            json!({"type": "subscribe", "channel": channel, "since": start, "ref": channel});
        // If the send fails, the next read reports it, and the next attachment includes the channel.
        let _ = self.reader().send_text(&command).await;
    }

    /// Accepts a frame that was read from [`Follower::reader`] directly.
    pub(crate) fn adopt(&mut self, frame: Value) -> Option<Told> {
        self.take(frame).unwrap()
    }

    /// Returns the next event or gap that passes the rules.
    pub(crate) async fn next(&mut self) -> Result<Told, End> {
        loop {
            let reader = self.reader.as_mut().ok_or(End::Broken("cut".into()))?;
            let frame = match reader.frame().await {
                Ok(frame) => frame,
                Err(end) => {
                    self.reader = None;
                    return Err(end);
                }
            };
            if let Some(told) = self.take(frame)? {
                return Ok(told);
            }
        }
    }

    fn take(&mut self, frame: Value) -> Result<Option<Told>, End> {
        match frame["type"].as_str().unwrap_or_default() {
            "event" => Ok(self.take_event(frame)),
            "gap" => Ok(self.take_gap(frame)),
            "hello" => {
                self.session_key = frame["session"]["key"].as_str().map(str::to_owned);
                self.session_id = frame["session"]["id"].as_str().map(str::to_owned);
                self.joining.clear();
                self.move_cursor();
                // A channel that begins later than the attachment is already at its own position.
                if let Some(places) = frame["places"].as_object() {
                    for (channel, place) in places {
                        let place = place.as_str().unwrap();
                        if self.is_ahead(channel, place) {
                            self.places.insert(channel.clone(), place.to_owned());
                        }
                    }
                }
                Ok(None)
            }
            "ping" => {
                self.move_cursor();
                Ok(None)
            }
            "reply" => {
                assert_eq!(frame["ok"], true, "{frame}");
                let channel = frame["ref"].as_str().unwrap_or_default();
                self.joining.remove(channel);
                Ok(None)
            }
            "bye" => Err(End::Closed(
                frame["code"].as_u64().unwrap() as u16,
                frame["reason"].as_str().unwrap().to_owned(),
            )),
            _ => panic!("an unknown frame: {frame}"),
        }
    }

    fn take_event(&mut self, frame: Value) -> Option<Told> {
        let channel = frame["channel"].as_str().unwrap().to_owned();
        let id = frame["id"].as_str().unwrap();
        self.move_cursor_unless_joining(&channel);
        if !self.is_ahead(&channel, id) {
            self.dropped += 1;
            return None;
        }
        self.places.insert(channel, id.to_owned());
        Some(Told::Event(frame))
    }

    fn take_gap(&mut self, frame: Value) -> Option<Told> {
        let channel = frame["channel"].as_str().unwrap().to_owned();
        let id = frame["id"].as_str().unwrap();
        self.move_cursor_unless_joining(&channel);
        if !self.is_ahead(&channel, id) {
            self.dropped += 1;
            return None;
        }
        self.places.insert(channel, id.to_owned());
        Some(Told::Gap(frame))
    }

    /// Rule 3: the cursor is that of the current attachment. A replay moves only the position of its channel.
    fn move_cursor(&mut self) {
        self.cursor = self
            .reader
            .as_ref()
            .map(|reader| reader.cursor().to_owned());
    }

    fn move_cursor_unless_joining(&mut self, channel: &str) {
        if !self.joining.contains_key(channel) {
            self.move_cursor();
        }
    }

    /// Rules 2 and 4: compares with the channel's own position, and only within one epoch.
    fn is_ahead(&self, channel: &str, id: &str) -> bool {
        let Some(place) = self.places.get(channel) else {
            return true;
        };
        let (epoch, offset) = parts(id);
        let (place_epoch, place_offset) = parts(place);
        epoch != place_epoch || offset > place_offset
    }
}

/// Returns the epoch and the offset of an id.
pub(crate) fn parts(id: &str) -> (&str, u64) {
    let (epoch, offset) = id.split_once('-').unwrap();
    (epoch, offset.parse().unwrap())
}
