//! WebSocket as bytes: the frames of what a reader gets, and the messages in what a client sends.
//!
//! Knows no socket: `server/socket/ws.rs` drives one.

pub(crate) mod codec;
pub(crate) mod frame;
pub(crate) mod words;
