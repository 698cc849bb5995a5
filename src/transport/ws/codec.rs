//! The reading side of a WebSocket connection, without the socket. It turns bytes into messages, and appends the
//! answers that RFC 6455 demands (Pong, the echo of a Close) to a buffer of the caller.
//!
//! tungstenite implements the rules of framing. This file adds one thing: it knows where messages end, and keeps
//! tungstenite's context only within a message. So an idle connection holds a few words, and not the buffers of the
//! largest message that it ever sent.
//!
//! Knows no socket, no time, no event and no command.

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

/// Bytes that tungstenite reads into its buffer per step. It writes zeros over that many bytes before each step, so a
/// larger step slows down a long message that arrives in small reads. A smaller step means more steps.
const STEP_BYTES: usize = 4 * 1024;

/// A message from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientMessage {
    /// A whole text message, known to be UTF-8.
    Text(Utf8Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A Ping. Its Pong is in `out` already.
    Ping,
    /// A Pong: the peer is alive.
    Pong,
    /// A Close, the last message that is read. Its echo is in `out` already. The code is `None` if the peer sent none,
    /// and 1002 if the peer sent one that must not be sent.
    Close {
        /// For example 1000 (done) or 1001 (the page goes away).
        code: Option<u16>,
        /// The peer's reason, often empty.
        reason: Utf8Bytes,
    },
}

/// The peer violated the protocol or a limit. Nothing more is read. The caller sends a Close with this code and reason,
/// since tungstenite sends none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProtocolViolation {
    /// 1002 (protocol error), 1007 (text is not UTF-8) or 1009 (too large).
    pub(crate) code: u16,
    /// The violation, for the Close and for the log. Contains nothing that the peer sent.
    pub(crate) reason: String,
}

/// Reads the frames of one client.
#[derive(Debug)]
pub(crate) struct Codec {
    /// The limit for a message, and so for a frame.
    message_bytes_max: usize,
    /// tungstenite, from the first header of a message to its last byte.
    context: Option<Box<WebSocketContext>>,
    /// A header that the last read cut in two. Its first `split_bytes` bytes have arrived.
    split: [u8; HEADER_BYTES_MAX - 1],
    split_bytes: u8,
    /// Payload bytes of the present frame that have not arrived yet.
    frame_bytes_left: u64,
    /// Whether a message of several frames has begun, but not its last frame.
    in_message: bool,
    /// Bytes of the message that has begun and not ended.
    message_bytes: usize,
    /// Whether a Close or an error was read. The bytes after it are ignored.
    ended: bool,
}

impl Codec {
    /// Returns a codec that accepts messages of up to `message_bytes_max` bytes.
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

    /// Reads to the end of the next message, and moves `input` past the bytes that were read. `None` means that all of
    /// `input` was read and more is needed.
    ///
    /// Appends answers to `out`. A Pong is shorter than its Ping, and there is one Close, so `out` grows by hardly more
    /// than `input` shrinks. If the caller writes `out` before it reads again, the size of one read limits the size of
    /// `out`.
    pub(crate) fn feed(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<ClientMessage>, ProtocolViolation> {
        while !self.ended && !input.is_empty() {
            match self.feed_frame(input, out) {
                Ok(None) => {}
                Ok(Some(message)) => return Ok(Some(self.translate(message))),
                Err(error) => {
                    self.end();
                    return Err(ProtocolViolation::from(error));
                }
            }
        }
        *input = &[];
        Ok(None)
    }

    fn translate(&mut self, message: Message) -> ClientMessage {
        match message {
            Message::Text(text) => ClientMessage::Text(text),
            Message::Binary(bytes) => ClientMessage::Binary(bytes),
            Message::Ping(_) => ClientMessage::Ping,
            Message::Pong(_) => ClientMessage::Pong,
            Message::Close(frame) => {
                self.end();
                let (code, reason) = frame.map_or(
                    (None, Utf8Bytes::default()),
                    |CloseFrame { code, reason }| (Some(code.into()), reason),
                );
                ClientMessage::Close { code, reason }
            }
            Message::Frame(_) => unreachable!("tungstenite never reads raw frames"),
        }
    }

    /// Reads what is available of one frame, its header first.
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
        let mut wire = CodecIo {
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

    /// Returns the bytes held of a message that has begun and not ended.
    pub(crate) fn held_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Begins a frame. Copies its header, which may have arrived in several reads, to `head`. Returns the length of the
    /// header, or 0 while it is incomplete.
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

    /// Takes the bytes that `input` holds of the present frame's payload.
    fn take_payload<'a>(&mut self, input: &mut &'a [u8]) -> &'a [u8] {
        let here = usize::try_from(self.frame_bytes_left)
            .map_or(input.len(), |left| left.min(input.len()));
        let (body, rest) = input.split_at(here);
        *input = rest;
        self.frame_bytes_left -= here as u64;
        self.message_bytes += here;
        body
    }

    /// Returns tungstenite's context for a message whose first frame has `payload_bytes`. A message of one frame
    /// becomes a part of the read buffer. So the buffer is as small as that frame: otherwise, a short event would hold
    /// the whole buffer.
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

    /// Ends the reading.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.context = None;
        self.message_bytes = 0;
    }
}

/// Lets tungstenite write the Pong or the Close that it has prepared.
fn flush_answer(context: &mut WebSocketContext, wire: &mut CodecIo<'_>) -> Result<(), Error> {
    match context.flush(wire) {
        // tungstenite's way to say that both sides have sent a Close.
        Ok(()) | Err(Error::ConnectionClosed) => Ok(()),
        Err(error) => Err(error),
    }
}

impl From<Error> for ProtocolViolation {
    fn from(error: Error) -> Self {
        let (code, reason) = match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => (
                CloseCode::Size,
                format!("a message of {size} bytes or more, and {max_size} are allowed"),
            ),
            // The text of this error quotes the peer's bytes.
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

/// What tungstenite uses as its socket: a piece of one frame to read, and the caller's buffer to write to.
struct CodecIo<'a> {
    head: &'a [u8],
    body: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Read for CodecIo<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let part = if self.head.is_empty() {
            &mut self.body
        } else {
            &mut self.head
        };
        if part.is_empty() {
            // Reading no bytes would mean the end of the stream.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        part.read(into)
    }
}

impl Write for CodecIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
