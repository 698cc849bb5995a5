//! A server with a small app for every kind of response, and clients that write bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::{Method, StatusCode};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use triway::Peer;
use triway::internal::ConnectionGuard;
use triway::server::{self, Drained, Options};

/// Longest time for one step of these tests. A slower step has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A limit that a test waits for.
pub(super) const SHORT: Duration = Duration::from_millis(300);

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) shutdown: oneshot::Sender<()>,
    pub(super) server: JoinHandle<std::io::Result<Drained>>,
}

impl Running {
    /// Starts a server with a small app for every kind of response. Streams end when the drain begins.
    pub(super) fn start(options: Options) -> Self {
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

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(super) async fn ask(&self, request: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn shut_down(self) -> Drained {
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
            any(move |request| upgrade(request, upgrading.clone())),
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

/// Sends one chunk at once, and the last one when the drain begins.
fn stream_until(mut ends: watch::Receiver<bool>) -> Body {
    let rest = futures_util::stream::once(async move {
        if ends.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>("bye")
    });
    Body::from_stream(futures_util::stream::once(async { Ok("first") }).chain(rest))
}

/// Echoes one word, then sends a bye when the drain begins.
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
    let answer = axum::response::Response::builder();
    let answer = if request.method() == Method::CONNECT {
        answer
    } else {
        answer
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "echo")
    };
    answer.body(Body::empty()).unwrap()
}

pub(super) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

/// Reads everything until the server closes. A reset counts as a close.
pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = in_time(stream.read_to_end(&mut all)).await;
    String::from_utf8(all).unwrap()
}

pub(super) async fn read_until(stream: &mut TcpStream, expected: &str) -> String {
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
    String::from_utf8_lossy(&all).into_owned()
}

pub(super) const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n";
