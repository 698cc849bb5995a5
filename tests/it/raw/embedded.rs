//! The same transports inside a server of another library, which does not hand over its sockets: axum's own, under a
//! prefix.

use serde_json::json;
use tokio::net::TcpListener;
use triway::Data;

use super::exact_bytes::{Wire, get, post};
use super::refusals::assert_refused;
use super::ws_client::{CLOSE, FIN, PING, PONG, Ws, close, frame, handshake, text};

/// Serves an app with a hub under `/rt` with axum.
async fn app() -> (triway::Hub, std::net::SocketAddr) {
    let hub = triway::Hub::builder().build();
    let app = axum::Router::new()
        .route("/own", axum::routing::get(|| async { "the app's own" }))
        .nest("/rt", hub.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (hub, address)
}

async fn send(address: std::net::SocketAddr, request: impl AsRef<[u8]>) -> Wire {
    let mut wire = Wire::to(address).await;
    wire.send(request).await;
    wire
}

#[tokio::test]
async fn streams_and_polls_use_an_ordinary_body() {
    let (hub, address) = app().await;
    let mut sse = send(address, get("/rt/sse/a?format=full")).await;
    assert_eq!(
        sse.head().await.header("transfer-encoding"),
        Some("chunked")
    );
    let hello = sse.block_json().await;
    let cursor = hello["id"].as_str().unwrap().to_owned();
    let mut held = send(address, get(&format!("/rt/poll/a?since={cursor}&wait=20"))).await;
    let mut early = send(
        address,
        get(&format!("/rt/poll/a?since={cursor}&wait=20&early=1")),
    )
    .await;
    assert_eq!(early.head().await.status, 200);
    let id = hub
        .publish("a", Data::text("x"))
        .await
        .unwrap()
        .id
        .to_string();
    assert_eq!(sse.block_json().await["id"], id);
    assert_eq!(held.answer().await.json()["frames"][0]["id"], id);
    let polled: serde_json::Value = serde_json::from_slice(&early.chunks().await).unwrap();
    assert_eq!(polled["cursor"], id);
    // The connection stays open, and the app still answers.
    held.send(get("/own")).await;
    assert_eq!(held.answer().await.text(), "the app's own");
}

#[tokio::test]
async fn websockets_are_opened_fed_and_closed() {
    let (hub, address) = app().await;
    let mut ws = Ws {
        wire: send(address, handshake("/rt/ws/a", "")).await,
    };
    assert_eq!(ws.wire.answer().await.status, 101);
    assert_eq!(ws.json().await["type"], "hello");
    ws.send(frame(FIN | PING, b"there?")).await;
    let pong = ws.frame().await;
    assert_eq!(
        (pong.opcode(), pong.payload.as_slice()),
        (PONG, &b"there?"[..])
    );
    assert_eq!(
        ws.command(json!({"type": "publish", "channel": "b", "data": 1}))
            .await["ok"],
        true
    );
    hub.publish("a", Data::text("x")).await.unwrap();
    assert_eq!(ws.json().await["data"], "x");
    ws.send(close(1000, "")).await;
    assert_eq!(ws.until_close().await.0, Some(1000));
    let mut broken = Ws {
        wire: send(address, handshake("/rt/ws/a?format=data", "")).await,
    };
    assert_eq!(broken.wire.answer().await.status, 101);
    broken
        .send([text("kept"), frame(FIN | 3, b"x")].concat())
        .await;
    let (code, _, before) = broken.until_close().await;
    assert_eq!(
        (code, before[0].payload.as_slice()),
        (Some(1002), &b"kept"[..])
    );
    broken
        .send(frame(FIN | CLOSE, &1002_u16.to_be_bytes()))
        .await;
}

#[tokio::test]
async fn refusals_limits_and_closes_are_the_same() {
    let (hub, address) = app().await;
    for (request, status, code) in [
        (get("/rt/ws/a").into_bytes(), 426, "upgrade_missing"),
        (get("/rt/poll/a?since=x").into_bytes(), 400, "bad_cursor"),
        (get("/rt/nowhere/x").into_bytes(), 404, "not_found"),
        (post("/rt/pub/a", &[], &[b'x'; 70_000]), 413, "too_large"),
    ] {
        assert_refused(&send(address, request).await.answer().await, status, code);
    }
    let mut sse = send(address, get("/rt/sse/a?format=full")).await;
    sse.head().await;
    let cursor = sse.block_json().await["id"].as_str().unwrap().to_owned();
    let mut held = send(address, get(&format!("/rt/poll/a?since={cursor}&wait=20"))).await;
    let mut ws = Ws {
        wire: send(address, handshake("/rt/ws/a", "")).await,
    };
    ws.wire.answer().await;
    ws.json().await;
    hub.drain();
    assert_eq!(sse.block_json().await["code"], 3001);
    assert_eq!(ws.until_close().await.0, Some(3001));
    assert_eq!(held.answer().await.json()["frames"][0]["code"], 3001);
    assert_refused(
        &send(address, get("/rt/readyz")).await.answer().await,
        503,
        "draining",
    );
}

#[tokio::test]
async fn a_refused_page_reads_the_reason_below_a_prefix_too() {
    let (_, address) = app().await;
    let origin = "Origin: https://page.example\r\n";
    let of_page = |request: &str| request.replacen("Host", &format!("{origin}Host"), 1);
    let publish = String::from_utf8(post("/rt/pub/a?nonce=n1", &[], b"x")).unwrap();
    for request in [get("/rt/poll/a?nonce=n1"), publish] {
        let answer = send(address, of_page(&request)).await.answer().await;
        assert_refused(&answer, 403, "origin_refused");
        assert_eq!(answer.json()["nonce"], "n1");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://page.example"));
    }
    let shake = of_page(&handshake("/rt/ws/a?nonce=n1", ""));
    let mut ws = Ws {
        wire: send(address, shake).await,
    };
    assert_eq!(ws.wire.answer().await.status, 101);
    let bye = ws.json().await;
    assert_eq!(
        (&bye["code"], &bye["error"]["nonce"]),
        (&json!(3502), &json!("n1"))
    );
    let health = of_page(&get("/rt/healthz"));
    assert_eq!(send(address, health).await.answer().await.status, 200);
    let history = send(address, get("/rt/history/a")).await.answer().await;
    assert_eq!(history.json()["frames"], json!([]), "nothing was published");
}

#[tokio::test]
async fn readers_that_stay_are_cut_at_the_end_of_the_drain() {
    // This app does not drain its hub before it shuts down.
    let hub = triway::Hub::builder().build();
    let listener = triway::server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let options = triway::server::Options {
        drain: std::time::Duration::from_millis(200),
        ..triway::server::Options::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let app = axum::Router::new().nest("/rt", hub.router());
    let serving = tokio::spawn(triway::server::serve(
        listener,
        app,
        options,
        stopped,
        || {},
    ));
    let mut sse = send(address, get("/rt/sse/a?format=full")).await;
    sse.head().await;
    let cursor = sse.block_json().await["id"].as_str().unwrap().to_owned();
    let mut held = send(address, get(&format!("/rt/poll/a?since={cursor}&wait=20"))).await;
    let mut ws = send(address, handshake("/rt/ws/a", "")).await;
    ws.until("\"hello\"").await;
    super::exact_bytes::eventually("all are taken over", async || {
        let metrics = send(address, get("/rt/metrics")).await.answer().await;
        metrics
            .text()
            .contains("triway_readers{transport=\"poll\"} 1")
    })
    .await;
    stop.send(()).unwrap();
    let drained = super::exact_bytes::in_time(serving).await.unwrap().unwrap();
    assert!(drained.cut >= 3, "{drained:?}");
    for wire in [&mut sse, &mut held, &mut ws] {
        // Pings would otherwise continue forever.
        super::exact_bytes::in_time(wire.rest()).await;
    }
    let published = hub.publish("a", Data::text("nobody reads")).await.unwrap();
    assert_eq!(published.reached, triway::Reached::default());
}
