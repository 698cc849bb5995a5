//! Each documented limit at its exact border: the refusal, or the events that are forgotten.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use triway::Data;
use triway::Rate;

use super::exact_bytes::{Server, eventually, get, post};
use super::refusals::assert_refused;
use super::ws_client::{BINARY, FIN, Ws, frame, text};

async fn poll(server: &Server, target: &str) -> Vec<Value> {
    let answer = server.get(target).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["frames"].as_array().unwrap()[1..].to_vec()
}

fn data(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame["data"].as_str().unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn a_channel_keeps_a_bounded_number_of_events_and_reports_the_rest_as_a_gap() {
    let server = Server::with(|builder, _| builder.hub.history_events = Some(3));
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(server.publish("a", &number.to_string()).await);
    }
    assert_eq!(
        data(&poll(&server, "/poll/a?since=all").await),
        ["4", "5", "6"]
    );
    let answer = server
        .get(&format!("/poll/a?since={}", ids[0]))
        .await
        .json();
    let gap = &answer["frames"][0];
    assert_eq!(
        *gap,
        json!({"type": "gap", "channel": "a", "after": ids[0], "reason": "evicted", "id": ids[3]})
    );
    assert_eq!(answer["frames"][1]["data"], "4");
    let exact = server
        .get(&format!("/poll/a?since={}", ids[3]))
        .await
        .json();
    assert_eq!(
        exact["frames"][0]["data"], "4",
        "the log still held all of it: {exact}"
    );
}

#[tokio::test]
async fn a_channel_keeps_bounded_bytes_and_always_its_newest_event() {
    let server = Server::with(|builder, _| builder.hub.history_bytes = Some(100));
    for text in ["a", "b", "c"] {
        server.publish("a", &text.repeat(38)).await;
    }
    assert_eq!(
        poll(&server, "/poll/a?since=all").await.len(),
        2,
        "40 bytes each, quotes counted"
    );
    server.publish("a", &"x".repeat(500)).await;
    assert_eq!(
        data(&poll(&server, "/poll/a?since=all").await),
        ["x".repeat(500)]
    );
}

#[tokio::test]
async fn a_channel_forgets_old_events_except_its_newest() {
    let server =
        Server::with(|builder, _| builder.hub.history_age = Some(Duration::from_millis(100)));
    let first = server.publish("a", "1").await;
    server.publish("a", "2").await;
    server.publish("a", "3").await;
    eventually("expired", async || {
        poll(&server, "/poll/a?since=all").await.len() == 1
    })
    .await;
    let answer = server.get(&format!("/poll/a?since={first}")).await.json();
    assert_eq!(
        (&answer["frames"][0]["reason"], &answer["frames"][1]["data"]),
        (&json!("expired"), &json!("3"))
    );
}

#[tokio::test]
async fn all_channels_share_one_limit_and_the_largest_forgets_first() {
    const TOTAL: usize = 1024 * 1024;
    let server = Server::with(|builder, _| builder.hub.history_total = Some(TOTAL));
    server.publish("small", "kept").await;
    let text = "x".repeat(10_000);
    for number in 0..300 {
        server
            .hub
            .publish(["large", "larger"][number % 2], Data::text(&text))
            .await
            .unwrap();
        // Encoded forms count too.
        if number % 10 == 0 {
            poll(&server, "/poll/large,larger?since=all").await;
        }
    }
    let held = server.metric("triway_history_bytes").await as usize;
    assert!((TOTAL / 4..=TOTAL).contains(&held), "{held}");
    assert_eq!(
        data(&poll(&server, "/poll/small?since=all").await),
        ["kept"]
    );
    // Many channels with one large event each: the hub forgets newest events too, because no older ones remain.
    for number in 0..400 {
        server
            .hub
            .publish(&format!("c{number}"), Data::text(&text))
            .await
            .unwrap();
    }
    let held = server.metric("triway_history_bytes").await as usize;
    assert!(held <= TOTAL, "{held}");
}

