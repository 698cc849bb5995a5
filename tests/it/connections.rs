//! The accept loop over real sockets: time limits and every shape of HTTP.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod drain;
mod places;

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use triway::server::Options;

use app::{HELLO, Running, SHORT, in_time, read_to_end, read_until};

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
async fn a_slow_head_is_cut_at_its_limit_and_affects_no_other_connection() {
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
async fn a_kept_connection_may_idle_beyond_the_head_limit_but_not_beyond_the_idle_limit() {
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
async fn a_slow_body_fails_while_the_app_reads_it() {
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
async fn http_2_is_served_to_clients_that_start_with_its_preface() {
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

/// Encodes one HTTP/2 frame on stream 1.
fn h2_frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// Encodes header fields as HPACK literals, which need no dynamic table.
fn h2_fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    fields.iter().flat_map(field).collect()
}

#[tokio::test]
async fn a_connection_with_an_upgraded_stream_is_not_idle() {
    let running = Running::start(Options {
        idle_timeout: Some(SHORT),
        ..Options::default()
    });
    let mut stream = running
        .ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let connect = h2_fields(&[
        (":method", "CONNECT"),
        (":protocol", "echo"),
        (":scheme", "http"),
        (":path", "/upgrade"),
        (":authority", "t"),
    ]);
    stream.write_all(&h2_frame(1, 4, &connect)).await.unwrap();
    stream.write_all(&h2_frame(0, 0, b"word")).await.unwrap();
    read_until(&mut stream, "word").await;
    // Wait longer than the idle limit plus the time that the server allows for closing an idle connection.
    tokio::time::sleep(SHORT + Duration::from_millis(1_500)).await;
    running.shutdown.send(()).unwrap();
    read_until(&mut stream, "bye").await;
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let running = Running::start(Options::default());
    let mut stream = running.connect().await;
    let cookie = "x".repeat(80 * 1024);
    // The server may answer before it has read the whole head, so the write may fail.
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
async fn a_reader_that_does_not_read_is_cut() {
    let metrics = triway::Metrics::default();
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
