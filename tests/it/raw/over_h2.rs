//! WebSockets over HTTP/2 (RFC 8441), by a client that encodes the frames of both.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use hyper::{Method, Request, StatusCode};
use tokio::task::JoinHandle;
use triway::Data;

use super::exact_bytes::{Server, in_time};
use super::ws_client::{FIN, PING, TEXT, close, frame, text};

/// Connects a client with a window of `window_bytes` for each stream. Returns it with the task that ends with the
/// connection.
pub(super) async fn connected(
    address: SocketAddr,
    window_bytes: u32,
) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window_bytes);
    let (client, connection) = in_time(builder.handshake(stream)).await.unwrap();
    let ends = tokio::spawn(async move {
        let _ = connection.await;
    });
    (in_time(client.ready()).await.unwrap(), ends)
}

async fn client(server: &Server) -> SendRequest<Bytes> {
    client_of(server.address, 65_535).await
}

/// Connects a client that may open WebSockets.
pub(super) async fn client_of(address: SocketAddr, window_bytes: u32) -> SendRequest<Bytes> {
    let (mut client, _) = connected(address, window_bytes).await;
    // The setting that allows WebSockets arrives with the server's first frame.
    let began = tokio::time::Instant::now();
    while !client.is_extended_connect_protocol_enabled() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "RFC 8441 is offered"
        );
        client = in_time(client.ready()).await.unwrap();
        tokio::task::yield_now().await;
    }
    client
}

/// A WebSocket over one stream: its status, and its two directions.
pub(super) struct Stream {
    status: StatusCode,
    protocol: Option<String>,
    pub(super) send: h2::SendStream<Bytes>,
    pub(super) receive: h2::RecvStream,
    buffer: Vec<u8>,
}

impl Stream {
    pub(super) async fn open(client: &mut SendRequest<Bytes>, target: &str, version: &str) -> Self {
        Self::open_from(client, target, version, "http://localhost").await
    }

    /// Opens a WebSocket from a page of this origin.
    async fn open_from(
        client: &mut SendRequest<Bytes>,
        target: &str,
        version: &str,
        origin: &str,
    ) -> Self {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://localhost{target}"))
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", version)
            .header("origin", origin)
            .header("sec-websocket-protocol", "triway.v1")
            .body(())
            .unwrap();
        let (answer, send) = client.send_request(request, false).unwrap();
        let answer = in_time(answer).await.unwrap();
        let status = answer.status();
        let protocol = answer
            .headers()
            .get("sec-websocket-protocol")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            answer.headers().get("sec-websocket-accept"),
            None,
            "HTTP/2 needs none"
        );
        Self {
            status,
            protocol,
            send,
            receive: answer.into_body(),
            buffer: Vec::new(),
        }
    }

    fn say(&mut self, bytes: Vec<u8>) {
        self.send.send_data(bytes.into(), false).unwrap();
    }

    async fn more(&mut self) -> bool {
        let Some(data) = in_time(self.receive.data()).await else {
            return false;
        };
        let Ok(data) = data else { return false };
        self.receive
            .flow_control()
            .release_capacity(data.len())
            .unwrap();
        self.buffer.extend_from_slice(&data);
        true
    }

    /// Reads the next frame, which is shorter than 64 KiB.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        loop {
            let (head, length) = match self.buffer.as_slice() {
                [_, 126, high, low, ..] => (4, usize::from(*high) << 8 | usize::from(*low)),
                [_, length @ 0..126, ..] => (2, usize::from(*length)),
                _ => (usize::MAX, 0),
            };
            if head != usize::MAX && self.buffer.len() >= head + length {
                let frame: Vec<u8> = self.buffer.drain(..head + length).collect();
                return (frame[0], frame[head..].to_vec());
            }
            assert!(self.more().await, "ended within a frame");
        }
    }
}

#[tokio::test]
async fn a_websocket_over_http_2_reads_and_writes() {
    let server = Server::start();
    let mut client = client(&server).await;
    let mut full = Stream::open(&mut client, "/ws/a", "13").await;
    assert_eq!(
        (full.status, full.protocol.as_deref()),
        (StatusCode::OK, Some("triway.v1"))
    );
    let hello: serde_json::Value = serde_json::from_slice(&full.frame().await.1).unwrap();
    assert_eq!(hello["type"], "hello");
    // A second WebSocket on the same connection publishes to the first.
    let mut bare = Stream::open(&mut client, "/ws/a?format=data", "13").await;
    bare.say(text("over one connection"));
    assert_eq!(
        bare.frame().await,
        (FIN | TEXT, b"over one connection".to_vec())
    );
    let event: serde_json::Value = serde_json::from_slice(&full.frame().await.1).unwrap();
    assert_eq!(event["data"], "over one connection");
    bare.say(frame(FIN | TEXT, b"\xff"));
    let (first, payload) = bare.frame().await;
    assert_eq!(
        (first, &payload[..2]),
        (FIN | 8, &1007u16.to_be_bytes()[..])
    );
    full.say(close(1000, "done"));
    let (first, payload) = full.frame().await;
    assert_eq!(
        (first, &payload[..2]),
        (FIN | 8, &1000u16.to_be_bytes()[..])
    );
    while full.more().await {}
    assert!(full.buffer.is_empty(), "the stream ends after the Close");
}

