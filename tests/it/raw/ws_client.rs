//! A WebSocket client that sends any frame, valid or invalid, and reads the replies frame by frame.

use serde_json::{Value, json};

use super::exact_bytes::{Answer, Server, Wire};

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
/// The FIN bit of a message's last frame.
pub(crate) const FIN: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) fn json(&self) -> Value {
        let text = self
            .payload
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Encodes a masked frame: its first byte, then length, mask and payload.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    out
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text.as_bytes())
}

pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(
        FIN | CLOSE,
        &[&code.to_be_bytes()[..], reason.as_bytes()].concat(),
    )
}

/// Returns a handshake for this target, with further header lines.
pub(crate) fn handshake(target: &str, lines: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// An open WebSocket.
pub(crate) struct Ws {
    pub(crate) wire: Wire,
}

impl Ws {
    pub(crate) async fn open(server: &Server, target: &str) -> Self {
        Self::open_with(server, target, "").await.0
    }

    pub(crate) async fn open_with(server: &Server, target: &str, lines: &str) -> (Self, Answer) {
        let mut wire = server.send(handshake(target, lines)).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        (Self { wire }, answer)
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes).await;
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        self.next_frame().await.expect("a frame")
    }

    /// Reads the next frame. Returns `None` if the server has closed the connection.
    pub(crate) async fn next_frame(&mut self) -> Option<Frame> {
        if !self.wire.has(2).await {
            return None;
        }
        let head = self.wire.take(2).await;
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let length = match head[1] {
            126 => {
                let bytes = self.wire.take(2).await;
                u64::from(u16::from_be_bytes(bytes.try_into().unwrap()))
            }
            127 => u64::from_be_bytes(self.wire.take(8).await.try_into().unwrap()),
            length => u64::from(length),
        };
        let payload = self.wire.take(usize::try_from(length).unwrap()).await;
        Some(Frame {
            first: head[0],
            payload,
        })
    }

    /// Returns the next data frame as JSON. Skips the hub's ping frames.
    pub(crate) async fn json(&mut self) -> Value {
        loop {
            let frame = self.frame().await;
            if matches!(frame.opcode(), TEXT | BINARY) {
                let value = frame.json();
                if value["type"] != "ping" {
                    return value;
                }
            } else {
                assert_eq!(frame.opcode(), PING, "{frame:?}");
            }
        }
    }

    /// Sends one command and returns its reply. Skips frames between the two.
    pub(crate) async fn command(&mut self, mut command: Value) -> Value {
        command["ref"] = json!("r");
        self.send(text(&command.to_string())).await;
        loop {
            let value = self.json().await;
            if value["type"] == "reply" {
                assert_eq!(value["ref"], "r", "{value}");
                return value;
            }
        }
    }

    /// Sends a Ping. Returns the payload of the Pong.
    pub(crate) async fn pong(&mut self, payload: &[u8]) -> Vec<u8> {
        self.send(frame(FIN | PING, payload)).await;
        loop {
            let frame = self.frame().await;
            if frame.opcode() == PONG {
                return frame.payload;
            }
        }
    }

    /// Reads up to the Close frame, which must arrive and be the last. Returns its code and reason, and the data frames
    /// before it.
    pub(crate) async fn until_close(&mut self) -> (Option<u16>, String, Vec<Frame>) {
        let mut before = Vec::new();
        loop {
            let frame = self
                .next_frame()
                .await
                .unwrap_or_else(|| panic!("ended without a Close: {before:?}"));
            if frame.opcode() == CLOSE {
                let code = frame
                    .payload
                    .get(..2)
                    .map(|code| u16::from_be_bytes([code[0], code[1]]));
                let reason =
                    String::from_utf8(frame.payload.get(2..).unwrap_or_default().to_vec()).unwrap();
                return (code, reason, before);
            }
            before.push(frame);
        }
    }

    /// Asserts that the connection ends and no bytes follow the Close frame.
    pub(crate) async fn ends(&mut self) {
        assert_eq!(self.wire.rest().await, b"", "nothing comes after a Close");
    }
}
