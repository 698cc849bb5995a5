//! Requests that are refused by Host or Origin: a person can read the reason, and the request has no effect on the hub.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::exact_bytes::{Answer, Server, Wire, eventually, get, post};
use super::process::Process;
use super::refusals::assert_common_headers;
use super::ws_client::{CLOSE, Ws, close, handshake};

const ORIGIN: &str = "https://page.example";

/// Returns the same request from a page of a forbidden origin.
fn of_page(request: &str) -> String {
    request.replacen(
        "Host: localhost\r\n",
        &format!("Host: localhost\r\nOrigin: {ORIGIN}\r\n"),
        1,
    )
}

/// Returns the same request for an unknown host.
fn of_host(request: &str) -> String {
    of_page(request).replacen("Host: localhost", "Host: hub.example", 1)
}

/// Checks that a browser lets the page read this response. Returns the problem document.
fn readable(answer: &Answer, origin: &str) -> Value {
    for (name, value) in [
        ("access-control-allow-origin", origin),
        ("timing-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert_common_headers(answer);
    let problem = answer.json();
    assert!(
        problem["hint"].as_str().unwrap().contains("--"),
        "{problem}"
    );
    problem
}

/// Returns requests that a page can send, and which must have no effect.
fn requests() -> Vec<String> {
    let text = |request: Vec<u8>| String::from_utf8(request).unwrap();
    let opening = br#"{"channels":["a"],"nonce":"n1"}"#;
    let commands = br#"[{"type":"publish","channel":"a","data":1}]"#;
    let json = [("Content-Type", "application/json")];
    vec![
        get("/poll/a?since=all&nonce=n1"),
        get("/poll/a?since=k3x9q2-1&wait=20&early=1&nonce=n1"),
        get("/sse/a?presence=1&nonce=n1"),
        get("/history/a?nonce=n1"),
        get("/presence/a?nonce=n1"),
        get("/metrics?nonce=n1"),
        get("/pub/a?session=x&key=x:1&data=1&nonce=n1"),
        text(post("/pub/a?nonce=n1", &json, b"1")),
        text(post("/send?nonce=n1", &json, commands)),
        text(post("/sse?nonce=n1", &json, opening)),
        text(post("/poll?nonce=n1", &json, opening)),
        // A GET of /ws without an upgrade gets a status, and it is the guard's.
        get("/ws/a?nonce=n1"),
    ]
}

async fn assert_nothing_was_done(server: &Server) {
    let history = server.get("/history/a").await.json();
    assert_eq!(history["frames"], serde_json::json!([]));
    let history = server.get("/history/%24presence/a").await.json();
    assert_eq!(history["frames"], serde_json::json!([]), "nobody was shown");
    let readers = ["ws", "sse", "poll"]
        .map(|transport| format!("triway_readers{{transport=\"{transport}\"}}"));
    for sample in readers {
        assert_eq!(server.metric(&sample).await, 0.0, "{sample}");
    }
    assert_eq!(server.metric("triway_sessions").await, 0.0);
}

#[tokio::test]
async fn a_page_of_a_refused_origin_reads_code_and_hint() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        for request in requests() {
            let answer = server.ask(of_page(&request)).await;
            let problem = readable(&answer, ORIGIN);
            assert_eq!(
                (answer.status, &problem["code"], &problem["nonce"]),
                (403, &"origin_refused".into(), &"n1".into()),
                "{request}"
            );
            let answer = server.ask(of_host(&request)).await;
            let problem = readable(&answer, ORIGIN);
            assert_eq!(
                (answer.status, &problem["code"], &problem["nonce"]),
                (421, &"host_refused".into(), &"n1".into()),
                "{request}"
            );
        }
        for origin in ["null", "file://", "nonsense"] {
            let request = get("/poll/a").replacen("Host", &format!("Origin: {origin}\r\nHost"), 1);
            let problem = readable(&server.ask(request).await, origin);
            assert_eq!(problem["code"], "origin_refused");
        }
        assert_nothing_was_done(&server).await;
    }
}

