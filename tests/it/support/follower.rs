//! A client that keeps the id rules of the contract, over any transport and through any cut.
//!
//! Knows the rules 1 to 4 of "Ids and cursors"; how a frame looks on a wire is `reader`'s.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Ask, End, Reader, Via, Wire};

/// What reaches the application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Event(Value),
    Gap(Value),
}

impl Told {
    /// The event; a gap is an error.
    #[track_caller]
    pub(crate) fn event(&self) -> &Value {
        match self {
            Self::Event(event) => event,
            Self::Gap(gap) => panic!("a gap instead of an event: {gap}"),
        }
    }

    /// The gap; an event is an error.
    #[track_caller]
    pub(crate) fn gap(&self) -> &Value {
        match self {
            Self::Gap(gap) => gap,
            Self::Event(event) => panic!("an event instead of a gap: {event}"),
        }
    }
}

/// A reader that reopens with its cursor, and drops what it has seen.
pub(crate) struct Follower {
    wire: Wire,
    /// What it asks for beside its starts.
    ask: Ask,
    channels: Vec<String>,
    reader: Option<Reader>,
    session_key: Option<String>,
    session_id: Option<String>,
    /// The cursor of the attach that lived last.
    cursor: Option<String>,
    /// The last id seen, or the place set by a gap, of each channel.
    places: HashMap<String, String>,
    /// Channels whose replay has not ended, and where it began.
    joining: HashMap<String, String>,
    /// Frames that the rules dropped.
    pub(crate) dropped: usize,
}

impl Follower {
    /// A client of these channels. `ask` holds its first start and its parameters.
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

    /// Goes on at another address of the same hub.
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

    /// The attach that lives.
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

    /// Attaches by this transport, in the place of the attach that lived, which is cut.
    pub(crate) async fn attach(&mut self, via: Via) -> Result<(), End> {
        self.reader = None;
        self.attach_beside(via).await.map(drop)
    }

    /// Attaches by this transport before the attach that lived is given back to be cut.
    pub(crate) async fn attach_beside(&mut self, via: Via) -> Result<Option<Reader>, End> {
        let reader = self.wire.try_open(via, &self.ask()).await?;
        Ok(self.reader.replace(reader))
    }

    /// Ends the attach without a word.
    pub(crate) fn cut(&mut self) {
        self.reader = None;
    }

    /// Adds a channel over the WebSocket that lives, from `start`.
    pub(crate) async fn subscribe(&mut self, channel: &str, start: &str) {
        self.channels.push(channel.to_owned());
        self.joining.insert(channel.to_owned(), start.to_owned());
        let command =
            json!({"type": "subscribe", "channel": channel, "since": start, "ref": channel});
        // Where it breaks here, what is read next tells so, and the next attach asks for the channel.
        let _ = self.reader().send_text(&command).await;
    }

    /// Takes a frame that was read from [`Follower::reader`] itself.
    pub(crate) fn adopt(&mut self, frame: Value) -> Option<Told> {
        self.take(frame).unwrap()
    }

    /// The next event or gap that the rules let through.
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
                // A channel that begins later than the attach is at its own place already.
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

    /// Rule 3: whatever the attach that lives has given out. A replay moves only its channel's place.
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

    /// Rules 2 and 4: by the channel's own place, and within one epoch only.
    fn is_ahead(&self, channel: &str, id: &str) -> bool {
        let Some(place) = self.places.get(channel) else {
            return true;
        };
        let (epoch, offset) = parts(id);
        let (place_epoch, place_offset) = parts(place);
        epoch != place_epoch || offset > place_offset
    }
}

/// The epoch and the offset of an id.
pub(crate) fn parts(id: &str) -> (&str, u64) {
    let (epoch, offset) = id.split_once('-').unwrap();
    (epoch, offset.parse().unwrap())
}
