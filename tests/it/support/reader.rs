//! One attachment over any of the three transports, read as frames.
//!
//! This file knows how each transport looks on the wire. It does not know what a client does with ids.

use std::collections::VecDeque;
use std::fmt;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use triway::internal::PollAnswer;

use super::frames::{Blocks, frame_of, value_of};
use super::wire::encode;
use super::{Via, Wire, in_time};

/// The request of a reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    channels: Vec<String>,
    query: Vec<(String, String)>,
    last_event_id: Option<String>,
}

impl Ask {
    pub(crate) fn of<'a>(channels: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            channels: channels.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Sets a parameter. Replaces an earlier one of that name.
    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.retain(|(other, _)| other != name);
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn since(self, start: impl fmt::Display) -> Self {
        self.with("since", start)
    }

    pub(crate) fn since_of(self, channel: &str, start: impl fmt::Display) -> Self {
        self.with(&format!("since.{channel}"), start)
    }

    pub(crate) fn session(self, key: impl fmt::Display) -> Self {
        self.with("session", key)
    }

    pub(crate) fn last_event_id(mut self, id: &str) -> Self {
        self.last_event_id = Some(id.to_owned());
        self
    }

    pub(crate) fn has_header(&self) -> bool {
        self.last_event_id.is_some()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets the channels to read.
    pub(crate) fn channels(mut self, channels: &[String]) -> Self {
        self.channels = channels.to_vec();
        self
    }

    /// Removes every start: the caller sets one start for all channels next.
    fn without_starts(mut self) -> Self {
        self.query
            .retain(|(name, _)| name != "since" && !name.starts_with("since."));
        self.last_event_id = None;
        self
    }

    fn path(&self, via: Via) -> String {
        let channels: Vec<String> = self.channels.iter().map(|name| encode(name)).collect();
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let (query, name) = (query.join("&"), via.name());
        match channels.join(",") {
            channels if channels.is_empty() => format!("/{name}?{query}"),
            channels => format!("/{name}/{channels}?{query}"),
        }
    }
}

/// Why a reader returns no more frames.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It ended cleanly. Over WebSocket, with this code and reason.
    Closed(u16, String),
    /// The connection broke.
    Broken(String),
    /// The hub refused it with this status and problem.
    Refused(u16, Value),
}

/// One attachment. Every method that waits is cancel-safe.
pub(crate) struct Reader {
    pub(crate) via: Via,
    line: Line,
    /// Frames that were read but not yet returned, each with its raw text.
    ready: VecDeque<(Value, String)>,
    cursor: Option<String>,
    raw: String,
    /// The key of the session, once a hello has named it.
    pub(crate) session_key: Option<String>,
    pub(crate) session_id: Option<String>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

enum Line {
    Ws(Box<Socket>),
    Sse {
        response: reqwest::Response,
        blocks: Blocks,
        is_full: bool,
    },
    Poll {
        wire: Wire,
        ask: Ask,
        nonce: u64,
        /// The cursor of the response whose frames are being returned.
        answered: Option<String>,
    },
}

impl Reader {
    pub(super) async fn open(wire: &Wire, via: Via, ask: &Ask) -> Result<Self, End> {
        let line = match via {
            Via::Ws => open_ws(wire, ask).await?,
            Via::Sse => open_sse(wire, ask).await?,
            Via::Poll => Line::Poll {
                wire: wire.clone(),
                ask: ask.clone(),
                nonce: 0,
                answered: None,
            },
        };
        Ok(Self {
            via,
            line,
            ready: VecDeque::new(),
            cursor: None,
            raw: String::new(),
            session_key: ask.find("session").map(str::to_owned),
            session_id: None,
        })
    }

    /// Returns the cursor after the last returned frame. Replies do not move it.
    pub(crate) fn cursor(&self) -> &str {
        self.cursor
            .as_deref()
            .expect("a frame with a cursor was read")
    }