#[tokio::test]
async fn a_preflight_lets_a_refused_page_read_its_refusal() {
    let server = Server::start();
    for target in ["/pub/a", "/send", "/sse", "/poll/a", "/history/a"] {
        let preflight = format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: authorization,content-type,idempotency-key\r\n\r\n"
        );
        for request in [of_page(&preflight), of_host(&preflight)] {
            let answer = server.ask(request).await;
            assert!(matches!(answer.status, 200 | 204), "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
            assert_eq!(
                answer.header("access-control-allow-credentials"),
                Some("true")
            );
            let allowed = answer.header("access-control-allow-headers").unwrap();
            for header in ["authorization", "content-type", "idempotency-key"] {
                assert!(allowed.contains(header), "{header} in {allowed}");
            }
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.contains("POST"), "{methods}");
            assert_eq!(answer.body, b"", "nothing but permission to ask");
        }
    }
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer x"),
        ("Idempotency-Key", "k"),
    ];
    let real = String::from_utf8(post("/pub/a", &headers, b"1")).unwrap();
    let problem = readable(&server.ask(of_page(&real)).await, ORIGIN);
    assert_eq!(problem["code"], "origin_refused");
    assert_nothing_was_done(&server).await;
}

#[tokio::test]
async fn a_large_body_of_a_refused_page_is_read_before_the_answer() {
    let server = Server::start();
    let body = "x".repeat(2 * 1024 * 1024);
    let request = String::from_utf8(post("/pub/a", &[], body.as_bytes())).unwrap();
    let mut wire = server.send(of_page(&request)).await;
    let problem = readable(&wire.answer().await, ORIGIN);
    assert_eq!(problem["code"], "origin_refused");
    wire.send(get("/healthz")).await;
    assert_eq!(wire.answer().await.status, 200, "the connection is kept");
    assert_nothing_was_done(&server).await;
}

#[tokio::test]
async fn over_websocket_host_and_origin_are_refused_by_a_bye() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        let shake = handshake("/ws/a?nonce=n1&presence=1", "");
        let host_alone = shake.replace("Host: localhost", "Host: hub.example");
        for (request, code) in [
            (of_page(&shake), "origin_refused"),
            (of_host(&shake), "host_refused"),
            (host_alone, "host_refused"),
        ] {
            let mut ws = opened(server.send(request).await).await;
            let bye = ws.json().await;
            assert_eq!(
                (&bye["type"], &bye["code"], &bye["reconnect"]),
                (&"bye".into(), &3502.into(), &false.into()),
                "{bye}"
            );
            assert_eq!(bye["error"]["code"], code);
            assert_eq!(bye["error"]["nonce"], "n1");
            assert!(bye["error"]["hint"].as_str().unwrap().contains("--"));
            let (closed, reason, before) = ws.until_close().await;
            assert_eq!((closed, reason.as_str()), (Some(3502), code));
            assert!(before.is_empty(), "{before:?}");
        }
        let bare = of_page(&handshake("/ws/a?format=data", ""));
        let mut ws = opened(server.send(bare).await).await;
        let last = ws.frame().await;
        assert_eq!(
            (last.opcode(), &last.payload[..2]),
            (CLOSE, &3502_u16.to_be_bytes()[..])
        );
        // An invalid handshake gets a status. So does an address without a WebSocket.
        let wrong = of_page(&shake).replace("Version: 13", "Version: 8");
        assert_eq!(server.ask(wrong).await.code(), "origin_refused");
        let elsewhere = of_page(&handshake("/poll/a", ""));
        assert_eq!(server.ask(elsewhere).await.code(), "origin_refused");
        let refused = "triway_refusals_total{code=\"host_refused\"}";
        assert_eq!(server.metric(refused).await, 2.0, "each is counted once");
        assert_nothing_was_done(&server).await;
    }
}

