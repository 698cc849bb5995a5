//! The accept loop over real sockets: limits of time and number, every shape of HTTP, and the drain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use triway::peer::{ConnectionGuard, Peer};
use triway::server::{self, Drained, Options};

/// No step of these stories takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(300);

struct Running {
    address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<Drained>>,
}

impl Running {
    /// A server with a small app of every kind of answer. Streams end when the drain begins.
    fn start(options: Options) -> Self {
        let (ending, ends) = watch::channel(false);
        let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, shut) = oneshot::channel();
        let shutdown_begins = async {
            shut.await.ok();
        };
        let on_drain = move || {
            ending.send_replace(true);
        };
        let server = tokio::spawn(server::serve(
            listener,
            app(ends),
            options,
            shutdown_begins,
            on_drain,
        ));
        Self {
            address,
            shutdown,
            server,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, request: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn shut_down(self) -> Drained {
        self.shutdown.send(()).unwrap();
        in_time(self.server).await.unwrap().unwrap()
    }
}

fn app(ends: watch::Receiver<bool>) -> Router {
    let endless = Bytes::from_static(&[b'x'; 64 * 1024]);
    let upgrading = ends.clone();
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route(
            "/peer",
            get(
                |Extension(peer): Extension<Peer>,
                 ConnectInfo(address): ConnectInfo<SocketAddr>| async move {
                    format!(
                        "{} {} {}",
                        peer.client,
                        peer.proxied,
                        address == peer.address
                    )
                },
            ),
        )
        .route("/body", post(read_body))
        .route(
            "/stream",
            get(move || async move { stream_until(ends.clone()) }),
        )
        .route(
            "/stubborn",
            get(|| async { stream_until(watch::channel(false).1) }),
        )
        .route(
            "/endless",
            get(move || async move {
                Body::from_stream(futures_util::stream::repeat(Ok::<_, Infallible>(
                    endless.clone(),
                )))
            }),
        )
        .route(
            "/upgrade",
            get(move |request| upgrade(request, upgrading.clone())),
        )
}

async fn read_body(body: Body) -> (StatusCode, String) {
    match body.collect().await {
        Ok(body) => (StatusCode::OK, body.to_bytes().len().to_string()),
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                if error
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut)
                {
                    return (StatusCode::REQUEST_TIMEOUT, "slow".into());
                }
                cause = error.source();
            }
            (StatusCode::BAD_REQUEST, error.to_string())
        }
    }
}

/// One chunk at once, and the last one when the drain begins.
fn stream_until(mut ends: watch::Receiver<bool>) -> Body {
    let rest = futures_util::stream::once(async move {
        if ends.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>("bye")
    });
    Body::from_stream(futures_util::stream::once(async { Ok("first") }).chain(rest))
}

/// Echoes one word, then says bye when the drain begins.
async fn upgrade(
    mut request: Request,
    mut ends: watch::Receiver<bool>,
) -> axum::response::Response {
    let guard: ConnectionGuard = request.extensions().get().cloned().unwrap();
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut io = hyper_util::rt::TokioIo::new(upgrading.await.unwrap());
        let mut word = [0; 4];
        io.read_exact(&mut word).await.unwrap();
        io.write_all(&word).await.unwrap();
        ends.wait_for(|ended| *ended).await.ok();
        io.write_all(b"bye").await.unwrap();
        io.shutdown().await.ok();
        drop(guard);
    });
    axum::response::Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Body::empty())
        .unwrap()
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

/// Everything until the server closes. A reset counts as a close.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = in_time(stream.read_to_end(&mut all)).await;
    String::from_utf8(all).unwrap()
}

