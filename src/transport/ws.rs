//! WebSocket as bytes: the frames that a reader receives, and the messages in what a client sends.
//!
//! Knows no socket: `server/socket/ws.rs` drives one.

pub(crate) mod codec;
pub(crate) mod frame;
pub(crate) mod words;
