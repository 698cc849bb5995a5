//! The memory that the hub holds for peers that read nothing, for every kind of request: each transport, both HTTP
//! versions, small and large events. `docs/operate.md` lists the figures in "What a peer can cost".

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;
use serde_json::json;

use super::exact_bytes::{Wire, eventually, get, in_time, post};
use super::over_h2::connected;
use super::process::Process;
use super::slow_readers::stalled;
use super::ws_client::{handshake, text};

mod streams;

/// Largest memory for one peer, in KiB.
const PEER_KIB: u64 = 64;
/// Memory that does not count for a single peer, in KiB: shared buffers and the allocator's slack.
const SHARED_KIB: u64 = 6 * 1024;
/// How long the test watches the memory after all requests are sent.
const WATCHED: Duration = Duration::from_millis(1_500);

/// The request of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Poll,
    History,
    Send,
    Presence,
    Sse,
    SseData,
    /// A WebSocket that reads the whole log.
    Ws,
    /// A WebSocket that requests the history repeatedly.
    WsHistory,
    /// A request whose body never ends.
    Upload,
}

impl Wish {
    pub(super) const ALL: [Self; 9] = [
        Self::Poll,
        Self::History,
        Self::Send,
        Self::Presence,
        Self::Sse,
        Self::SseData,
        Self::Ws,
        Self::WsHistory,
        Self::Upload,
    ];

    fn target(self) -> &'static str {
        match self {
            Self::Poll => "/poll/a?since=all",
            Self::History => "/history/a?limit=1000",
            Self::Send => "/send",
            Self::Presence => "/presence/here",
            Self::Sse => "/sse/a?since=all&format=full",
            Self::SseData => "/sse/a?since=all&format=data",
            Self::Ws => "/ws/a?since=all",
            Self::WsHistory => "/ws/b",
            Self::Upload => "/pub/a",
        }
    }

    /// Returns commands for four pages of history of a megabyte each.
    fn commands(session: &str) -> String {
        let history = json!({"type": "history", "channel": "a", "limit": 1_000});
        json!({"session": session, "commands": vec![history; 4]}).to_string()
    }

    fn bytes(self, session: &str) -> Vec<u8> {
        match self {
            Self::Ws => handshake(self.target(), "").into_bytes(),
            Self::WsHistory => {
                let history = json!({"type": "history", "channel": "a", "limit": 1_000});
                let commands = text(&history.to_string()).repeat(20);
                [handshake(self.target(), "").into_bytes(), commands].concat()
            }
            Self::Send => post(self.target(), &[], Self::commands(session).as_bytes()),
            Self::Upload => {
                let mut whole = post(self.target(), &[], &[b'x'; 16_000]);
                whole.pop();
                whole
            }
            _ => get(self.target()).into_bytes(),
        }
    }

    pub(super) fn is_over_h2(self) -> bool {
        !matches!(self, Self::Ws | Self::WsHistory | Self::Upload)
    }
}

/// A hub with a megabyte of history or one event of eight megabytes, and with 200 members.
pub(super) struct Scene {
    pub(super) process: Process,
    session: String,
    _members: Vec<Wire>,
}

impl Scene {
    pub(super) async fn new(is_large: bool) -> Self {
        Self::under(is_large, "").await
    }

    /// Starts the same hub after a command of the shell.
    async fn under(is_large: bool, command: &str) -> Self {
        let arguments = [
            "--publish-rate",
            "0",
            "--write-timeout",
            "60s",
            "--heartbeat",
            "60s",
            "--max-data",
            "16MiB",
            "--bodies-total",
            "512MiB",
        ];
        let process = Process::limited(&arguments, command).await;
        let (count, bytes) = if is_large { (1, 8 << 20) } else { (1_000, 900) };
        let data = "x".repeat(bytes);
        for _ in 0..count {
            let answer = process.publish("a", data.as_bytes()).await;
            assert_eq!(answer.status, 201);
        }
        let mut members = Vec::new();
        for _ in 0..200 {
            let info = format!("%22{}%22", "i".repeat(1_000));
            let target = format!("/sse/here?presence=1&info={info}&format=full");
            let mut wire = process.send(get(&target)).await;
            wire.until("hello").await;
            members.push(wire);
        }
        let hello = process.get("/poll/a").await.json();
        let session = hello["frames"][0]["session"]["key"].as_str().unwrap();
        let scene = Self {
            session: session.to_owned(),
            process,
            _members: members,
        };
        // Use every request once, so that one-time allocations exist before the first measurement.
        for wish in Wish::ALL {
            let mut wire = scene.process.send(wish.bytes(&scene.session)).await;
            if wish != Wish::Upload {
                assert!(wire.head().await.status <= 201);
                let _ = tokio::time::timeout(Duration::from_millis(300), wire.drain()).await;
            }
        }
        scene
    }

