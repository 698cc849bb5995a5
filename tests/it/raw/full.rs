//! A hub that is full for now: who is refused is told when to come again, and comes in then.

use serde_json::json;

use super::frames::{Ws, close};
use super::refusals::assert_refused;
use super::wire::{Server, eventually, post};

#[tokio::test]
async fn a_hub_that_is_full_asks_its_readers_to_come_back() {
    let server = Server::with(|builder, _| builder.hub.hub_channels = Some(1));
    server.publish("a", "x").await;
    let mut refused = Ws::open(&server, "/ws/b").await;
    let (code, reason, before) = refused.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3007), "too_many_channels"));
    let bye = before[0].json();
    assert_eq!(
        (&bye["reconnect"], &bye["after_ms"], &bye["error"]["status"]),
        (&json!(true), &json!(5_000), &json!(503)),
        "{bye}"
    );
    refused.send(close(3007, "")).await;
    let mut reader = Ws::open(&server, "/ws/a").await;
    let hello = reader.json().await;
    let subscribe = json!({"type": "subscribe", "channel": "b"});
    let error = reader.command(subscribe).await["error"].clone();
    assert_eq!(
        (&error["code"], &error["status"]),
        (&json!("too_many_channels"), &json!(503))
    );
    // It passes, so it uses no number up: the same one acts where there is room.
    let (id, key) = super::wire::session_of(&hello);
    for (channel, status) in [("b", 503), ("a", 201)] {
        let target = format!("/pub/{channel}?session={key}");
        let headers = [("Idempotency-Key", &*format!("{id}:1"))];
        let answer = server.ask(post(&target, &headers, b"x")).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 503 {
            assert_refused(&answer, 503, "too_many_channels");
        }
    }
}

#[tokio::test]
async fn large_bodies_on_their_way_have_one_bound_and_small_ones_go_through() {
    let server = Server::with(|builder, _| builder.http.bodies_total = Some(60_000));
    let held = async || server.metric("triway_bodies_bytes").await;
    let large = post("/pub/a", &[], &[b'x'; 60_000]);
    let (most, end) = large.split_at(large.len() - 1);
    let mut slow = server.send(most).await;
    eventually("its first 16 KiB are free", async || {
        held().await == 60_000.0 - 1.0 - 16.0 * 1_024.0
    })
    .await;
    let refused = server.ask(&large).await;
    let problem = assert_refused(&refused, 503, "too_many_bodies");
    assert!(problem["hint"].as_str().unwrap().contains("--bodies-total"));
    assert_eq!(refused.header("retry-after"), Some("2"));
    // A usual publish is never in want of room.
    let small = server.ask(post("/pub/a", &[], &[b'x'; 16_000])).await;
    assert_eq!(small.status, 201);
    slow.send(end).await;
    assert_eq!(slow.answer().await.status, 201);
    assert_eq!(held().await, 0.0, "given back");
    assert_eq!(server.ask(&large).await.status, 201);
    // Cut on its way, it is given back too.
    let cut = server.send(most).await;
    eventually("counted", async || held().await > 0.0).await;
    drop(cut);
    eventually("given back", async || held().await == 0.0).await;
}
