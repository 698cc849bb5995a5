//! How a WebSocket ends and what keeps it alive: the order of its last frames, pings, and silent peers.

use std::time::{Duration, Instant};

use serde_json::json;

use super::exact_bytes::{Server, eventually};
use super::ws_client::{CLOSE, FIN, PING, PONG, TEXT, Ws, close, frame, text};

#[tokio::test]
async fn replies_come_before_the_close_and_no_frame_after_it() {
    let server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a").await;
    ws.json().await;
    let publish = |number: u32| {
        text(&json!({"type": "publish", "channel": "a", "data": number, "ref": number}).to_string())
    };
    let mut all: Vec<u8> = (0..150).flat_map(publish).collect();
    all.extend(close(1000, "done"));
    all.extend(publish(999));
    ws.send(all).await;
    let (code, reason, before) = ws.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(1000), "done"));
    let replies = before
        .iter()
        .filter(|frame| frame.json()["type"] == "reply")
        .count();
    assert_eq!(
        replies, 150,
        "each command before the Close was acted on and answered"
    );
    ws.ends().await;
    let last = server.get("/history/a?since=last:1").await.json();
    assert_eq!(last["frames"][0]["data"], 149, "and none behind it");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_follows_the_close_while_events_flow() {
    let server = Server::with(|builder, _| builder.broker.rate = None);
    let hub = server.hub.clone();
    let flowing = tokio::spawn(async move {
        loop {
            let _ = hub.publish("a", triway::Data::text("x")).await;
            tokio::task::yield_now().await;
        }
    });
    for round in 0..100 {
        let mut ws = Ws::open(&server, "/ws/a").await;
        ws.json().await;
        let mut bytes: Vec<u8> = (0..round % 8)
            .flat_map(|_| text("{\"type\":\"ping\"}"))
            .collect();
        bytes.extend(close(1000, ""));
        ws.send(bytes).await;
        assert_eq!(ws.until_close().await.0, Some(1000));
        ws.ends().await;
    }
    flowing.abort();
}

#[tokio::test]
async fn a_socket_is_pinged_each_heartbeat_and_the_frame_comes_last() {
    let server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a?heartbeat=1").await;
    let hello = ws.json().await;
    assert_eq!(hello["heartbeat"], 1);
    for _ in 0..2 {
        let began = Instant::now();
        assert_eq!(
            ws.frame().await.opcode(),
            PING,
            "one of the protocol goes before it"
        );
        let ping = ws.frame().await.json();
        assert_eq!((&ping["type"], &ping["id"]), (&json!("ping"), &hello["id"]));
        assert_eq!(ping["count"], 0);
        assert!(
            began.elapsed() < Duration::from_millis(1_500),
            "{:?}",
            began.elapsed()
        );
        ws.send(frame(FIN | PONG, b"")).await;
    }
    let id = server.publish("a", "x").await;
    assert_eq!(ws.frame().await.json()["id"], id);
    assert_eq!(ws.frame().await.opcode(), PING);
    let ping = ws.frame().await.json();
    assert_eq!(ping["id"], id, "everything up to there was written");
    assert_eq!(ping["count"], 1);
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_gets_a_bye_after_two_heartbeats() {
    let server = Server::start();
    let began = Instant::now();
    let mut ws = Ws::open(&server, "/ws/a?heartbeat=1").await;
    let mut bare = Ws::open(&server, "/ws/a?heartbeat=1&format=data").await;
    let (code, reason, before) = ws.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3005), "silent"));
    let bye = before.last().unwrap().json();
    assert_eq!(
        (&bye["type"], &bye["reconnect"]),
        (&json!("bye"), &json!(true))
    );
    assert!(
        (1_700..3_500).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    let (code, _, before) = bare.until_close().await;
    assert_eq!(code, Some(3005));
    assert!(
        before.iter().all(|frame| frame.opcode() == PING),
        "{before:?}"
    );
}

