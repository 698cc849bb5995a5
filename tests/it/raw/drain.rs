//! Shutdown: every reader receives a bye, the byes are spread over time, no new request starts, and the drain ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::exact_bytes::{Server, get, in_time, post, session_of};
use super::process::Process;
use super::refusals::assert_refused;
use super::ws_client::{Ws, close, handshake};

#[tokio::test]
async fn readers_on_all_transports_are_asked_to_reconnect() {
    let mut server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a").await;
    let hello = ws.json().await;
    let mut bare = Ws::open(&server, "/ws/a?format=data").await;
    let mut sse = server.send(get("/sse/a?format=full")).await;
    sse.head().await;
    let (_, key) = session_of(&sse.block_json().await);
    let mut data = server.send(get("/sse/a")).await;
    data.head().await;
    let cursor = hello["id"].as_str().unwrap();
    let mut poll = server
        .send(get(&format!(
            "/poll/a?since={cursor}&session={key}&wait=60&nonce=n"
        )))
        .await;
    let mut early = server
        .send(get(&format!(
            "/poll/a?since={cursor}&session={key}&wait=60&early=1"
        )))
        .await;
    early.head().await;
    super::exact_bytes::eventually("all read", async || {
        server.metric("triway_readers{transport=\"poll\"}").await == 2.0
    })
    .await;
    let id = server.publish("b", "so that the head has moved").await;
    server.begin_shutdown();

    let (code, reason, before) = ws.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3001), "drain"));
    let bye = before.last().unwrap().json();
    let expected = json!({"type": "bye", "code": 3001, "reason": "drain", "reconnect": true, "after_ms": bye["after_ms"], "id": id});
    assert_eq!(bye, expected);
    assert!(
        (100..2_100).contains(&bye["after_ms"].as_u64().unwrap()),
        "{bye}"
    );
    ws.send(close(3001, "")).await;
    let (code, _, before) = bare.until_close().await;
    assert_eq!((code, before.len()), (Some(3001), 0));
    let bye = sse.block_json().await;
    assert_eq!(
        (&bye["type"], &bye["code"], &bye["id"]),
        (&json!("bye"), &json!(3001), &json!(id))
    );
    assert!(data.until("event: $bye\n").await.contains(&id));
    for polled in [
        poll.answer().await.json(),
        serde_json::from_slice(&early.chunks().await).unwrap(),
    ] {
        assert_eq!(
            (
                &polled["frames"][0]["type"],
                &polled["frames"][0]["code"],
                &polled["cursor"]
            ),
            (&json!("bye"), &json!(3001), &json!(id))
        );
    }
    drop((ws, bare));
    for wire in [&mut sse, &mut data, &mut poll, &mut early] {
        wire.rest().await;
    }
    let began = Instant::now();
    assert_eq!(server.drained().await.cut, 0);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn reconnects_are_spread_over_time() {
    let mut server = Server::start();
    let mut all = Vec::new();
    for _ in 0..60 {
        let mut ws = Ws::open(&server, "/ws/a").await;
        ws.json().await;
        all.push(ws);
    }
    server.begin_shutdown();
    let mut times = BTreeSet::new();
    for ws in &mut all {
        times.insert(ws.json().await["after_ms"].as_u64().unwrap());
    }
    assert!(times.len() > 40, "{times:?}");
    assert!(
        *times.first().unwrap() < 500 && *times.last().unwrap() > 1_500,
        "{times:?}"
    );
}

#[tokio::test]
async fn events_before_the_drain_arrive_before_the_bye() {
    let mut server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a").await;
    ws.json().await;
    let mut sse = server.send(get("/sse/a?format=full")).await;
    sse.head().await;
    sse.block_json().await;
    for number in 0..50 {
        server
            .hub
            .publish("a", triway::Data::text(&number.to_string()))
            .await
            .unwrap();
    }
    server.begin_shutdown();
    for number in 0..50 {
        assert_eq!(ws.json().await["data"], number.to_string());
        assert_eq!(sse.block_json().await["data"], number.to_string());
    }
    assert_eq!(ws.json().await["type"], "bye");
    assert_eq!(sse.block_json().await["type"], "bye");
}

