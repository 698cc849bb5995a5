//! The reading side of a WebSocket connection, without the socket: bytes in,
//! messages out, and the answers that RFC 6455 demands (Pong, the echo of a
//! Close) into a buffer of the caller's.
//!
//! The rules of framing are tungstenite's. This file adds one thing: it knows
//! where messages end, and keeps tungstenite's context only between those
//! borders. So an idle connection holds a few words, and not the buffers of
//! the largest message that it ever sent.
//!
//! It does not know sockets, time, events or commands.

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{FrameHeader, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, Message, Role, WebSocketConfig, WebSocketContext,
};

/// Bytes of the longest header: two, a length of eight, a mask of four.
const HEADER_BYTES_MAX: usize = 14;

/// Bytes that tungstenite takes per step into its buffer. It writes zeros over
/// that much before each step, so a larger step makes a long message that
/// arrives in small reads slow; a smaller one means more steps.
const STEP_BYTES: usize = 4 * 1024;

/// What a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A whole text message, known to be UTF-8.
    Text(Utf8Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A Ping; its Pong is in `out` already.
    Ping,
    /// A Pong: the peer lives.
    Pong,
    /// A Close, the last that is read; its echo is in `out` already. The code
    /// is absent where the peer gave none, and 1002 where it gave one that
    /// must not be sent.
    Close {
        /// Such as 1000 (done) or 1001 (the page goes away).
        code: Option<u16>,
        /// The peer's words, often empty.
        reason: Utf8Bytes,
    },
}

/// The peer broke the protocol or a limit. Nothing more is read; the caller
/// sends a Close with this code and reason, since tungstenite sends none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// 1002 (protocol error), 1007 (text is not UTF-8) or 1009 (too large).
    pub(crate) code: u16,
    /// What was wrong, for the Close and for the log. Holds nothing that the
    /// peer sent.
    pub(crate) reason: String,
}

/// Reads one client's frames.
#[derive(Debug)]
pub(crate) struct Codec {
    /// The limit for a message, and so for a frame.
    message_bytes_max: usize,
    /// tungstenite, from the first header of a message to its last byte.
    context: Option<Box<WebSocketContext>>,
    /// A header that the last read cut in two; `split_bytes` of it are there.
    split: [u8; HEADER_BYTES_MAX - 1],
    split_bytes: u8,
    /// Payload bytes of the present frame that have not come yet.
    frame_bytes_left: u64,
    /// A message of several frames has begun and its last frame has not.
    in_message: bool,
    /// Bytes of the message that has begun and not ended.
    message_bytes: usize,
    /// A Close or an error was read; what follows is not looked at.
    ended: bool,
}

