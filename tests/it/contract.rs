//! The rules of `docs/protocol.md` that no story shows anyway, each by a test of its name.
//!
//! Knows the wire alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod frames;
mod paths;
mod pings;
mod publishing;
mod reading;
mod refused;
mod replay;

use serde_json::Value;

use crate::support::{Ask, Reader, Server, Via};

/// The ids of some frames.
fn ids(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame["id"].as_str().unwrap())
        .collect()
}

/// The frames of one poll, hello left out.
async fn poll(server: &Server, path_and_query: &str) -> Vec<Value> {
    let answer = server
        .wire
        .get_json(&format!("/poll/{path_and_query}"))
        .await;
    let frames = answer["frames"].as_array().unwrap();
    frames
        .iter()
        .filter(|frame| frame["type"] != "hello")
        .cloned()
        .collect()
}

/// The data of some frames.
fn data(frames: &[Value]) -> Vec<&Value> {
    frames.iter().map(|frame| &frame["data"]).collect()
}

/// A session: its id and its key.
async fn session(server: &Server) -> (String, String) {
    let mut reader = server.wire.open(Via::Poll, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    let (id, key) = (reader.session_id.take(), reader.session_key.take());
    (id.unwrap(), key.unwrap())
}

/// A WebSocket whose hello is read.
async fn socket(server: &Server, ask: &Ask) -> Reader {
    let mut reader = server.wire.open(Via::Ws, ask).await;
    reader.expect_type("hello").await;
    reader
}
