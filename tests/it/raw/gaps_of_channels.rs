//! Gaps of several channels at once: a cut between any two of them leaves none undelivered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::exact_bytes::{Server, get};
use super::ws_client::Ws;

/// A cursor from another run of the hub.
const OLD: &str = "old-5";
const CHANNELS: &str = "a,b,c";

async fn server() -> Server {
    let server = Server::start();
    for channel in ["a", "b", "c"] {
        server.publish(channel, "x").await;
    }
    server
}

/// Reads `count` blocks. Returns the `id:` of each, and its channel if it is a gap.
async fn blocks(
    server: &Server,
    query: &str,
    last_event_id: &str,
    count: usize,
) -> Vec<(String, Option<String>)> {
    let request = get(&format!("/sse/{CHANNELS}?{query}"));
    let line = format!("Last-Event-ID: {last_event_id}\r\nHost:");
    let mut stream = server.send(request.replacen("Host:", &line, 1)).await;
    stream.head().await;
    let mut seen = Vec::new();
    while seen.len() < count {
        let block = stream.block().await;
        let find = |name: &str| block.iter().find(|(known, _)| known == name);
        let Some((_, id)) = find("id") else { continue };
        let data = find("data").and_then(|(_, data)| serde_json::from_str::<Value>(data).ok());
        let gap = data.filter(|data| data["type"] == "gap");
        let channel = gap.map(|gap| gap["channel"].as_str().unwrap().to_owned());
        seen.push((id.clone(), channel));
    }
    seen
}

#[tokio::test]
async fn a_cut_between_gaps_of_one_id_loses_no_gap() {
    let server = server().await;
    for query in ["", "format=data"] {
        // One hello, three gaps, three events.
        let whole = blocks(&server, query, OLD, 7).await;
        for cut in 1..=4 {
            let (last, _) = &whole[cut - 1];
            let mut told: BTreeSet<_> = whole[..cut]
                .iter()
                .filter_map(|(_, gap)| gap.clone())
                .collect();
            if told.len() < 3 {
                told.extend(
                    blocks(&server, query, last, 4)
                        .await
                        .into_iter()
                        .filter_map(|(_, gap)| gap),
                );
            }
            assert_eq!(
                told.len(),
                3,
                "{query}, cut after {cut} blocks at {last}: {whole:?}"
            );
        }
    }
}

/// Returns the hello of a WebSocket and the frames after it, `count` in all.
async fn frames(server: &Server, since: &str, count: usize) -> Vec<Value> {
    let mut ws = Ws::open(server, &format!("/ws/{CHANNELS}?since={since}")).await;
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.push(ws.json().await);
    }
    frames
}

#[tokio::test]
async fn all_gaps_of_one_id_but_the_last_have_more() {
    let server = server().await;
    let whole = frames(&server, OLD, 7).await;
    let more: Vec<bool> = whole[1..4].iter().map(|gap| gap["more"] == true).collect();
    assert_eq!(more, [true, true, false], "{whole:?}");
    assert!(whole[4..].iter().all(|event| event["type"] == "event"));
    let channels = |frames: &[Value]| -> BTreeSet<String> {
        let gaps = frames.iter().filter(|frame| frame["type"] == "gap");
        gaps.map(|gap| gap["channel"].to_string()).collect()
    };
    // A reader with one cursor is cut after each of these frames.
    for cut in 1..=4 {
        let mut moving = whole[..cut].iter().filter(|frame| frame["more"] != true);
        let cursor = moving.next_back().unwrap()["id"].as_str().unwrap();
        let mut told = channels(&whole[..cut]);
        if told.len() < 3 {
            told.extend(channels(&frames(&server, cursor, 4).await));
        }
        assert_eq!(told.len(), 3, "cut after {cut} frames at {cursor}");
    }
}