impl Codec {
    /// A codec that takes messages of up to `message_bytes_max` bytes.
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            context: None,
            split: [0; HEADER_BYTES_MAX - 1],
            split_bytes: 0,
            frame_bytes_left: 0,
            in_message: false,
            message_bytes: 0,
            ended: false,
        }
    }

    /// Reads to the end of the next message, and moves `input` past what was
    /// taken. `None` means that all of it was taken and more is needed.
    ///
    /// Answers are appended to `out`. A Pong is shorter than its Ping, and there
    /// is one Close, so `out` grows by hardly more than `input` shrinks: a caller
    /// that writes `out` before it reads on is bounded by the size of one read.
    pub(crate) fn feed(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Incoming>, Broken> {
        while !self.ended && !input.is_empty() {
            match self.feed_frame(input, out) {
                Ok(None) => {}
                Ok(Some(message)) => return Ok(Some(self.translate(message))),
                Err(error) => {
                    self.end();
                    return Err(Broken::from(error));
                }
            }
        }
        *input = &[];
        Ok(None)
    }

    fn translate(&mut self, message: Message) -> Incoming {
        match message {
            Message::Text(text) => Incoming::Text(text),
            Message::Binary(bytes) => Incoming::Binary(bytes),
            Message::Ping(_) => Incoming::Ping,
            Message::Pong(_) => Incoming::Pong,
            Message::Close(frame) => {
                self.end();
                let (code, reason) = frame.map_or(
                    (None, Utf8Bytes::default()),
                    |CloseFrame { code, reason }| (Some(code.into()), reason),
                );
                Incoming::Close { code, reason }
            }
            Message::Frame(_) => unreachable!("tungstenite never reads raw frames"),
        }
    }

    /// Takes what there is of one frame, its header first.
    fn feed_frame(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Message>, Error> {
        let mut head = [0; HEADER_BYTES_MAX];
        let mut head_bytes = 0;
        if self.frame_bytes_left == 0 {
            head_bytes = self.take_header(input, &mut head)?;
            if head_bytes == 0 {
                return Ok(None);
            }
        }
        let body = self.take_payload(input);
        let context = self.context.as_mut().expect("a header was read");
        let mut wire = Wire {
            head: &head[..head_bytes],
            body,
            out,
        };
        let message = match context.read(&mut wire) {
            Ok(message) => Some(message),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => return Err(error),
        };
        if matches!(message, Some(Message::Ping(_) | Message::Close(_))) {
            flush_answer(context, &mut wire)?;
        }
        if self.frame_bytes_left == 0 && !self.in_message {
            self.context = None;
            self.message_bytes = 0;
        }
        Ok(message)
    }

    /// Bytes held of a message that has begun and not ended.
    pub(crate) fn held_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Begins a frame: copies its header, which may have come in several reads,
    /// to `head` and says how long it is; 0 while it is not whole.
    fn take_header(
        &mut self,
        input: &mut &[u8],
        head: &mut [u8; HEADER_BYTES_MAX],
    ) -> Result<usize, Error> {
        let held = usize::from(self.split_bytes);
        let fresh = input.len().min(HEADER_BYTES_MAX - held);
        let seen = held + fresh;
        head[..held].copy_from_slice(&self.split[..held]);
        head[held..seen].copy_from_slice(&input[..fresh]);

        let mut cursor = Cursor::new(&head[..seen]);
        let Some((header, payload_bytes)) = FrameHeader::parse(&mut cursor)? else {
            self.split[..seen].copy_from_slice(&head[..seen]);
            self.split_bytes = seen as u8;
            *input = &input[fresh..];
            return Ok(0);
        };
        let head_bytes = cursor.position() as usize;
        *input = &input[head_bytes - held..];
        self.split_bytes = 0;
        self.frame_bytes_left = payload_bytes;
        if let OpCode::Data(_) = header.opcode {
            self.in_message = !header.is_final;
        }
        if self.context.is_none() {
            self.context = Some(Box::new(self.new_context(payload_bytes)));
        }
        Ok(head_bytes)
    }

    /// Takes what `input` holds of the present frame's payload.
    fn take_payload<'a>(&mut self, input: &mut &'a [u8]) -> &'a [u8] {
        let here = usize::try_from(self.frame_bytes_left)
            .map_or(input.len(), |left| left.min(input.len()));
        let (body, rest) = input.split_at(here);
        *input = rest;
        self.frame_bytes_left -= here as u64;
        self.message_bytes += here;
        body
    }

    /// tungstenite for the message whose first frame has `payload_bytes`. A
    /// message of one frame becomes a part of the read buffer, so this is made
    /// as small as that frame: a short event would else hold the whole of it.
    fn new_context(&self, payload_bytes: u64) -> WebSocketContext {
        let buffer_bytes = if self.in_message {
            STEP_BYTES
        } else {
            usize::try_from(payload_bytes).map_or(STEP_BYTES, |bytes| bytes.min(STEP_BYTES))
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(buffer_bytes.max(HEADER_BYTES_MAX))
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max));
        WebSocketContext::new(Role::Server, Some(config))
    }

    /// Nothing more is read.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.context = None;
        self.message_bytes = 0;
    }
}

/// Lets tungstenite write the Pong or the Close that it has ready.
fn flush_answer(context: &mut WebSocketContext, wire: &mut Wire<'_>) -> Result<(), Error> {
    match context.flush(wire) {
        // tungstenite's word for "both have said Close".
        Ok(()) | Err(Error::ConnectionClosed) => Ok(()),
        Err(error) => Err(error),
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        let (code, reason) = match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => (
                CloseCode::Size,
                format!("a message of {size} bytes or more, and {max_size} are allowed"),
            ),
            // Its text quotes the peer's bytes.
            Error::Utf8(_) => (CloseCode::Invalid, "text is not UTF-8".to_owned()),
            Error::Protocol(error) => (CloseCode::Protocol, error.to_string()),
            error => (CloseCode::Protocol, error.to_string()),
        };
        Self {
            code: code.into(),
            reason,
        }
    }
}

/// What tungstenite takes for its socket: a piece of one frame to read, and
/// the caller's buffer to write to.
struct Wire<'a> {
    head: &'a [u8],
    body: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let part = if self.head.is_empty() {
            &mut self.body
        } else {
            &mut self.head
        };
        if part.is_empty() {
            // No bytes would mean the end of the stream.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        part.read(into)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
