//! One attachment of `triway sub`, over each transport: opens it and passes every frame to the reader.
//!
//! Knows the transports from the client's side. `frames` interprets the frames, and `subscribe` decides when to try
//! again.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use crate::protocol::PollAnswer;
use async_stream::try_stream;
use bytes::Bytes;
use sse_stream::SseByteStream;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt as _};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::frames::{Flow, FrameReader};
use super::remote::{self, CONNECT_LIMIT, Remote, Trouble, accepted};

/// The largest WS message, SSE block or poll response that is held, in bytes: the largest event with each byte escaped,
/// and a full batch.
const HELD_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The hold time that a poll requests, in seconds. Its response may take [`POLL_MARGIN_S`] longer.
const HOLD_S: u64 = 25;
const POLL_MARGIN_S: u64 = 10;
/// The error for an event stream that does not come from a hub.
const NOT_A_STREAM: &str = "the stream is not that of a triway hub";
/// WS close codes that mean: do not reconnect (`docs/protocol.md`, bye).
const FINAL_CLOSE_CODES: std::ops::Range<u16> = 3500..4000;

/// What every attachment requests.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) remote: &'a Remote,
    pub(super) channels: &'a str,
    /// The start that the user chose. It applies until there is a cursor.
    pub(super) since: &'a str,
}

impl Wish<'_> {
    fn query(&self, reader: &FrameReader, more: &[(&str, &str)]) -> String {
        let cursor = reader.cursor();
        let since = cursor.as_deref().unwrap_or(self.since);
        let mut pairs = vec![("since", since), ("format", "full")];
        pairs.extend(reader.session().map(|key| ("session", key)));
        pairs.extend(more);
        format!(
            "channels={}&{}",
            remote::channel_list(self.channels),
            remote::query(pairs)
        )
    }
}

/// Reads over WebSocket.
pub(super) async fn ws(wish: &Wish<'_>, reader: &mut FrameReader) -> Result<Flow, Trouble> {
    let address = wish.remote.address("ws", "", &wish.query(reader, &[]));
    let address = address.as_str().replacen("http", "ws", 1);
    let mut request = address
        .into_client_request()
        .map_err(|error| Trouble::Final(error.to_string()))?;
    if let Some(authorization) = wish.remote.authorization() {
        let value = HeaderValue::try_from(authorization)
            .map_err(|error| Trouble::Final(error.to_string()))?;
        request.headers_mut().insert("authorization", value);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(HELD_BYTES_MAX))
        .max_frame_size(Some(HELD_BYTES_MAX));
    let connecting = connect_async_with_config(request, Some(config), false);
    let connecting = timeout(CONNECT_LIMIT, connecting).await;
    let (mut socket, _) = connecting
        .map_err(|_| Trouble::passing("no answer"))?
        .map_err(ws_trouble)?;
    loop {
        let message = timeout(reader.silence_limit(), socket.next())
            .await
            .map_err(|_| Trouble::passing("silence"))?;
        let flow = match message.transpose().map_err(ws_trouble)? {
            Some(Message::Text(text)) => reader.take(&text, None)?,
            Some(Message::Binary(bytes)) => binary(reader, &bytes)?,
            Some(Message::Close(Some(close)))
                if FINAL_CLOSE_CODES.contains(&u16::from(close.code)) =>
            {
                let code = u16::from(close.code);
                return Err(Trouble::Final(format!(
                    "closed by the hub: {code} {}",
                    close.reason
                )));
            }
            Some(Message::Close(_)) | None => return Err(Trouble::passing("closed")),
            Some(_) => Flow::On,
        };
        if flow != Flow::On {
            let _ = socket.close(None).await;
            return Ok(flow);
        }
    }
}

/// Handles a binary event: its frame, a line feed, the bytes.
fn binary(reader: &mut FrameReader, message: &[u8]) -> Result<Flow, Trouble> {
    let not_ours = || Trouble::Final("not a binary message of a triway hub".into());
    let end = message
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or_else(not_ours)?;
    let head = str::from_utf8(&message[..end]).map_err(|_| not_ours())?;
    reader.take(head, Some(&message[end + 1..]))
}