async fn read_until(stream: &mut TcpStream, expected: &str) -> String {
    let mut all = Vec::new();
    in_time(async {
        while !String::from_utf8_lossy(&all).contains(expected) {
            assert_ne!(
                stream.read_buf(&mut all).await.unwrap(),
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&all)
            );
        }
    })
    .await;
    String::from_utf8(all).unwrap()
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n";

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let running = Running::start(Options::default());
    let mut stream = running.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in HELLO.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(
        read_until(&mut stream, "hello")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_slow_head_is_cut_at_its_limit_and_harms_nobody() {
    let running = Running::start(Options {
        head_timeout: Some(SHORT),
        ..Options::default()
    });
    let mut slow = running.ask("GET /hello HTTP/1.1\r\n").await;
    let began = Instant::now();
    let (mut reading, mut writing) = slow.split();
    let trickle = async {
        loop {
            if writing.write_all(b"X: 1\r\n").await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(SHORT / 6).await;
        }
    };
    let cut = async {
        let mut none = Vec::new();
        let _ = reading.read_to_end(&mut none).await;
        assert!(none.is_empty());
    };
    in_time(async {
        tokio::select! { () = cut => {}, () = trickle => {} }
    })
    .await;
    assert!(began.elapsed() >= SHORT * 9 / 10, "{:?}", began.elapsed());
    assert!(began.elapsed() < SHORT * 10, "{:?}", began.elapsed());
    assert!(
        read_until(&mut running.ask(HELLO).await, "hello")
            .await
            .contains("200 OK")
    );
}

#[tokio::test]
async fn a_kept_connection_may_rest_longer_than_a_head_takes_but_not_longer_than_the_idle_limit() {
    let options = Options {
        head_timeout: Some(SHORT / 3),
        idle_timeout: Some(SHORT * 2),
        ..Options::default()
    };
    let running = Running::start(options);
    let mut kept = running.ask(HELLO).await;
    read_until(&mut kept, "hello").await;
    tokio::time::sleep(SHORT).await;
    kept.write_all(HELLO.as_bytes()).await.unwrap();
    read_until(&mut kept, "hello").await;
    let began = Instant::now();
    assert_eq!(read_to_end(&mut kept).await, "");
    assert!(began.elapsed() >= SHORT * 19 / 10, "{:?}", began.elapsed());
    let mut mute = running.connect().await;
    assert_eq!(
        read_to_end(&mut mute).await,
        "",
        "who never asks is idle too"
    );
}

#[tokio::test]
async fn a_slow_body_fails_in_the_hands_of_its_reader() {
    let running = Running::start(Options {
        body_timeout: Some(SHORT),
        ..Options::default()
    });
    let mut slow = running
        .ask("POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nonly this")
        .await;
    let answer = read_to_end(&mut slow).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.ends_with("slow"),
        "{answer}"
    );
    let mut whole = running
        .ask("POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    assert!(read_until(&mut whole, "\r\n\r\n4").await.contains("200 OK"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = Running::start(Options::default());
    let mut stream = running
        .ask("GET /hello HTTP/1.1\r\nHost: t\r\n\r\nGET /none HTTP/1.1\r\nHost: t\r\n\r\nGET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await;
    let answers = read_to_end(&mut stream).await;
    let statuses: Vec<_> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "404", "200"]);
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed_without_chunks() {
    let running = Running::start(Options::default());
    let answer = read_to_end(&mut running.ask("GET /hello HTTP/1.0\r\n\r\n").await).await;
    assert!(
        answer.starts_with("HTTP/1.0 200") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    let mut stream = running.ask("GET /stream HTTP/1.0\r\n\r\n").await;
    let answer = read_until(&mut stream, "first").await;
    assert!(!answer.to_lowercase().contains("chunked"), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_to_who_begins_with_it() {
    let running = Running::start(Options::default());
    let curl = tokio::process::Command::new("curl")
        .args([
            "-sS",
            "--http2-prior-knowledge",
            "-w",
            " by %{http_version}",
        ])
        .arg(format!("http://{}/hello", running.address))
        .output();
    let output = in_time(curl).await.unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "hello by 2",
        "{:?}",
        output.stderr
    );
}

#[tokio::test]
async fn http_2_offers_websockets_over_connect() {
    let running = Running::start(Options::default());
    let mut stream = running
        .ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let mut head = [0; 9];
    in_time(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut settings = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    in_time(stream.read_exact(&mut settings)).await.unwrap();
    assert!(
        settings
            .chunks(6)
            .any(|setting| setting == [0, 8, 0, 0, 0, 1]),
        "RFC 8441: {settings:?}"
    );
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let running = Running::start(Options::default());
    let mut stream = running.connect().await;
    let cookie = "x".repeat(80 * 1024);
    // The answer may come before all of it is taken.
    let _ = stream
        .write_all(format!("GET /hello HTTP/1.1\r\nCookie: {cookie}\r\n\r\n").as_bytes())
        .await;
    assert!(
        read_until(&mut stream, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 431")
    );
}

#[tokio::test]
async fn one_connection_too_many_is_told_when_to_come_again() {
    let running = Running::start(Options {
        connections: Some(2),
        ..Options::default()
    });
    let mut first = running.ask(HELLO).await;
    read_until(&mut first, "hello").await;
    let mut second = running.ask(HELLO).await;
    read_until(&mut second, "hello").await;
    let refused = read_to_end(&mut running.ask(HELLO).await).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    for part in [
        "\r\nretry-after: 5\r\n",
        "\r\nconnection: close\r\n",
        "\"code\":\"too_many_connections\"",
        "\"hint\":",
    ] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    drop(first);
    in_time(async {
        while !read_to_end(
            &mut running
                .ask(&HELLO.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
                .await,
        )
        .await
        .contains("hello")
        {}
    })
    .await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_cap() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let running = Running::start(Options {
        address_connections: Some(1),
        trusted_proxies,
        ..Options::default()
    });
    let stream_for = |client: &str| {
        format!("GET /stream HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: {client}\r\n\r\n")
    };
    let mut held = running.ask(&stream_for("192.0.2.1")).await;
    read_until(&mut held, "first").await;
    let mut again = running.ask(&stream_for("192.0.2.1")).await;
    assert!(
        read_until(&mut again, "too_many_connections")
            .await
            .starts_with("HTTP/1.1 503")
    );
    let mut other = running.ask(&stream_for("192.0.2.2")).await;
    assert!(
        read_until(&mut other, "first")
            .await
            .starts_with("HTTP/1.1 200")
    );
    drop(held);
    in_time(async {
        while !read_until(&mut running.ask(&stream_for("192.0.2.1")).await, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
        {}
    })
    .await;
}

#[tokio::test]
async fn forwarded_headers_are_believed_only_of_trusted_proxies() {
    let request =
        "GET /peer HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    let plain = Running::start(Options::default());
    assert!(
        read_to_end(&mut plain.ask(request).await)
            .await
            .ends_with("127.0.0.1 false true")
    );
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let behind = Running::start(Options {
        trusted_proxies,
        ..Options::default()
    });
    assert!(
        read_to_end(&mut behind.ask(request).await)
            .await
            .ends_with("192.0.2.1 true true")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connects_finds_everybody_served() {
    const CLIENTS: usize = 2_000;
    let running = Running::start(Options::default());
    let address = running.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(HELLO.as_bytes()).await.unwrap();
                read_until(&mut stream, "hello").await;
                stream
            })
        })
        .collect();
    let mut held = Vec::with_capacity(CLIENTS);
    for client in clients {
        held.push(in_time(client).await.unwrap());
    }
    assert_eq!(held.len(), CLIENTS);
    assert_eq!(
        running.shut_down().await,
        Drained { cut: 0 },
        "idle connections end at once"
    );
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut() {
    let metrics = triway::metrics::Metrics::default();
    let options = Options {
        write_timeout: Some(Duration::ZERO),
        peer_timeout: None,
        metrics: metrics.clone(),
        ..Options::default()
    };
    let running = Running::start(options);
    let _deaf = running
        .ask("GET /endless HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    in_time(async {
        while metrics.connections.get() == 0 {
            tokio::task::yield_now().await
        }
    })
    .await;
    let began = Instant::now();
    in_time(async {
        while metrics.connections.get() > 0 {
            tokio::time::sleep(SHORT / 10).await
        }
    })
    .await;
    assert!(
        began.elapsed() > Duration::from_secs(4),
        "the margin is five seconds"
    );
}

#[tokio::test]
async fn a_drain_lets_everybody_finish() {
    let running = Running::start(Options::default());
    let mut idle = running.ask(HELLO).await;
    read_until(&mut idle, "hello").await;
    let mut streaming = running.ask("GET /stream HTTP/1.1\r\nHost: t\r\n\r\n").await;
    read_until(&mut streaming, "first").await;
    let mut upgraded = running
        .ask("GET /upgrade HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    read_until(&mut upgraded, "\r\n\r\n").await;
    upgraded.write_all(b"word").await.unwrap();
    read_until(&mut upgraded, "word").await;
    let mut fresh = running.connect().await;
    running.shutdown.send(()).unwrap();
    fresh.write_all(HELLO.as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(
        read_to_end(&mut streaming)
            .await
            .ends_with("bye\r\n0\r\n\r\n"),
        "the stream ends as HTTP wants it"
    );
    assert_eq!(read_to_end(&mut upgraded).await, "bye");
    let answer = read_to_end(&mut fresh).await;
    assert!(
        answer.contains("connection: close") && answer.ends_with("hello"),
        "a request on its way: {answer}"
    );
    assert_eq!(
        in_time(running.server).await.unwrap().unwrap(),
        Drained { cut: 0 }
    );
    assert!(
        TcpStream::connect(running.address).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn a_drain_cuts_who_does_not_end() {
    let running = Running::start(Options {
        drain: SHORT,
        ..Options::default()
    });
    let mut stubborn = running
        .ask("GET /stubborn HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    read_until(&mut stubborn, "first").await;
    let began = Instant::now();
    assert_eq!(running.shut_down().await, Drained { cut: 1 });
    assert!(
        began.elapsed() >= SHORT && began.elapsed() < SHORT * 10,
        "{:?}",
        began.elapsed()
    );
    assert_eq!(read_to_end(&mut stubborn).await, "");
}

#[tokio::test]
async fn two_servers_do_not_share_a_port() {
    let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let again = server::listen(listener.local_addr().unwrap());
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(Arc::new(listener));
}