#[tokio::test]
async fn a_rate_limited_peer_is_not_closed_as_silent() {
    let server = Server::with(|builder, _| {
        builder.broker.rate = Some(triway::Rate {
            per_second: 10.0,
            burst: 1.0,
        });
    });
    let mut all = Vec::new();
    for format in ["full", "data"] {
        let channel = format!("lines-{format}");
        let mut ws = Ws::open(
            &server,
            &format!("/ws/{channel}?heartbeat=1&echo=0&format={format}"),
        )
        .await;
        let line = |number: u32| match format {
            "full" => {
                text(&json!({"type": "publish", "channel": channel, "data": number}).to_string())
            }
            _ => text(&number.to_string()),
        };
        // Commands for four heartbeats. The peer's Pongs wait behind them.
        let mut bytes: Vec<u8> = (0..40).flat_map(line).collect();
        bytes.extend((0..4).flat_map(|_| frame(FIN | PONG, b"")));
        ws.send(bytes).await;
        all.push((channel, ws));
    }
    for (channel, mut ws) in all {
        eventually("all lines are published", async || {
            lines_of(&server, &channel).await == 40
        })
        .await;
        // After that, the heartbeat applies again and closes the silent peer.
        let (code, reason, _) = ws.until_close().await;
        assert_eq!((code, reason.as_str()), (Some(3005), "silent"));
        eventually("no line is lost", async || {
            lines_of(&server, &channel).await == 40
        })
        .await;
    }
}

/// Returns the number of published lines, or 0 while the rate limit refuses the query.
async fn lines_of(server: &Server, channel: &str) -> usize {
    let page = server.get(&format!("/history/{channel}")).await.json();
    page["frames"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_peer_is_pinged_while_events_flow() {
    let server = Server::start();
    let mut lives = Ws::open(&server, "/ws/a?heartbeat=1").await;
    let mut mute = Ws::open(&server, "/ws/a?heartbeat=1").await;
    let flow = async {
        for number in 0.. {
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.publish("a", &number.to_string()).await;
        }
    };
    let talk = async {
        let mut asked = 0;
        // Four heartbeats.
        while asked < 4 {
            let next = lives.frame().await;
            match next.opcode() {
                TEXT => assert_ne!(next.json()["type"], "bye", "{next:?}"),
                PING => {
                    asked += 1;
                    lives.send(frame(FIN | PONG, &next.payload)).await;
                }
                _ => panic!("{next:?}"),
            }
        }
        assert_eq!(
            mute.until_close().await.0,
            Some(3005),
            "who never answers is gone"
        );
    };
    tokio::select! {
        () = flow => unreachable!("it flows until all is told"),
        () = talk => {}
    }
}

#[tokio::test]
async fn commands_are_read_while_the_reader_is_behind() {
    let server = Server::with(|builder, _| {
        builder.hub.history_bytes = None;
        builder.broker.rate = None;
    });
    let data = "x".repeat(60_000);
    for _ in 0..400 {
        server.publish("a", &data).await;
    }
    // The client does not read at first, so its socket is full while most of the log waits. Then it reads slowly.
    let mut ws = Ws::open(&server, "/ws/a?since=all").await;
    ws.send(text(r#"{"type":"ping","ref":"now"}"#)).await;
    let mut events = 0;
    loop {
        let value = ws.json().await;
        match value["type"].as_str() {
            Some("event") => events += 1,
            Some("reply") => break,
            _ => {}
        }
    }
    assert!(events < 400, "answered before all was written: {events}");
}

#[tokio::test]
async fn a_peer_that_leaves_without_a_close_affects_no_other() {
    let server = Server::start();
    for round in 0..30 {
        let mut ws = Ws::open(&server, "/ws/a").await;
        match round % 3 {
            0 => ws.wire.reset(),
            1 => drop(ws),
            _ => {
                ws.send(&frame(FIN | TEXT, &[b'x'; 1_000])[..500]).await;
                ws.wire.finish().await;
                let rest = ws.wire.rest().await;
                assert!(
                    !rest.windows(2).any(|pair| pair == [FIN | CLOSE, 0]),
                    "{rest:?}"
                );
            }
        }
    }
    eventually("no readers", async || {
        server.metric("triway_readers{transport=\"ws\"}").await == 0.0
    })
    .await;
}