#[tokio::test]
async fn a_page_of_history_is_bounded_in_bytes_and_has_a_next_page() {
    let server = Server::with(|builder, _| {
        builder.hub.history_bytes = None;
        builder.broker.max_data = 1024 * 1024;
    });
    for number in 0..9 {
        let text = format!("{number}{}", "x".repeat(400_000));
        server.hub.publish("a", Data::text(&text)).await.unwrap();
    }
    let (mut seen, mut target) = (String::new(), "/history/a?limit=1000".to_owned());
    for _ in 0..9 {
        let answer = server.get(&target).await;
        assert!(answer.body.len() < 1_300_000, "{} bytes", answer.body.len());
        let page = answer.json();
        seen.extend(
            page["frames"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["data"].as_str().unwrap().chars().next().unwrap()),
        );
        if page["more"] == false {
            break;
        }
        target = format!(
            "/history/a?limit=1000&since={}",
            page["cursor"].as_str().unwrap()
        );
    }
    assert_eq!(seen, "012345678", "each once, in order");
}

#[tokio::test]
async fn the_limit_of_data_is_exact_for_text_json_and_bytes() {
    let server = Server::with(|builder, _| builder.broker.max_data = 1_000);
    let quotes = "\"".repeat(1_000);
    let json = format!("[{}]", "1".repeat(998));
    let bytes = vec![0xff; 1_000];
    for (kind, most) in [
        ("text/plain", quotes.as_bytes()),
        ("application/json", json.as_bytes()),
        ("image/png", &bytes),
    ] {
        assert_eq!(
            server.post("/pub/a", kind, most).await.status,
            201,
            "{kind}"
        );
        let more = [most, b" "].concat();
        assert_refused(&server.post("/pub/a", kind, &more).await, 413, "too_large");
        let chunked = |body: &[u8]| {
            let head = format!(
                "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                body.len()
            );
            [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
        };
        assert_eq!(
            server.ask(chunked(most)).await.status,
            201,
            "{kind} in chunks"
        );
        assert_refused(&server.ask(chunked(&more)).await, 413, "too_large");
    }
    let mut ws = Ws::open(&server, "/ws/b").await;
    ws.json().await;
    let behind = |count: usize| {
        [
            &b"{\"type\":\"publish\",\"channel\":\"a\"}\n"[..],
            &bytes[..1_000.min(count)],
            &bytes[..count.saturating_sub(1_000)],
        ]
        .concat()
    };
    ws.send(frame(FIN | BINARY, &behind(1_000))).await;
    assert_eq!(ws.json().await["ok"], true);
    ws.send(frame(FIN | BINARY, &behind(1_001))).await;
    assert_eq!(ws.json().await["error"]["code"], "too_large");
    let announced =
        "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n";
    assert_refused(&server.ask(announced).await, 413, "too_large");
}

#[tokio::test]
async fn a_text_has_the_same_size_over_every_address() {
    let server = Server::with(|builder, _| builder.broker.max_data = 1_000);
    let mut ws = Ws::open(&server, "/ws/b").await;
    ws.json().await;
    let publish = |data: &str| json!({"type": "publish", "channel": "a", "data": data});
    let quotes = "\"".repeat(1_000);
    let (_, key) = server.session().await;
    for most in ["x".repeat(1_000), quotes, "\u{e9}\n".repeat(333) + "x"] {
        let more = format!("{most}x");
        assert_eq!(ws.command(publish(&most)).await["ok"], true);
        let refused = ws.command(publish(&more)).await;
        assert_eq!(refused["error"]["code"], "too_large");
        for (text, status) in [(&most, 201), (&more, 413)] {
            let string = json!(text).to_string();
            let answer = server.post("/pub/a", "application/json", &string).await;
            assert_eq!(answer.status, status, "as JSON");
            let answer = server.post("/pub/a", "text/plain", text).await;
            assert_eq!(answer.status, status, "as text");
            let sent = json!([publish(text)]).to_string();
            let target = format!("/send?session={key}");
            let replies = server.post(&target, "text/plain", sent).await.json();
            assert_eq!(replies[0]["ok"], status == 201, "as a command");
        }
    }
    let array =
        |bytes: usize| json!({"type": "publish", "channel": "a", "data": ["x".repeat(bytes - 4)]});
    assert_eq!(ws.command(array(1_000)).await["ok"], true);
    let refused = ws.command(array(1_001)).await;
    assert_eq!(refused["error"]["code"], "too_large");
}

#[tokio::test]
async fn a_client_that_still_sends_a_large_body_reads_the_refusal() {
    let server = Server::start();
    let body = vec![b'x'; 8 * 1024 * 1024];
    for target in ["/pub/a", "/send", "/poll"] {
        let mut wire = server.connect().await;
        wire.send(post(target, &[], &body)).await;
        assert_refused(&wire.answer().await, 413, "too_large");
        wire.send(get("/healthz")).await;
        assert_eq!(wire.answer().await.status, 200, "the connection is kept");
    }
}

#[tokio::test]
async fn json_is_accepted_up_to_a_depth_that_readers_can_parse() {
    let server = Server::with(|builder, _| builder.broker.max_data = 1024 * 1024);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        server
            .post("/pub/a", "application/json", nested(120))
            .await
            .status,
        201
    );
    for depth in [121, 1_000, 100_000] {
        assert_refused(
            &server
                .post("/pub/a", "application/json", nested(depth))
                .await,
            400,
            "bad_json",
        );
        let command = format!(
            r#"[{{"type":"publish","channel":"a","data":{}}}]"#,
            nested(depth)
        );
        let answer = server.post("/send", "text/plain", command).await;
        assert_eq!(answer.json()[0]["error"]["code"], "bad_json");
    }
    assert_refused(
        &server
            .post(
                "/poll",
                "text/plain",
                format!(r#"{{"channels":["a"],"x":{}}}"#, nested(100_000)),
            )
            .await,
        400,
        "bad_json",
    );
    // serde_json stops at 128 levels. It can still read every response.
    assert_eq!(poll(&server, "/poll/a?since=all").await.len(), 1);
}

#[tokio::test]
async fn a_session_reads_a_bounded_number_of_channels_on_every_transport() {
    let server = Server::with(|builder, _| builder.session.session_channels = Some(3));
    for address in ["sse", "poll"] {
        let body = json!({"channels": ["a", "b", "c", "d"]}).to_string();
        let posted = post(&format!("/{address}?format=full"), &[], body.as_bytes());
        let asked = get(&format!("/{address}/a,b,c,d?format=full"));
        for request in [asked.into_bytes(), posted] {
            let mut wire = server.send(request).await;
            let told = wire.until("\"code\":\"too_many_channels\"").await;
            assert!(told.contains("\"channels\":[\"a\",\"b\",\"c\"]"), "{told}");
            assert!(told.contains("{\"channel\":\"d\","), "{told}");
        }
    }
    let mut ws = Ws::open(&server, "/ws/a,b").await;
    ws.json().await;
    let subscribe = |channel: &str| json!({"type": "subscribe", "channel": channel});
    assert_eq!(ws.command(subscribe("c")).await["ok"], true);
    assert_eq!(
        ws.command(subscribe("d")).await["error"]["code"],
        "too_many_channels"
    );
    assert_eq!(
        ws.command(json!({"type": "unsubscribe", "channel": "a"}))
            .await["ok"],
        true
    );
    assert_eq!(
        ws.command(subscribe("d")).await["ok"],
        true,
        "there is room again"
    );
}

#[tokio::test]
async fn the_hub_has_a_bounded_number_of_channels_and_sweeps_unused_ones() {
    let server = Server::with(|builder, _| builder.hub.hub_channels = Some(3));
    server.publish("kept", "x").await;
    let mut reading = server.send(get("/sse/b,c")).await;
    reading.head().await;
    let refused = server.get("/sse/d").await;
    assert_refused(&refused, 503, "too_many_channels");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_refused(
        &server.post("/pub/d", "text/plain", "x").await,
        503,
        "too_many_channels",
    );
    assert_eq!(
        server.get("/history/d").await.status,
        200,
        "asking creates nothing"
    );
    server
        .publish("b", "a channel that is there is written")
        .await;
    drop(reading);
    eventually("c is swept", async || {
        server.get("/poll/d").await.status == 200
    })
    .await;
    assert_eq!(data(&poll(&server, "/poll/kept?since=all").await), ["x"]);
}

#[tokio::test]
async fn a_connection_above_the_limit_is_refused_until_another_closes() {
    let server = Server::with(|_, options| options.connections = Some(3));
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(Ws::open(&server, "/ws/a").await);
    }
    let mut third = server.send(get("/sse/a")).await;
    third.head().await;
    let refused = server.get("/healthz").await;
    let problem = assert_refused(&refused, 503, "too_many_connections");
    assert!(problem["hint"].as_str().unwrap().contains("--connections"));
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );
    assert_eq!(refused.header("connection"), Some("close"));
    drop(held.pop());
    eventually("a place", async || {
        server.get("/healthz").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn http_over_its_rate_gets_429_and_a_retry_time() {
    let server = Server::with(|builder, _| {
        builder.broker.rate = Some(Rate {
            per_second: 0.2,
            burst: 2.0,
        });
    });
    let (_, key) = server.session().await;
    for target in ["/pub/a".to_owned(), format!("/pub/a?session={key}")] {
        for _ in 0..2 {
            assert_eq!(server.post(&target, "text/plain", "x").await.status, 201);
        }
        let refused = server.post(&target, "text/plain", "x").await;
        assert_refused(&refused, 429, "rate_limited");
        let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=6).contains(&after), "{after}");
        let kept = post(&target, &[("Idempotency-Key", "k1")], b"x");
        assert_refused(&server.ask(kept).await, 429, "rate_limited");
    }
    let (_, other) = server.session().await;
    let held = server.get(&format!("/history/a?session={other}")).await;
    assert_eq!(held.json()["frames"].as_array().unwrap().len(), 4);
    assert_eq!(
        server
            .post(&format!("/pub/a?session={other}"), "text/plain", "x")
            .await
            .status,
        201,
        "each session has its own"
    );
}

