//! Holes of several channels at once: wherever a reader is cut among its gaps, none of them stays hidden.

use std::collections::BTreeSet;

use serde_json::Value;

use super::frames::Ws;
use super::wire::{Server, get};

/// A cursor of another life of the hub.
const OLD: &str = "old-5";
const CHANNELS: &str = "a,b,c";

async fn server() -> Server {
    let server = Server::start();
    for channel in ["a", "b", "c"] {
        server.publish(channel, "x").await;
    }
    server
}

/// The `id:` of each of so many blocks, and the channel where it is a gap.
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
async fn a_cut_between_gaps_of_one_id_hides_none_of_them() {
    let server = server().await;
    for query in ["", "format=data"] {
        // The beginning, three gaps, three events.
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

/// The frames of a WebSocket after its hello, and the hello.
async fn frames(server: &Server, since: &str, count: usize) -> Vec<Value> {
    let mut ws = Ws::open(server, &format!("/ws/{CHANNELS}?since={since}")).await;
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.push(ws.json().await);
    }
    frames
}

#[tokio::test]
async fn gaps_of_one_id_say_that_more_follow() {
    let server = server().await;
    let whole = frames(&server, OLD, 7).await;
    let more: Vec<bool> = whole[1..4].iter().map(|gap| gap["more"] == true).collect();
    assert_eq!(more, [true, true, false], "{whole:?}");
    assert!(whole[4..].iter().all(|event| event["type"] == "event"));
    let channels = |frames: &[Value]| -> BTreeSet<String> {
        let gaps = frames.iter().filter(|frame| frame["type"] == "gap");
        gaps.map(|gap| gap["channel"].to_string()).collect()
    };
    // A reader with one cursor, cut after each of the frames.
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