    /// Returns the most memory during [`WATCHED`], in KiB.
    async fn most_kib(&self) -> u64 {
        let began = std::time::Instant::now();
        let mut most = 0;
        while began.elapsed() < WATCHED {
            most = most.max(self.process.resident_kib());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    }

    /// Returns the memory for each of `peers` peers over HTTP/1.1, in KiB.
    pub(super) async fn over_h1(&self, wish: Wish, peers: u64) -> u64 {
        let before = self.process.resident_kib();
        let mut wires = Vec::new();
        for _ in 0..peers {
            let mut wire = stalled(&self.process, wish.bytes(&self.session)).await;
            if wish != Wish::Upload {
                assert!(wire.has(1).await, "it was asked");
            }
            wires.push(wire);
        }
        self.most_kib().await.saturating_sub(before) / peers
    }
}

/// Sends a request over HTTP/2 and reads the head of the response. The body is never read.
async fn ask(
    client: &mut SendRequest<Bytes>,
    wish: Wish,
    session: &str,
) -> hyper::Response<h2::RecvStream> {
    let answer = request(client, wish, session).await;
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

/// Sends a request over HTTP/2.
async fn request(
    client: &mut SendRequest<Bytes>,
    wish: Wish,
    session: &str,
) -> h2::client::ResponseFuture {
    *client = in_time(client.clone().ready()).await.unwrap();
    let target = format!("http://localhost{}", wish.target());
    let is_send = wish == Wish::Send;
    let request = if is_send {
        Request::post(target)
    } else {
        Request::get(target)
    };
    let request = request.body(()).unwrap();
    let (answer, mut body) = client.send_request(request, !is_send).unwrap();
    if is_send {
        body.send_data(Wish::commands(session).into(), true)
            .unwrap();
    }
    answer
}

async fn assert_cheap(peers: u64) {
    for is_large in [false, true] {
        let size = if is_large {
            "8 MiB events"
        } else {
            "1 KiB events"
        };
        for wish in Wish::ALL {
            let scene = Scene::new(is_large).await;
            let each = scene.over_h1(wish, peers).await;
            println!("{wish:?}, {size}, HTTP/1.1: {each} KiB for each of {peers} peers");
            let allowed = PEER_KIB + SHARED_KIB / peers;
            assert!(
                each <= allowed,
                "{wish:?}, {size}: {each} KiB, {allowed} allowed"
            );
        }
    }
}

#[tokio::test]
#[ignore = "long: eighteen hubs"]
async fn peers_that_do_not_read_cost_little() {
    assert_cheap(100).await;
}

#[tokio::test]
async fn peers_that_request_much_and_do_not_read_cost_little() {
    let scene = Scene::new(false).await;
    for wish in [Wish::Send, Wish::WsHistory, Wish::Poll] {
        let each = scene.over_h1(wish, 100).await;
        let allowed = PEER_KIB + SHARED_KIB / 100;
        assert!(each <= allowed, "{wish:?}: {each} KiB, {allowed} allowed");
    }
}

/// Readers of large events.
const CROWD: u64 = 500;
const LARGE_BYTES: usize = 8 << 20;
/// Quiet time after a burst.
const PAUSE: Duration = Duration::from_secs(20);
/// Memory that may remain after a burst, in KiB.
const LEFT_KIB: u64 = 50 * 1024;

/// Reads and discards `bytes` bytes.
async fn read_past(mut wire: Wire, bytes: usize) -> Wire {
    use tokio::io::AsyncReadExt;
    let (mut seen, mut room) = (0, vec![0; 256 * 1024]);
    while seen < bytes {
        let read = wire.stream.read(&mut room).await.unwrap();
        assert!(read > 0, "ended after {seen} bytes");
        seen += read;
    }
    wire
}

/// Starts a hub for large events that keeps two events of each channel.
async fn large(more: &[&str]) -> Process {
    let flags = "--publish-rate 0 --max-data 16MiB --history-events 2";
    let flags: Vec<&str> = flags.split(' ').chain(more.iter().copied()).collect();
    Process::start(&flags).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: 500 readers of 8 MiB each"]
async fn memory_returns_after_a_burst_of_large_events() {
    for name in ["sse", "ws", "poll"] {
        let process = large(&[]).await;
        process.publish("a", b"first").await;
        let cursor = process.get("/poll/a").await.json();
        let cursor = cursor["cursor"].as_str().unwrap().to_owned();
        let request = match name {
            "sse" => get("/sse/a"),
            "ws" => handshake("/ws/a", ""),
            _ => get(&format!("/poll/a?since={cursor}&wait=60")),
        };
        let base = process.resident_kib();
        let mut wires = Vec::new();
        for _ in 0..CROWD {
            wires.push(process.send(&request).await);
        }
        let sample = format!("triway_readers{{transport=\"{name}\"}}");
        eventually("all read", async || {
            process.metric(&sample).await >= CROWD as f64
        })
        .await;
        let data = vec![b'x'; LARGE_BYTES];
        let rounds = if name == "poll" { 1 } else { 2 };
        let mut most = base;
        for _ in 0..rounds {
            let reading = wires
                .drain(..)
                .map(|wire| tokio::spawn(read_past(wire, LARGE_BYTES)));
            let reading: Vec<_> = reading.collect();
            assert_eq!(process.publish("a", &data).await.status, 201);
            for task in reading {
                let read = tokio::time::timeout(Duration::from_secs(120), task).await;
                wires.push(read.unwrap().unwrap());
                most = most.max(process.resident_kib());
            }
        }
        drop(wires);
        tokio::time::sleep(PAUSE).await;
        let left = process.resident_kib();
        println!("{name}: {base} KiB before, {most} during, {left} after {PAUSE:?}");
        assert!(left < base + LEFT_KIB, "{name}: {base} KiB became {left}");
    }
}

#[tokio::test]
async fn large_events_are_not_kept_for_peers_that_do_not_read() {
    const ROUNDS: u64 = 12;
    // Two events with three encoded forms each, the events retained for slow readers, and one event in flight.
    const EVENTS_KIB: u64 = 2 * 4 * 8 * 1024 + 16 * 1024 + 24 * 1024;
    let process = large(&["--write-timeout", "60s"]).await;
    let base = process.resident_kib();
    let data = vec![b'x'; LARGE_BYTES];
    let readers = async || {
        let metrics = process.get("/metrics").await;
        let of = |name: &str| metrics.sample(&format!("triway_readers{{transport=\"{name}\"}}"));
        (of("ws") + of("sse")) as u64
    };
    let (mut wires, mut streams, mut most) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        // Some earlier readers may be cut, because the hub has forgotten their pending events.
        let before = readers().await;
        for _ in 0..4 {
            wires.push(stalled(&process, get("/sse/a?format=full")).await);
            wires.push(stalled(&process, handshake("/ws/a", "")).await);
        }
        let (mut client, connection) = connected(process.address, 2_000).await;
        let body = ask(&mut client, Wish::Sse, "").await;
        streams.push((client, connection, body));
        eventually("all read", async || readers().await >= before + 9).await;
        assert_eq!(process.publish("a", &data).await.status, 201);
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(process.resident_kib());
    }
    let slow = process.metric("triway_byes_total{code=\"slow\"}").await;
    assert!(slow > 0.0, "whoever is too slow is told from others");
    let peers = wires.len() as u64 + ROUNDS;
    let allowed = base + EVENTS_KIB + peers * PEER_KIB;
    println!("{base} KiB before, {most} with {peers} peers and {ROUNDS} events of 8 MiB");
    assert!(
        most < allowed,
        "{base} KiB became {most}, {allowed} allowed"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: half a gigabyte of bodies"]
async fn memory_returns_after_a_burst_of_large_bodies() {
    const WRITERS: usize = 60;
    let process = large(&["--bodies-total", "1GiB"]).await;
    let base = process.resident_kib();
    let text = vec![b'x'; LARGE_BYTES];
    let json = [b"\"", &text[..], b"\""].concat();
    for (content_type, body) in [
        ("text/plain", &text),
        ("application/octet-stream", &text),
        ("application/json", &json),
    ] {
        let request = post("/pub/a", &[("Content-Type", content_type)], body);
        let (most, last) = request.split_at(request.len() - 1);
        let mut wires = Vec::new();
        for _ in 0..WRITERS {
            wires.push(process.send(most).await);
        }
        let during = process.resident_kib();
        for wire in &mut wires {
            wire.send(last).await;
            assert_eq!(wire.answer().await.status, 201);
        }
        println!("{content_type}: {base} KiB before, {during} during");
        assert!(during > base + 400 * 1024, "all bodies are on their way");
    }
    tokio::time::sleep(PAUSE).await;
    let left = process.resident_kib();
    println!("{left} KiB after {PAUSE:?}");
    assert!(left < base + LEFT_KIB, "{base} KiB became {left}");
}
