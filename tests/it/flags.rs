//! Every setting of `triway serve`, shown by its effect: each test sets a very small value and provokes the refusal or
//! the close.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::cli::Hub;

/// Longest time for a response. A slower one is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

fn hub(flags: &[&str]) -> Hub {
    Hub::start(&[&["--listen", "127.0.0.1:0"], flags].concat())
}

fn connect(hub: &Hub) -> TcpStream {
    let stream = TcpStream::connect(hub.authority()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends one request. Returns the whole response as text.
fn ask(hub: &Hub, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = connect(hub);
    let host = if headers.contains("Host:") {
        ""
    } else {
        "Host: localhost\r\n"
    };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A server that stops reading the request resets the connection after its response.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn fetch(hub: &Hub, path: &str) -> String {
    ask(hub, "GET", path, "", "")
}

fn publish(hub: &Hub, channel: &str, data: &str) -> String {
    ask(hub, "POST", &format!("/pub/{channel}"), "", data)
}

/// Reads until the server closes. Returns the bytes and the time that this took.
fn time_to_close(mut stream: TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    (String::from_utf8_lossy(&rest).into_owned(), began.elapsed())
}

#[track_caller]
fn says(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

fn data_in(answer: &str) -> Vec<&str> {
    answer
        .split("\"data\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn max_data() {
    let hub = hub(&["--max-data", "10"]);
    says(&publish(&hub, "a", "0123456789"), &["201 Created"]);
    says(
        &publish(&hub, "a", "0123456789x"),
        &["413", "\"too_large\"", "\"hint\""],
    );
    says(
        &publish(&self::hub(&["--max-data", "0"]), "a", &"x".repeat(1 << 20)),
        &["201 Created"],
    );
}

#[test]
fn history_bounds() {
    let by_count = hub(&["--history-events", "2"]);
    let by_bytes = hub(&["--history-bytes", "2B"]);
    let by_age = hub(&["--history-age", "200ms"]);
    for hub in [&by_count, &by_bytes, &by_age] {
        for data in ["1", "2", "3"] {
            says(&publish(hub, "a", data), &["201 Created"]);
        }
    }
    assert_eq!(data_in(&fetch(&by_count, "/poll/a?since=all")), ["2", "3"]);
    let kept = fetch(&by_bytes, "/poll/a?since=all");
    assert!(
        data_in(&kept).len() < 3 && data_in(&kept).last() == Some(&"3"),
        "{kept}"
    );
    let began = Instant::now();
    while data_in(&fetch(&by_age, "/poll/a?since=all")).len() > 1 {
        assert!(began.elapsed() < PATIENCE, "the old ones go");
    }
}

#[test]
fn history_total() {
    let hub = hub(&["--history-total", "16KiB"]);
    let data = "x".repeat(1000);
    for _ in 0..100 {
        says(&publish(&hub, "large", &data), &["201 Created"]);
    }
    says(&publish(&hub, "small", "mine"), &["201 Created"]);
    says(&publish(&hub, "large", &data), &["201 Created"]);
    let kept = data_in(&fetch(&hub, "/poll/large?since=all")).len();
    assert!((1..=16).contains(&kept), "{kept}");
    assert_eq!(
        data_in(&fetch(&hub, "/poll/small?since=all")),
        ["mine"],
        "the largest gives first"
    );
}

#[test]
fn channel_caps() {
    let hub = hub(&["--session-channels", "2", "--hub-channels", "3"]);
    says(&fetch(&hub, "/poll/a,b?since=all"), &["200 OK"]);
    says(
        &fetch(&hub, "/poll/a,b,c?since=all"),
        &["403", "\"too_many_channels\""],
    );
    let answers: Vec<_> = ["c", "d", "e", "f"]
        .iter()
        .map(|name| publish(&hub, name, "x"))
        .collect();
    says(answers.last().unwrap(), &["503", "\"too_many_channels\""]);
}

#[test]
fn connection_caps() {
    let one = hub(&["--connections", "1"]);
    let held = connect(&one);
    says(
        &fetch(&one, "/healthz"),
        &["503", "retry-after: 5", "\"too_many_connections\""],
    );
    drop(held);
    let began = Instant::now();
    while !fetch(&one, "/healthz").contains("200 OK") {
        assert!(began.elapsed() < PATIENCE);
    }
    let proxied = hub(&[
        "--address-connections",
        "1",
        "--trusted-proxy",
        "127.0.0.0/8",
    ]);
    let mut held = connect(&proxied);
    held.write_all(b"GET /sse/a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        .unwrap();
    held.read_exact(&mut [0; 12]).unwrap();
    let from = |address: &str| {
        ask(
            &proxied,
            "GET",
            "/healthz",
            &format!("X-Forwarded-For: {address}\r\n"),
            "",
        )
    };
    says(&from("192.0.2.1"), &["503", "\"too_many_connections\""]);
    says(&from("192.0.2.2"), &["200 OK"]);
}

#[test]
fn publish_rate() {
    let slow = hub(&["--publish-rate", "1", "--publish-burst", "2"]);
    let answers: Vec<_> = (0..3).map(|_| publish(&slow, "a", "x")).collect();
    says(&answers[1], &["201 Created"]);
    says(&answers[2], &["429", "retry-after:", "\"rate_limited\""]);
    let free = hub(&["--publish-rate", "0"]);
    for _ in 0..300 {
        says(&publish(&free, "a", "x"), &["201 Created"]);
    }
}

#[test]
fn head_body_and_idle_times() {
    let hub = hub(&[
        "--head-timeout",
        "200ms",
        "--body-timeout",
        "400ms",
        "--idle-timeout",
        "800ms",
    ]);
    let mut head = connect(&hub);
    head.write_all(b"GET /heal").unwrap();
    let mut body = connect(&hub);
    body.write_all(b"POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        .unwrap();
    let idle = connect(&hub);
    let (said, took) = time_to_close(head);
    assert!(
        said.is_empty() && took < Duration::from_millis(700),
        "{said} {took:?}"
    );
    let (said, _) = time_to_close(body);
    says(&said, &["408", "\"body_timeout\""]);
    let (said, _) = time_to_close(idle);
    assert!(said.is_empty());
}

#[test]
fn heartbeat_and_poll_wait() {
    let hub = hub(&["--heartbeat", "1s", "--poll-wait", "300ms"]);
    let first = fetch(&hub, "/poll/a?since=all");
    says(&first, &["\"heartbeat\":1,"]);
    let cursor = first
        .split("{\"cursor\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let began = Instant::now();
    says(
        &fetch(&hub, &format!("/poll/a?since={cursor}")),
        &["\"frames\":[]"],
    );
    let held = began.elapsed();
    assert!(
        held >= Duration::from_millis(250) && held < Duration::from_secs(5),
        "{held:?}"
    );
    let mut stream = connect(&hub);
    stream
        .write_all(b"GET /sse/a?format=full HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let began = Instant::now();
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"type\":\"ping\"")));
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn write_timeout() {
    let hub = hub(&[
        "--write-timeout",
        "1s",
        "--publish-rate",
        "0",
        "--heartbeat",
        "60s",
        "--max-data",
        "1MiB",
    ]);
    let mut deaf = connect(&hub);
    deaf.write_all(b"GET /sse/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    deaf.read_exact(&mut [0; 12]).unwrap();
    let data = "x".repeat(1 << 20);
    // This is more than both sockets can buffer, so the hub has to wait.
    for _ in 0..16 {
        says(&publish(&hub, "a", &data), &["201 Created"]);
    }
    let began = Instant::now();
    while !fetch(&hub, "/metrics").contains("triway_readers{transport=\"sse\"} 0") {
        assert!(began.elapsed() < PATIENCE, "{}", fetch(&hub, "/metrics"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn origins_and_hosts() {
    let origin = |hub: &Hub, origin: &str| {
        ask(
            hub,
            "GET",
            "/poll/a?since=all",
            &format!("Origin: {origin}\r\n"),
            "",
        )
    };
    let host = |hub: &Hub, host: &str| {
        ask(
            hub,
            "GET",
            "/poll/a?since=all",
            &format!("Host: {host}\r\n"),
            "",
        )
    };
    let plain = hub(&[]);
    says(&origin(&plain, "http://localhost:3000"), &["200 OK"]);
    says(
        &origin(&plain, "https://app.example"),
        &["403", "\"origin_refused\"", "--origin"],
    );
    says(&origin(&plain, "null"), &["403", "\"origin_refused\""]);
    says(
        &host(&plain, "rt.example"),
        &["421", "\"host_refused\"", "--host"],
    );
    let named = hub(&[
        "--origin",
        "https://app.example",
        "--host",
        "rt.example",
        "--host",
        "rt2.example",
    ]);
    says(
        &origin(&named, "https://app.example"),
        &["200 OK", "access-control-allow-origin: https://app.example"],
    );
    says(&host(&named, "rt.example"), &["200 OK"]);
    says(&host(&named, "rt2.example:8443"), &["200 OK"]);
    says(&host(&named, "app.example"), &["200 OK"]);
    says(&host(&named, "other.example"), &["421"]);
    says(&host(&hub(&["--host", "*"]), "any.example"), &["200 OK"]);
}

#[test]
fn token_in_query() {
    says(
        &fetch(&hub(&[]), "/poll/a?since=all&token=t"),
        &["401", "\"unauthorized\"", "--token-in-query"],
    );
    says(
        &fetch(&hub(&["--token-in-query"]), "/poll/a?since=all&token=t"),
        &["200 OK"],
    );
}

#[test]
fn secret() {
    let session = |answer: &str, part: &str| {
        let rest = answer
            .split(&format!("\"{part}\":\""))
            .nth(1)
            .unwrap_or_else(|| panic!("{answer}"));
        rest.split('"').next().unwrap().to_owned()
    };
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("secret");
    std::fs::write(&path, "a secret that both nodes know\n").unwrap();
    let one = hub(&["--secret-file", path.to_str().unwrap()]);
    let two = hub(&["--secret", "a secret that both nodes know"]);
    let other = hub(&[]);
    let first = fetch(&one, "/poll/a?since=all");
    let (key, id) = (
        session(&first, "key"),
        session(first.split("\"session\":").nth(1).unwrap(), "id"),
    );
    let again = |hub: &Hub| {
        let answer = fetch(hub, &format!("/poll/a?since=all&session={key}"));
        session(answer.split("\"session\":").nth(1).unwrap(), "id")
    };
    assert_eq!(
        again(&two),
        id,
        "a node with the same secret knows the session"
    );
    assert_ne!(again(&other), id, "another one begins a new one");
}