    /// Returns the raw text of the last returned frame.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// Returns the next frame of any type.
    pub(crate) async fn frame(&mut self) -> Result<Value, End> {
        loop {
            if let Some((frame, raw)) = self.ready.pop_front() {
                self.raw = raw;
                self.note(&frame);
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// Returns the next frame. Panics if none arrives in time.
    #[track_caller]
    pub(crate) fn expect(&mut self) -> impl Future<Output = Value> {
        let via = self.via;
        async move { in_time(("a frame", via), self.frame()).await.unwrap() }
    }

    /// Returns the next frame of this type. Drops the frames before it.
    pub(crate) async fn expect_type(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.expect().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Returns the next event or gap. Drops pings and hellos, and panics on any other frame.
    pub(crate) async fn expect_told(&mut self) -> Value {
        loop {
            let frame = self.expect().await;
            match frame["type"].as_str().unwrap() {
                "event" | "gap" => return frame,
                "hello" | "ping" => {}
                _ => panic!("{frame}"),
            }
        }
    }

    /// Reads to the end, which must arrive in time. Returns the frames before it too.
    pub(crate) async fn expect_end(&mut self) -> (Vec<Value>, End) {
        let mut frames = Vec::new();
        loop {
            match in_time(("an end", self.via), self.frame()).await {
                Ok(frame) => frames.push(frame),
                Err(end) => return (frames, end),
            }
        }
    }

    /// Sends a command, which only a WebSocket can do.
    pub(crate) async fn send(&mut self, command: &Value) {
        self.send_text(command).await.unwrap();
    }

    /// Sends a command that may fail, as over a network that breaks.
    pub(crate) async fn send_text(&mut self, command: &Value) -> Result<(), Error> {
        self.send_raw(Message::text(command.to_string())).await
    }

    /// Sends one raw message.
    pub(crate) async fn send_raw(&mut self, message: Message) -> Result<(), Error> {
        match &mut self.line {
            Line::Ws(socket) => in_time("a send", socket.send(message)).await,
            Line::Sse { .. } | Line::Poll { .. } => panic!("only a WebSocket takes commands"),
        }
    }

    fn note(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap_or_default() {
            "hello" => {
                self.session_key = frame["session"]["key"].as_str().map(str::to_owned);
                self.session_id = frame["session"]["id"].as_str().map(str::to_owned);
            }
            "event" | "gap" | "ping" => {}
            "block" if frame["id"].is_string() => {}
            _ => return self.note_answer(),
        }
        self.cursor = frame["id"].as_str().map(str::to_owned);
        self.note_answer();
    }

    /// After the last frame of a poll, the cursor of the response applies.
    fn note_answer(&mut self) {
        if let Line::Poll { answered, .. } = &mut self.line
            && self.ready.is_empty()
            && let Some(answered) = answered.take()
        {
            self.cursor = Some(answered);
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        match &mut self.line {
            Line::Ws(socket) => match socket.next().await {
                None => return Err(End::Closed(1006, String::new())),
                Some(Err(error)) => return Err(End::Broken(error.to_string())),
                Some(Ok(message)) => self.ready.extend(frame_of(message)?),
            },
            Line::Sse {
                response,
                blocks,
                is_full,
            } => match response.chunk().await {
                Ok(Some(chunk)) => self.ready.extend(blocks.take(&chunk, *is_full)),
                Ok(None) => return Err(End::Closed(0, String::new())),
                Err(error) => return Err(End::Broken(error.to_string())),
            },
            Line::Poll { .. } => self.poll().await?,
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<(), End> {
        let Line::Poll {
            wire,
            ask,
            nonce,
            answered,
        } = &mut self.line
        else {
            return Ok(());
        };
        *nonce += 1;
        let mut ask = ask.clone().with("nonce", *nonce);
        if let Some(cursor) = &self.cursor {
            ask = ask.without_starts().since(cursor);
        }
        if let Some(key) = &self.session_key {
            ask = ask.session(key);
        }
        let request = start_id(wire.request("GET", &ask.path(Via::Poll)), &ask);
        let response = request.send().await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(broken)?;
        if status != 200 {
            let problem = serde_json::from_slice(&body).map_err(broken)?;
            return Err(End::Refused(status, problem));
        }
        let answer: PollAnswer<'_> = serde_json::from_slice(&body).map_err(broken)?;
        let own = nonce.to_string();
        assert_eq!(answer.nonce.as_deref(), Some(&*own), "an answer of our own");
        let cursor = answer.cursor.to_string();
        for frame in answer.frames {
            let value = value_of(frame.get()).map_err(broken)?;
            self.ready.push_back((value, frame.get().to_owned()));
        }
        if self.ready.is_empty() {
            self.cursor = Some(cursor);
        } else {
            *answered = Some(cursor);
        }
        Ok(())
    }
}

fn start_id(request: reqwest::RequestBuilder, ask: &Ask) -> reqwest::RequestBuilder {
    match &ask.last_event_id {
        Some(id) => request.header("last-event-id", id),
        None => request,
    }
}

fn broken(error: impl fmt::Display) -> End {
    End::Broken(error.to_string())
}

async fn open_ws(wire: &Wire, ask: &Ask) -> Result<Line, End> {
    let url = format!("ws://{}{}", wire.address, ask.path(Via::Ws));
    match tokio_tungstenite::connect_async(url).await {
        Ok((socket, _)) => Ok(Line::Ws(Box::new(socket))),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let problem = serde_json::from_slice(body).unwrap_or_default();
            Err(End::Refused(response.status().as_u16(), problem))
        }
        Err(error) => Err(broken(error)),
    }
}

async fn open_sse(wire: &Wire, ask: &Ask) -> Result<Line, End> {
    let ask = match ask.find("format") {
        Some(_) => ask.clone(),
        None => ask.clone().with("format", "full"),
    };
    let request = start_id(wire.request("GET", &ask.path(Via::Sse)), &ask);
    let response = request.send().await.map_err(broken)?;
    let status = response.status().as_u16();
    if status != 200 {
        let body = response.bytes().await.map_err(broken)?;
        let problem = serde_json::from_slice(&body).unwrap_or_default();
        return Err(End::Refused(status, problem));
    }
    Ok(Line::Sse {
        response,
        blocks: Blocks::default(),
        is_full: ask.find("format") == Some("full"),
    })
}