#[tokio::test]
async fn refused_channels_are_named_over_http_2() {
    let server = Server::start();
    let mut client = client(&server).await;
    let mut full = Stream::open(&mut client, "/ws/a,$x", "13").await;
    for expected in ["hello", "refused"] {
        let frame: serde_json::Value = serde_json::from_slice(&full.frame().await.1).unwrap();
        assert_eq!(frame["type"], expected);
    }
    for target in ["/sse/a,$x?format=full", "/poll/a,$x"] {
        let mut body = stream(&mut client, target).await;
        let mut told = String::new();
        while !told.contains("\"type\":\"refused\"") {
            let data = in_time(body.data()).await.unwrap().unwrap();
            told += &String::from_utf8_lossy(&data);
        }
        assert!(told.contains("\"channels\":[\"a\"]"), "{told}");
    }
}

#[tokio::test]
async fn pings_over_http_2_count_the_sent_events() {
    let server = Server::start();
    server.publish("a", "1").await;
    let mut client = client(&server).await;
    let target = "/ws/a?since=all&heartbeat=1";
    let mut full = Stream::open(&mut client, target, "13").await;
    for expected in ["hello", "event"] {
        let frame: serde_json::Value = serde_json::from_slice(&full.frame().await.1).unwrap();
        assert_eq!(frame["type"], expected);
    }
    assert_eq!(full.frame().await.0, FIN | PING);
    let ping: serde_json::Value = serde_json::from_slice(&full.frame().await.1).unwrap();
    assert_eq!(
        (&ping["type"], &ping["count"]),
        (&serde_json::json!("ping"), &serde_json::json!(1))
    );
}

#[tokio::test]
async fn refusals_over_http_2_arrive_as_a_bye_too() {
    let server = Server::start();
    let mut client = client(&server).await;
    assert_eq!(
        Stream::open(&mut client, "/ws/a", "8").await.status,
        StatusCode::UPGRADE_REQUIRED
    );
    let mut refused = Stream::open(&mut client, "/ws/@bob", "13").await;
    let bye: serde_json::Value = serde_json::from_slice(&refused.frame().await.1).unwrap();
    assert_eq!(
        (bye["code"].as_u64(), bye["error"]["code"].as_str()),
        (Some(3502), Some("forbidden"))
    );
    assert_eq!(refused.frame().await.1[..2], 3502u16.to_be_bytes());
    let foreign = "https://page.example";
    let mut refused = Stream::open_from(&mut client, "/ws/a?nonce=n1", "13", foreign).await;
    let bye: serde_json::Value = serde_json::from_slice(&refused.frame().await.1).unwrap();
    assert_eq!(
        (bye["code"].as_u64(), bye["error"]["code"].as_str()),
        (Some(3502), Some("origin_refused"))
    );
    assert_eq!(bye["error"]["nonce"], "n1");
    let wrong = Stream::open_from(&mut client, "/ws/a", "8", foreign).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    let elsewhere = Stream::open(&mut client, "/sse/a", "13").await;
    assert_eq!(elsewhere.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// Opens an event stream over HTTP/2.
pub(super) async fn stream(client: &mut SendRequest<Bytes>, target: &str) -> h2::RecvStream {
    let request = Request::get(format!("http://localhost{target}"));
    let (answer, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body()
}

#[tokio::test]
async fn a_stream_over_http_2_that_is_not_read_ends_alone() {
    let server = Server::with(|builder, options| {
        builder.session.write_timeout = Some(Duration::from_millis(200));
        options.write_timeout = Some(Duration::from_millis(200));
    });
    for _ in 0..20 {
        let text = "x".repeat(20_000);
        server.hub.publish("a", Data::text(&text)).await.unwrap();
    }
    let (mut client, connection) = connected(server.address, 1_000).await;
    let mut idle = stream(&mut client, "/sse/b").await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        stalled.push(stream(&mut client, "/sse/a?since=all").await);
    }
    for mut stream in stalled {
        let end = loop {
            match in_time(stream.data()).await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        let end = end.expect("no quiet end").unwrap_err();
        assert_eq!(end.reason(), Some(h2::Reason::CANCEL), "{end}");
    }
    let readers = async || server.metric("triway_readers{transport=\"sse\"}").await;
    super::exact_bytes::eventually("their readers are gone", async || readers().await == 1.0).await;
    let slow = server.metric("triway_byes_total{code=\"slow\"}").await;
    assert_eq!(slow, 5.0, "and were counted");
    // Another stream on the same connection continues, and new streams can open.
    assert!(!connection.is_finished(), "the connection stays");
    let mut late = stream(&mut client, "/sse/b").await;
    server.publish("b", "still here").await;
    for stream in [&mut idle, &mut late] {
        let mut told = String::new();
        while !told.contains("still here") {
            let data = in_time(stream.data()).await.unwrap().unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            told += &String::from_utf8_lossy(&data);
        }
    }
}
