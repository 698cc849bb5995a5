//! The drain: requests in progress may finish, and no connection may stay.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use triway::server::{self, Drained, Options};

use super::app::{HELLO, Running, SHORT, in_time, read_to_end, read_until};

#[tokio::test]
async fn a_drain_lets_all_requests_finish() {
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
async fn a_drain_cuts_connections_that_do_not_end() {
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
async fn a_drain_does_not_wait_for_an_idle_peer_that_does_not_answer() {
    let running = Running::start(Options::default());
    // HTTP/2 sends a ping before it closes, and this peer does not answer it.
    let mut mute = running
        .ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    in_time(mute.read_exact(&mut [0; 9])).await.unwrap();
    assert_eq!(running.shut_down().await, Drained { cut: 0 });
}

#[tokio::test]
async fn two_servers_do_not_share_a_port() {
    let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let again = server::listen(listener.local_addr().unwrap());
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