#[tokio::test]
async fn a_websocket_over_its_rate_is_paused_and_loses_no_message() {
    let server = Server::with(|builder, _| {
        builder.broker.rate = Some(Rate {
            per_second: 50.0,
            burst: 5.0,
        });
    });
    let mut reader = Ws::open(&server, "/ws/a?format=data").await;
    let mut ws = Ws::open(&server, "/ws/b?format=data").await;
    drop(ws.pong(b"").await);
    let mut writer = Ws::open(&server, "/ws/other").await;
    writer.json().await;
    let began = Instant::now();
    for number in 0..30 {
        writer.send(text(&json!({"type": "publish", "channel": "a", "data": number.to_string(), "ref": number}).to_string())).await;
    }
    for number in 0..30 {
        let reply = writer.json().await;
        assert_eq!(
            (&reply["ok"], &reply["ref"]),
            (&json!(true), &json!(number)),
            "{reply}"
        );
        assert_eq!(reader.frame().await.payload, number.to_string().as_bytes());
    }
    assert!(
        began.elapsed() >= Duration::from_millis(450),
        "25 beyond the burst at 50 a second: {:?}",
        began.elapsed()
    );
    assert_eq!(
        server
            .metric("triway_refusals_total{code=\"rate_limited\"}")
            .await,
        0.0
    );
}

#[tokio::test]
async fn without_a_rate_publishing_is_unlimited() {
    let server = Server::with(|builder, _| builder.broker.rate = None);
    let mut ws = Ws::open(&server, "/ws/a?format=data").await;
    let all: Vec<u8> = (0..2_000)
        .flat_map(|number: u32| text(&number.to_string()))
        .collect();
    ws.send(all).await;
    for number in 0..2_000 {
        assert_eq!(ws.frame().await.payload, number.to_string().as_bytes());
    }
}