fn ws_trouble(error: WsError) -> Trouble {
    match error {
        WsError::Http(answer) => {
            let retry_after = answer
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok());
            remote::refusal(
                answer.status().as_u16(),
                retry_after,
                answer.body().as_deref().unwrap_or_default(),
            )
        }
        error => Trouble::passing(error),
    }
}

/// Reads over Server-Sent Events.
pub(super) async fn sse(wish: &Wish<'_>, reader: &mut FrameReader) -> Result<Flow, Trouble> {
    let request = wish
        .remote
        .fetch(wish.remote.address("sse", "", &wish.query(reader, &[])));
    let opening = timeout(
        reader.silence_limit(),
        request.header("accept", "text/event-stream").send(),
    )
    .await;
    let body = accepted(opening.map_err(|_| Trouble::passing("no answer"))??)
        .await?
        .bytes_stream();
    let watch = SilenceWatch {
        silence_limit: Cell::new(reader.silence_limit()),
        held_bytes: Cell::new(0),
    };
    let mut blocks = pin!(SseByteStream::new(watch.chunks(body)));
    while let Some(block) = blocks.next().await {
        watch.held_bytes.set(0);
        // In format `full`, the data of a block is one line, which is the frame. Some blocks have no data.
        if let Some(frame) = block.map_err(sse_trouble)?.data {
            let flow = reader.take(&frame, None)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        watch.silence_limit.set(reader.silence_limit());
    }
    Err(Trouble::passing("the stream ended"))
}

/// The limits of an event stream. Comments are a sign of life too, so it watches chunks and not blocks.
struct SilenceWatch {
    silence_limit: Cell<Duration>,
    /// Bytes since the last complete block.
    held_bytes: Cell<usize>,
}

impl SilenceWatch {
    fn chunks(
        &self,
        body: impl Stream<Item = reqwest::Result<Bytes>>,
    ) -> impl Stream<Item = Result<Bytes, Trouble>> {
        try_stream! {
            let mut body = pin!(body);
            loop {
                let chunk = timeout(self.silence_limit.get(), body.next()).await;
                let Some(chunk) = chunk.map_err(|_| Trouble::passing("silence"))? else {
                    break;
                };
                let chunk = chunk?;
                let held_bytes = self.held_bytes.get() + chunk.len();
                if held_bytes > HELD_BYTES_MAX {
                    Err(Trouble::Final(NOT_A_STREAM.into()))?;
                }
                self.held_bytes.set(held_bytes);
                yield chunk;
            }
        }
    }
}

fn sse_trouble(error: sse_stream::Error) -> Trouble {
    match error {
        sse_stream::Error::Body(error) => match error.downcast() {
            Ok(trouble) => *trouble,
            Err(error) => Trouble::passing(error),
        },
        _ => Trouble::Final(NOT_A_STREAM.into()),
    }
}

/// Reads over long polling until something ends it.
pub(super) async fn poll(wish: &Wish<'_>, reader: &mut FrameReader) -> Result<Flow, Trouble> {
    let hold_s = HOLD_S.to_string();
    loop {
        // Each poll has its own URL, and its response repeats the nonce. Otherwise, a cache could answer with an old
        // response.
        let nonce = getrandom::u64().unwrap_or_default().to_string();
        let query = wish.query(reader, &[("wait", &hold_s), ("nonce", &nonce)]);
        let limit = Duration::from_secs(HOLD_S + POLL_MARGIN_S);
        let request = wish
            .remote
            .fetch(wish.remote.address("poll", "", &query))
            .timeout(limit);
        let body = accepted(request.send().await?).await?.bytes().await?;
        let not_ours = |_| Trouble::Final("the answer is not from a triway hub".into());
        let answer: PollAnswer<'_> = serde_json::from_slice(&body).map_err(not_ours)?;
        if answer.nonce.is_some_and(|echoed| echoed != nonce) {
            return Err(Trouble::passing("a cache answered"));
        }
        for frame in answer.frames {
            let flow = reader.take(frame.get(), None)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        reader.move_to(answer.cursor);
    }
}