#[tokio::test]
async fn a_drain_refuses_new_readers_and_accepts_publishes() {
    let mut server = Server::start();
    // A reader that does not close keeps the drain open.
    let mut stubborn = Ws::open(&server, "/ws/a").await;
    stubborn.json().await;
    let mut fresh = Vec::new();
    for _ in 0..6 {
        fresh.push(server.connect().await);
    }
    let mut kept = server.send(get("/readyz")).await;
    assert_eq!(kept.answer().await.status, 200);
    server.begin_shutdown();
    assert_eq!(stubborn.until_close().await.0, Some(3001));
    for (wire, target) in fresh
        .iter_mut()
        .zip(["/readyz", "/poll/a", "/sse/a", "/healthz"])
    {
        wire.send(get(target)).await;
        let answer = wire.answer().await;
        if target == "/healthz" {
            assert_eq!(answer.status, 200, "the process is up");
        } else if target == "/poll/a" {
            let frames = answer.json()["frames"].clone();
            assert_eq!(frames[0]["type"], "hello", "{answer:?}");
            assert_eq!(
                (&frames[1]["type"], &frames[1]["code"]),
                (&json!("bye"), &json!(3001))
            );
        } else {
            assert_refused(&answer, 503, "draining");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
        assert_eq!(answer.header("connection"), Some("close"));
    }
    fresh[4].send(post("/pub/a", &[], b"still taken")).await;
    assert_eq!(fresh[4].answer().await.status, 201);
    fresh[5].send(handshake("/ws/a", "")).await;
    let mut refused = Ws {
        wire: fresh.remove(5),
    };
    assert_eq!(refused.wire.answer().await.status, 101);
    let (code, reason, before) = refused.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3001), "draining"));
    assert_eq!(before[0].json()["reconnect"], true);
    assert!(
        tokio::net::TcpStream::connect(server.address)
            .await
            .is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn a_poll_during_the_drain_gets_its_events_and_a_bye() {
    for is_plain in [false, true] {
        let mut server = if is_plain {
            Server::plain(|_, _| {})
        } else {
            Server::start()
        };
        let (_, key) = server.session().await;
        let cursor = server.publish("a", "before").await;
        let target = format!("/poll/a?session={key}&since={cursor}&wait=60");
        let mut stubborn = Ws::open(&server, "/ws/a").await;
        stubborn.json().await;
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut wire = server.connect().await;
            wire.send(get("/healthz")).await;
            assert_eq!(wire.answer().await.status, 200);
            kept.push(wire);
        }
        server
            .hub
            .publish("a", triway::Data::text("x"))
            .await
            .unwrap();
        server.begin_shutdown();
        assert_eq!(stubborn.json().await["type"], "event");
        assert_eq!(stubborn.until_close().await.0, Some(3001));
        for mut wire in kept {
            wire.send(get(&target)).await;
            let answer = wire.answer().await.json();
            let types: Vec<_> = answer["frames"]
                .as_array()
                .unwrap()
                .iter()
                .map(|frame| frame["type"].as_str().unwrap())
                .collect();
            assert_eq!(types, ["event", "bye"], "{answer}");
            assert_eq!(answer["frames"][1]["id"], answer["cursor"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_before_the_end_of_the_drain_are_answered() {
    for round in 0..3_u64 {
        let mut server = Server::with(|builder, _| builder.broker.rate = None);
        let address = server.address;
        let hub = server.hub.clone();
        let mut publishing = Vec::new();
        for publisher in 0..64 {
            publishing.push(tokio::spawn(async move {
                let mut answered = Vec::new();
                let mut wire = super::exact_bytes::Wire::to(address).await;
                for number in 0.. {
                    let name = format!("{publisher}-{number}");
                    if !wire.try_send(post("/pub/a", &[], name.as_bytes())).await {
                        break;
                    }
                    let Some(answer) = wire.try_answer().await else {
                        break;
                    };
                    assert_eq!(answer.status, 201);
                    answered.push(name);
                    if answer.header("connection") == Some("close") {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis((publisher + round) % 7)).await;
                }
                answered
            }));
        }
        super::exact_bytes::eventually("all of them publish", async || {
            events(&hub).await.len() > 500
        })
        .await;
        server.begin_shutdown();
        let mut answered = BTreeSet::new();
        for task in publishing {
            answered.extend(task.await.unwrap());
        }
        server.drained().await;
        let acted = events(&hub).await;
        let unanswered: Vec<_> = acted.difference(&answered).collect();
        assert!(
            unanswered.is_empty(),
            "acted, and not answered: {unanswered:?}"
        );
    }
}

/// Returns the texts that were published to the channel `a`.
async fn events(hub: &triway::Hub) -> BTreeSet<String> {
    use futures_util::{FutureExt as _, StreamExt as _};
    let mut feed = hub.feed(&["a"], triway::Since::All).unwrap();
    let mut all = BTreeSet::new();
    while let Some(Some(triway::Item::Event(event))) = feed.next().now_or_never() {
        let triway::Data::Json(json) = &event.data else {
            continue;
        };
        all.insert(serde_json::from_slice(json).unwrap());
    }
    all
}

#[tokio::test]
async fn sigterm_ends_the_program_within_the_drain_time() {
    let mut process = Process::start(&["--drain", "1s"]).await;
    let mut ws = process.send(handshake("/ws/a", "")).await;
    ws.until("hello").await;
    // Neither stream ever ends by itself.
    let mut sse = process.send(get("/sse/a")).await;
    sse.head().await;
    let began = Instant::now();
    process.signal("TERM").await;
    ws.until("\"code\":3001").await;
    sse.until("event: $bye").await;
    assert_eq!(process.ended().await, Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn without_readers_the_drain_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(&["--drain", "60s"]).await;
        let mut kept = process.send(get("/healthz")).await;
        kept.answer().await;
        let began = Instant::now();
        process.signal(signal).await;
        assert_eq!(process.ended().await, Some(0), "{}", process.errors());
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{signal}: {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut process = Process::start(&["--drain", "60s"]).await;
    let mut ws = process.send(handshake("/ws/a", "")).await;
    ws.until("hello").await;
    process.signal("TERM").await;
    ws.until("\"code\":3001").await;
    let began = Instant::now();
    process.signal("TERM").await;
    in_time(process.ended()).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}
