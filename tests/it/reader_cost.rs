//! The cost of a reader: one write for everything that is pending, and little memory while it is idle.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use triway::Data;

use crate::every_transport::{events, over_each_transport};
use crate::support::{Ask, Program, Server, Via, Wire, in_time, until};

/// Events that are pending at once. They fill several memory pages and fit into one batch.
const PENDING: usize = 150;
/// Resident memory of the server for one idle reader over HTTP/1.1, in KiB. Measured with 2,000 readers: 2.6 (WS), 2.7
/// (SSE), 4.6 (a poll). The bound is the figure that this project promises.
const IDLE_KIB_MAX: f64 = 8.0;
/// Readers opened before the first measurement, so that one-time allocations do not count.
const WARM: usize = 50;
/// Number of readers to open before the test waits until the server has caught up.
const LOOK_EVERY: usize = 250;

over_each_transport![everything_pending_is_sent_in_one_write];

async fn everything_pending_is_sent_in_one_write(via: Via) {
    let server = Server::start();
    publish(&server).await;
    let mut reader = server
        .wire
        .open(via, &Ask::of(["lobby"]).since("all"))
        .await;
    assert_eq!(events(&mut reader, PENDING).await.len(), PENDING);
    assert_eq!(
        writes(&server.wire).await,
        1,
        "the head, hello and all events that there were"
    );

    let told = tokio::spawn(async move { events(&mut reader, PENDING).await.len() });
    until("the reader waits", async || {
        readers(&server.wire, via).await == 1
    })
    .await;
    let before = writes(&server.wire).await;
    publish(&server).await;
    assert_eq!(in_time("the events", told).await.unwrap(), PENDING);
    assert_eq!(
        writes(&server.wire).await - before,
        1,
        "all events that came at once"
    );
}

/// Publishes without a pause, so that no reader runs between two events.
async fn publish(server: &Server) {
    for count in 0..PENDING {
        let data = Data::text(&format!("event {count}"));
        server.hub.publish("lobby", data).await.unwrap();
    }
}

async fn writes(wire: &Wire) -> u64 {
    metric(wire, "triway_writes_total").await
}

async fn readers(wire: &Wire, via: Via) -> u64 {
    let name = format!("triway_readers{{transport=\"{}\"}}", via.name());
    metric(wire, &name).await
}

/// Returns the value of a metric, or 0 if `/metrics` does not list it.
async fn metric(wire: &Wire, name: &str) -> u64 {
    let text = wire.get("/metrics").await.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

over_each_transport![an_idle_reader_needs_little_memory];

async fn an_idle_reader_needs_little_memory(via: Via) {
    assert_idle_is_small(via, 400).await;
}

/// The same check with more readers, so that other work of the server does not affect the result.
#[tokio::test]
#[ignore = "long: thousands of connections, to be run alone"]
async fn thousands_of_idle_readers_need_little_memory() {
    let _ = rlimit::increase_nofile_limit(rlimit::INFINITY);
    for via in Via::ALL {
        let kib = assert_idle_is_small(via, 5_000).await;
        println!("{}: {kib:.2} KiB", via.name());
    }
}

async fn assert_idle_is_small(via: Via, readers: usize) -> f64 {
    let program = Program::start(&["--heartbeat", "60s", "--address-connections", "0"]).await;
    let answer = program.wire.get_json("/poll/lobby?since=all").await;
    let request = idle_request(via, answer["cursor"].as_str().unwrap());
    let mut open = open_idle(&program.wire, via, &request, WARM).await;
    let before = resident_kib(&program);
    open.extend(open_idle(&program.wire, via, &request, readers).await);
    let each = (resident_kib(&program) - before) / readers as f64;
    assert!(
        each <= IDLE_KIB_MAX,
        "{each} KiB for each idle reader over {via:?}"
    );
    assert_eq!(open.len(), WARM + readers);
    each
}

fn idle_request(via: Via, cursor: &str) -> String {
    let rest = match via {
        Via::Ws => {
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        Via::Sse | Via::Poll => "",
    };
    let query = match via {
        Via::Ws | Via::Sse => "format=full&heartbeat=60".to_owned(),
        Via::Poll => format!("since={cursor}&wait=60"),
    };
    let name = via.name();
    format!("GET /{name}/lobby?{query} HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n")
}

/// Opens readers that receive only the hello, and waits until the server counts all of them.
async fn open_idle(wire: &Wire, via: Via, request: &str, count: usize) -> Vec<TcpStream> {
    let before = readers(wire, via).await;
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = in_time("a connection", TcpStream::connect(wire.address))
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        if via != Via::Poll {
            in_time("hello", read_hello(&mut stream)).await;
        }
        open.push(stream);
        // A held poll sends no reply. Without this check, a slow server would be far behind at the end.
        if open.len().is_multiple_of(LOOK_EVERY) || open.len() == count {
            until("all are read to", async || {
                readers(wire, via).await == before + open.len() as u64
            })
            .await;
        }
    }
    open
}

async fn read_hello(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.windows(7).any(|bytes| bytes == b"\"hello\"") {
        assert!(
            stream.read_buf(&mut read).await.unwrap() > 0,
            "closed before hello"
        );
    }
}

/// Returns the resident memory of the server, in KiB.
fn resident_kib(program: &Program) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