#[tokio::test]
async fn the_close_after_a_refusing_bye_waits_for_the_client_or_a_second() {
    let server = Server::start();
    let shake = of_page(&handshake("/ws/a", ""));
    let mut silent = opened(server.send(&shake).await).await;
    assert_eq!(silent.json().await["code"], 3502);
    let began = Instant::now();
    assert_eq!(silent.until_close().await.0, Some(3502));
    let held_back = began.elapsed();
    assert!(held_back > Duration::from_millis(800), "{held_back:?}");
    let mut quick = opened(server.send(&shake).await).await;
    assert_eq!(quick.json().await["code"], 3502);
    let began = Instant::now();
    quick.send(close(1_000, "")).await;
    assert_eq!(quick.until_close().await.0, Some(3502));
    assert!(began.elapsed() < held_back, "{:?}", began.elapsed());
}

async fn opened(mut wire: Wire) -> Ws {
    let answer = wire.answer().await;
    assert_eq!(answer.status, 101, "{answer:?}");
    Ws { wire }
}

#[tokio::test]
async fn health_answers_every_host_and_page() {
    let server = Server::start();
    for target in ["/healthz", "/readyz"] {
        for request in [of_page(&get(target)), of_host(&get(target))] {
            let answer = server.ask(request).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
            assert_eq!(answer.json()["magic"], "triway/1");
        }
        let bare = server.ask(format!("GET {target} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(bare.status, 200, "without any Host");
        let twice = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nHost: a.example\r\n\r\n");
        assert_eq!(server.ask(twice).await.status, 400);
    }
}

#[tokio::test]
async fn each_refused_origin_and_host_is_logged_once() {
    let process = Process::start(&[]).await;
    for _ in 0..3 {
        for request in [get("/poll/a"), get("/sse/b"), handshake("/ws/a", "")] {
            process.send(of_page(&request)).await.head().await;
            process.send(of_host(&request)).await.head().await;
        }
        process.get("/poll/a").await;
    }
    let other = get("/poll/a").replace("Host: localhost", "Host: other.example");
    process.send(other).await.head().await;
    let said = || process.errors();
    eventually("the last line", async || said().contains("other.example")).await;
    let lines: Vec<String> = said().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, words) in lines.iter().zip([
        [ORIGIN, "--origin", "origin_refused"],
        ["`hub.example`", "--host", "host_refused"],
        ["`other.example`", "--host", "host_refused"],
    ]) {
        assert!(line.contains("WARN"), "{line}");
        for word in words {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
    for number in 0..200 {
        let host = get("/poll/a").replace("localhost", &format!("h{number}.example"));
        process.send(host).await.head().await;
    }
    eventually("the end of the list", async || {
        said().contains("not logged")
    })
    .await;
    assert_eq!(said().lines().count(), 101, "a hundred, and a last word");
}

#[tokio::test]
async fn a_full_hub_refuses_pages_with_a_readable_error() {
    let server = Server::with(|_, options| options.connections = Some(1));
    let mut held = server.send(get("/sse/a")).await;
    held.head().await;
    let answer = server.ask(of_page(&get("/poll/a?nonce=n1"))).await;
    let problem = readable(&answer, ORIGIN);
    assert_eq!(
        (&problem["code"], &problem["nonce"]),
        (&"too_many_connections".into(), &"n1".into())
    );
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(exposed, Some("retry-after"));
    // Behind a trusted proxy only the request of one client is refused, and the connection stays open.
    let server = Server::with(|_, options| {
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        options.address_connections = Some(1);
    });
    let client = |request: &str| request.replacen("Host", "X-Forwarded-For: 192.0.2.1\r\nHost", 1);
    let mut held = server.send(client(&get("/sse/a"))).await;
    held.head().await;
    let answer = server.ask(client(&of_page(&get("/poll/a?nonce=n1")))).await;
    let problem = readable(&answer, ORIGIN);
    assert_eq!(
        (&problem["code"], &problem["nonce"]),
        (&"too_many_connections".into(), &"n1".into())
    );
}
