//! Swept channels: what a reader learns about them when the hub has more of them than tombstones.

use std::time::Duration;

use serde_json::Value;
use triway::Data;

use super::exact_bytes::{Server, eventually};

/// Number of tombstones.
const TOMBSTONES: usize = 3;
/// Channels that are used and swept.
const CHANNELS: usize = 10;

/// Returns the types of the frames that a reader of one channel receives after a cursor.
async fn told(server: &Server, channel: usize, cursor: &str) -> Vec<String> {
    let target = format!("/poll/c{channel}?since={cursor}&wait=0");
    let answer = server.get(&target).await.json();
    let frames = answer["frames"].as_array().unwrap().iter();
    let kind = |frame: &Value| frame["type"].as_str().unwrap().to_owned();
    frames.map(kind).collect()
}

#[tokio::test]
async fn without_tombstones_a_stale_cursor_never_passes_for_a_fresh_one() {
    let server = Server::with(|builder, _| {
        builder.hub.tombstones = TOMBSTONES;
        builder.hub.history_age = Some(Duration::from_millis(1));
        builder.hub.sweep_idle = Duration::from_millis(1);
    });
    let mut before = vec![server.get("/poll/other").await.json()["cursor"].clone()];
    for number in 0..CHANNELS {
        let channel = format!("c{number}");
        let published = server.hub.publish(&channel, Data::text("x")).await.unwrap();
        before.push(published.id.to_string().into());
    }
    eventually("all are swept", async || {
        server.metric("triway_channels").await == 0.0
    })
    .await;
    let now = before[CHANNELS].as_str().unwrap();
    for (channel, stale) in before[..CHANNELS].iter().enumerate() {
        let stale = stale.as_str().unwrap();
        assert_eq!(told(&server, channel, stale).await, ["gap"], "{channel}");
        let fresh = told(&server, channel, now).await;
        assert!(fresh.is_empty(), "no needless gap: {channel}, {fresh:?}");
    }
}
