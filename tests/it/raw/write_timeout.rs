//! Peers that do not read their responses, on each transport and HTTP version: the hub's clock ends them, and no other
//! activity of the peer prevents this.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Request;
use tokio::net::{TcpListener, TcpSocket};
use triway::Data;

use super::exact_bytes::{Server, Wire, eventually, get, in_time};
use super::over_h2::{Stream, client_of, connected, stream};
use super::ws_client::handshake;

/// The write timeout in these tests.
const BUDGET: Duration = Duration::from_millis(400);
/// Well below the five further seconds after which a connection is cut.
const SOON: Duration = Duration::from_secs(4);

fn server() -> Server {
    Server::with(|builder, options| {
        builder.session.write_timeout = Some(BUDGET);
        builder.presence.grace = Duration::from_millis(50);
        options.write_timeout = Some(BUDGET);
    })
}

/// Publishes more events than any socket buffers.
async fn fill(hub: &triway::Hub, channel: &str) {
    for _ in 0..20 {
        let text = "x".repeat(40_000);
        hub.publish(channel, Data::text(&text)).await.unwrap();
    }
}

/// Returns the number of members of a channel.
async fn shown(server: &Server, channel: &str) -> u64 {
    let answer = server.get(&format!("/presence/{channel}")).await.json();
    answer["count"].as_u64().unwrap()
}

/// Asserts that a stream ends with a reset within [`SOON`].
async fn is_reset(mut body: h2::RecvStream, what: &str) {
    let began = Instant::now();
    let end = loop {
        match in_time(body.data()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("{what}: a quiet end"),
        }
    };
    assert_eq!(end.reason(), Some(h2::Reason::CANCEL), "{what}: {end}");
    assert!(began.elapsed() < SOON, "{what}: {:?}", began.elapsed());
}

#[tokio::test]
async fn each_answer_over_http_2_ends_while_its_window_is_closed() {
    let server = server();
    fill(&server.hub, "a").await;
    let (_, key) = server.session().await;
    let history = r#"[{"type":"history","channel":"a"}]"#;
    let send = format!("/send?session={key}");
    let targets = [
        ("/history/a", ""),
        ("/presence/a", ""),
        ("/metrics", ""),
        ("/poll/a?since=all", ""),
        ("/poll/b", ""),
        ("/sse/a?since=all&presence=1", ""),
        // This stream carries only hello and pings.
        ("/sse/b?presence=1&heartbeat=1", ""),
        (&*send, history),
    ];
    // The client never enlarges its window. With the second window, a response begins but cannot end.
    for window in [0, 20] {
        let (mut client, connection) = connected(server.address, window).await;
        let mut bodies = Vec::new();
        for (target, body) in targets {
            let target = format!("http://localhost{target}");
            let request = if body.is_empty() {
                Request::get(&target)
            } else {
                Request::post(&target)
            };
            let request = request.body(()).unwrap();
            let (answer, mut sent) = client.send_request(request, body.is_empty()).unwrap();
            if !body.is_empty() {
                sent.send_data(Bytes::from_static(history.as_bytes()), true)
                    .unwrap();
            }
            let answer = in_time(answer).await.unwrap();
            assert_eq!(answer.status(), 200, "{target}");
            bodies.push((answer.into_body(), target));
        }
        assert!(shown(&server, "a").await > 0);
        for (body, target) in bodies {
            is_reset(body, &format!("{target} with {window}")).await;
        }
        assert!(!connection.is_finished(), "the connection stays");
        eventually("nobody is shown", async || {
            shown(&server, "a").await + shown(&server, "b").await == 0
        })
        .await;
    }
    let slow = server.metric("triway_byes_total{code=\"slow\"}").await;
    assert_eq!(slow, 10.0, "each reader and each large answer once");
}

#[tokio::test]
async fn a_websocket_over_http_2_ends_while_its_window_is_closed() {
    let server = server();
    let mut client = client_of(server.address, 100).await;
    let stalled = Stream::open(&mut client, "/ws/a?presence=1", "13").await;
    let mut idle = stream(&mut client, "/sse/b").await;
    eventually("it is shown", async || shown(&server, "a").await == 1).await;
    fill(&server.hub, "a").await;
    let began = Instant::now();
    eventually("it is shown no more", async || {
        shown(&server, "a").await == 0
    })
    .await;
    is_reset(stalled.receive, "the socket").await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop(stalled.send);
    let slow = server.metric("triway_byes_total{code=\"slow\"}").await;
    assert_eq!(slow, 1.0);
    server.publish("b", "still here").await;
    let mut told = String::new();
    while !told.contains("still here") {
        let data = in_time(idle.data()).await.unwrap().unwrap();
        idle.flow_control().release_capacity(data.len()).unwrap();
        told += &String::from_utf8_lossy(&data);
    }
}

#[tokio::test]
async fn the_write_timeout_also_applies_inside_another_server() {
    let mut builder = triway::Hub::builder();
    builder.session.write_timeout = Some(BUDGET);
    builder.presence.grace = Duration::from_millis(50);
    let hub = builder.build();
    let app = axum::Router::new().nest("/rt", hub.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let ask = async |target: &str| {
        let mut wire = Wire::to(address).await;
        wire.send(get(target)).await;
        wire.answer().await
    };
    let shown = async || {
        let answer = ask("/rt/presence/a").await.json();
        answer["count"].as_u64().unwrap()
    };
    let mut stalled = Vec::new();
    for request in [
        get("/rt/sse/a?format=full&presence=1"),
        handshake("/rt/ws/a?presence=1", ""),
    ] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let mut wire = Wire::over(in_time(socket.connect(address)).await.unwrap());
        wire.send(request).await;
        stalled.push(wire);
    }
    let (mut client, _connection) = connected(address, 0).await;
    stalled_over_h2(&mut client).await;
    eventually("all are shown", async || shown().await == 3).await;
    // Publish until the kernel buffers no more.
    let began = Instant::now();
    for _ in 0..20 {
        fill(&hub, "a").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eventually("nobody is shown", async || shown().await == 0).await;
    assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
    let slow = ask("/rt/metrics").await;
    assert_eq!(slow.sample("triway_byes_total{code=\"slow\"}"), 3.0);
}

/// Opens a stream whose body is never read.
async fn stalled_over_h2(client: &mut h2::client::SendRequest<Bytes>) {
    let request = Request::get("http://localhost/rt/sse/a?presence=1");
    let (answer, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    // A drop would make the client reset the stream.
    std::mem::forget(answer);
}
