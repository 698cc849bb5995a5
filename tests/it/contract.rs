//! The rules of `docs/protocol.md` that no other test covers. Each test has the name of its rule.
//!
//! Knows only the wire format.

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

/// Returns the ids of some frames.
fn ids(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame["id"].as_str().unwrap())
        .collect()
}

/// Returns the frames of one poll, without hello.
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

/// Returns the data of some frames.
fn data(frames: &[Value]) -> Vec<&Value> {
    frames.iter().map(|frame| &frame["data"]).collect()
}

/// Opens a session, and returns its id and its key.
async fn session(server: &Server) -> (String, String) {
    let mut reader = server.wire.open(Via::Poll, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    let (id, key) = (reader.session_id.take(), reader.session_key.take());
    (id.unwrap(), key.unwrap())
}

/// Opens a WebSocket and reads its hello.
async fn socket(server: &Server, ask: &Ask) -> Reader {
    let mut reader = server.wire.open(Via::Ws, ask).await;
    reader.expect_type("hello").await;
    reader
}
