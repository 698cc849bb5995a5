//! Every refusal of the protocol, provoked over the wire: its status, code, hint and headers.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use triway::Code;
use triway::Rate;

use super::exact_bytes::{Answer, Server, get, post};
use super::ws_client::Ws;

/// Checks every part of a refusal. Returns its problem document.
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: &str) -> serde_json::Value {
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (status, code),
        "{}",
        answer.text()
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    for part in ["type", "title", "hint", "detail"] {
        assert!(
            problem[part].as_str().is_some_and(|text| !text.is_empty()),
            "{part} in {problem}"
        );
    }
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_common_headers(answer);
    problem
}

pub(crate) fn assert_common_headers(answer: &Answer) {
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("referrer-policy"),
        Some("no-referrer"),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("vary"),
        Some("Origin, Authorization, Cookie"),
        "{answer:?}"
    );
    let cache = answer.header("cache-control").unwrap_or_default();
    assert!(cache.contains("no-store"), "{answer:?}");
}

fn small() -> Server {
    Server::with(|builder, options| {
        builder.broker.max_data = 16;
        builder.broker.rate = Some(Rate {
            per_second: 0.1,
            burst: 40.0,
        });
        options.body_timeout = Some(Duration::from_millis(200));
    })
}

/// Addresses at which a GET is refused.
const GETS: &[(&str, u16, &str)] = &[
    ("/sse/", 400, "bad_channel"),
    ("/sse", 400, "bad_channel"),
    ("/poll/a%2Cb", 400, "bad_channel"),
    ("/poll/a%00", 400, "bad_channel"),
    ("/poll/%ff", 400, "bad_channel"),
    ("/poll/,", 400, "bad_channel"),
    ("/poll/a?channels=b", 400, "bad_channel"),
    ("/history/a,b", 400, "bad_channel"),
    ("/poll/a?since=yesterday", 400, "bad_cursor"),
    ("/sse/a?since=last:-1", 400, "bad_cursor"),
    ("/sse/a?since=k-99999999999999999999", 400, "bad_cursor"),
    ("/sse/a?since.a=nonsense", 400, "bad_cursor"),
    ("/history/a?since=x", 400, "bad_cursor"),
    ("/sse/a?info=x", 400, "bad_json"),
    ("/sse/a?heartbeat=0", 400, "bad_parameter"),
    ("/sse/a?heartbeat=61", 400, "bad_parameter"),
    ("/sse/a?presence=maybe", 400, "bad_parameter"),
    ("/sse/a?format=xml", 400, "bad_parameter"),
    ("/poll/a?format=data", 400, "bad_parameter"),
    ("/poll/a?wait=NaN", 400, "bad_parameter"),
    ("/sse/a?since.b=all", 400, "bad_parameter"),
    ("/history/a?limit=0", 400, "bad_parameter"),
    ("/history/a?limit=1001", 400, "bad_parameter"),
    ("/history/a?limit=many", 400, "bad_parameter"),
    ("/history/a?bytes=0", 400, "bad_parameter"),
    ("/history/a?bytes=1048577", 400, "bad_parameter"),
    ("/sse/@somebody", 403, "forbidden"),
    ("/history/$x", 403, "forbidden"),
    ("/nowhere/at/all", 404, "not_found"),
    ("/nothing.js", 404, "not_found"),
    ("/pub/a", 405, "method_not_allowed"),
    ("/send", 405, "method_not_allowed"),
    ("/ws/a", 426, "upgrade_missing"),
];

/// POSTs that are refused: address, media type and body.
const POSTS: &[(&str, &str, &str, u16, &str)] = &[
    ("/pub/@", TEXT, "x", 400, "bad_channel"),
    ("/pub/", TEXT, "x", 400, "bad_channel"),
    ("/poll/a", TEXT, r#"{"channels":["b"]}"#, 400, "bad_channel"),
    ("/pub/a", JSON, "{", 400, "bad_json"),
    ("/pub/a", JSON, "1 2", 400, "bad_json"),
    ("/pub/a", JSON, "", 400, "bad_json"),
    ("/send", JSON, "{}", 400, "bad_json"),
    ("/poll", JSON, "[", 400, "bad_json"),
    ("/pub/a?name=open", TEXT, "x", 400, "bad_name"),
    ("/pub/a?name=error", TEXT, "x", 400, "bad_name"),
    ("/pub/a?name=$gap", TEXT, "x", 400, "bad_name"),
    ("/pub/a?name=a%0Ab", TEXT, "x", 400, "bad_name"),
    ("/pub/a?session=x", TEXT, "x", 401, "session_expired"),
    ("/pub/$presence/a", TEXT, "x", 403, "forbidden"),
    ("/pub/$x", TEXT, "x", 403, "forbidden"),
    ("/healthz", TEXT, "", 405, "method_not_allowed"),
    ("/pub/a", TEXT, "seventeen bytes!!", 413, "too_large"),
];

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// Whole requests that are refused.
const REQUESTS: &[(&str, u16, &str)] = &[
    (
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n",
        403,
        "origin_refused",
    ),
    (
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        421,
        "host_refused",
    ),
    (
        "DELETE /pub/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        405,
        "method_not_allowed",
    ),
    (
        "PUT /sse/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        405,
        "method_not_allowed",
    ),
    (
        "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        415,
        "unsupported_encoding",
    ),
    (
        "POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: identity, br\r\nContent-Length: 2\r\n\r\n[]",
        415,
        "unsupported_encoding",
    ),
    (
        "POST /poll/a HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: DEFLATE\r\nContent-Length: 2\r\n\r\n{}",
        415,
        "unsupported_encoding",
    ),
    (
        "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nslow",
        408,
        "body_timeout",
    ),
];

/// Returns refused requests that need no credential, each with its status and code.
fn table() -> Vec<(Vec<u8>, u16, &'static str)> {
    let long_name = get(&format!("/poll/{}", "x".repeat(129)));
    let long_nonce = get(&format!("/sse/a?nonce={}", "x".repeat(65)));
    let mut all = vec![
        (long_name.into_bytes(), 400, "bad_channel"),
        (long_nonce.into_bytes(), 400, "bad_parameter"),
    ];
    let gets = GETS.iter();
    all.extend(gets.map(|(target, status, code)| (get(target).into_bytes(), *status, *code)));
    all.extend(POSTS.iter().map(|(target, kind, body, status, code)| {
        let request = post(target, &[("Content-Type", kind)], body.as_bytes());
        (request, *status, *code)
    }));
    let whole = REQUESTS.iter();
    all.extend(whole.map(|(request, status, code)| (request.as_bytes().to_vec(), *status, *code)));
    all
}

#[tokio::test]
async fn each_mistake_has_its_status_code_hint_and_headers() {
    let server = small();
    let mut wrong = Vec::new();
    for (request, status, code) in table() {
        let answer = server.ask(&request).await;
        let request = String::from_utf8_lossy(&request);
        if (answer.status, answer.code().as_str()) != (status, code) {
            wrong.push(format!("{request:?}: {answer:?}"));
            continue;
        }
        let problem = assert_refused(&answer, status, code);
        let id = problem["request_id"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "{problem}");
        assert_eq!(
            answer.header("retry-after"),
            None,
            "only what passes says when: {request}"
        );
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn the_tests_of_this_folder_provoke_every_code() {
    let mut provoked: BTreeSet<&str> = table().into_iter().map(|(_, _, code)| code).collect();
    // Provoked below, and in `limits`, `full`, `keys` and `drain`.
    provoked.extend([
        "bad_command",
        "unauthorized",
        "rate_limited",
        "too_many_channels",
        "too_many_connections",
        "too_many_bodies",
        "key_reused",
        "key_out_of_order",
        "draining",
    ]);
    // Provoked by the tests of `access`.
    provoked.extend(["not_open", "authorizer_unavailable"]);
    // The broker of this build is always available, and no known request causes an internal error.
    provoked.extend(["broker_unavailable", "internal"]);
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(provoked, all);
}

#[tokio::test]
async fn a_405_names_the_methods_in_allow() {
    let server = Server::start();
    for (method, target, allowed) in [
        ("DELETE", "/pub/a", vec!["GET", "HEAD", "POST"]),
        ("PUT", "/send", vec!["POST"]),
        ("PATCH", "/sse/a", vec!["GET", "HEAD", "POST"]),
        ("PUT", "/poll/a", vec!["GET", "HEAD", "POST"]),
        ("POST", "/history/a", vec!["GET", "HEAD"]),
        ("POST", "/metrics", vec!["GET", "HEAD"]),
        ("BREW", "/healthz", vec!["GET", "HEAD"]),
    ] {
        let answer = server
            .ask(format!(
                "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            ))
            .await;
        assert_refused(&answer, 405, "method_not_allowed");
        let mut said: Vec<&str> = answer
            .header("allow")
            .expect("an Allow")
            .split(',')
            .map(str::trim)
            .collect();
        said.sort_unstable();
        assert_eq!(said, allowed, "{method} {target}");
    }
}

#[tokio::test]
async fn a_426_hint_names_the_nginx_settings_for_an_upgrade() {
    let server = Server::start();
    for request in [
        get("/ws/a"),
        "GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
            .into(),
        "GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n".into(),
        "POST /ws/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".into(),
    ] {
        let answer = server.ask(&request).await;
        let problem = assert_refused(&answer, 426, "upgrade_missing");
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        let hint = problem["hint"].as_str().unwrap();
        assert!(
            hint.contains("proxy_set_header Upgrade $http_upgrade")
                && hint.contains("proxy_http_version 1.1"),
            "{hint}"
        );
    }
}

#[tokio::test]
async fn without_credentials_a_closed_hub_answers_401_everywhere() {
    let server = Server::built(|builder, _| {
        builder.authorize(|asked| async move {
            match asked.token.as_deref() {
                Some("good") => Ok(Some(triway::Grants::everything().with_user("ann")?)),
                Some(_) => Err(triway::Refusal::new(Code::Unauthorized, "not this token")),
                None => Ok(None),
            }
        })
    });
    for target in ["/sse/a", "/poll/a", "/history/a", "/presence/a"] {
        let answer = server.get(target).await;
        assert_refused(&answer, 401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bad\r\n\r\n"
        );
        assert_refused(&server.ask(request).await, 401, "unauthorized");
    }
    for target in ["/pub/a", "/send"] {
        assert_refused(
            &server.post(target, "text/plain", "[]").await,
            401,
            "unauthorized",
        );
    }
    let answer = server.get("/poll/a?token=good").await;
    assert_refused(&answer, 401, "unauthorized");
    let good = "GET /poll/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: bearer good\r\n\r\n";
    assert_eq!(server.ask(good).await.status, 200);
    let (mut ws, _) = Ws::open_with(&server, "/ws/a", "").await;
    assert_eq!(ws.json().await["error"]["code"], "unauthorized");
    assert_eq!(ws.until_close().await.0, Some(3501));
}

fn wrong_commands() -> serde_json::Value {
    json!([
        {"type": "dance", "ref": 1},
        {"ref": 2},
        7,
        {"type": "publish", "channel": "a", "ref": 4},
        {"type": "publish", "channel": "", "data": 1, "ref": 5},
        {"type": "publish", "channel": "a", "data": 1, "name": "$x", "ref": 6},
        {"type": "publish", "channel": "a", "data": "seventeen bytes!!", "ref": 7},
        {"type": "publish", "channel": "$presence/a", "data": 1, "ref": 8},
        {"type": "history", "channel": "a", "since": "x", "ref": 9},
        {"type": "history", "channel": "a", "limit": 0, "ref": 10},
        {"type": "presence", "channel": "@bob", "ref": 11},
        {"type": "subscribe", "channel": "a", "ref": 12},
        {"type": "unsubscribe", "channel": "a", "ref": 13},
        {"type": "publish", "channel": "a", "data64": "*", "ref": 14},
        {"type": "ping", "ref": "x".repeat(129)},
    ])
}

#[tokio::test]
async fn commands_are_refused_in_their_replies_with_the_same_codes() {
    let server = small();
    let (_, key) = server.session().await;
    let commands = wrong_commands();
    let answer = server
        .post(
            &format!("/send?session={key}"),
            "text/plain",
            commands.to_string(),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let codes: Vec<String> = answer
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|reply| {
            assert_eq!(
                (&reply["type"], &reply["ok"]),
                (&json!("reply"), &json!(false)),
                "{reply}"
            );
            assert!(
                reply["error"]["hint"]
                    .as_str()
                    .is_some_and(|hint| !hint.is_empty()),
                "{reply}"
            );
            format!(
                "{} {}",
                reply["ref"],
                reply["error"]["code"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        codes,
        [
            "1 bad_command",
            "2 bad_command",
            "null bad_command",
            "4 bad_command",
            "5 bad_channel",
            "6 bad_name",
            "7 too_large",
            "8 forbidden",
            "9 bad_cursor",
            "10 bad_parameter",
            "11 forbidden",
            "12 bad_command",
            "13 bad_command",
            "14 bad_parameter",
            "null bad_parameter",
        ]
    );
}

#[tokio::test]
async fn a_refused_websocket_handshake_gets_a_bye_and_a_close() {
    let server = small();
    for (target, code, close) in [
        ("/ws/,", "bad_channel", 3500),
        ("/ws/a?since=x", "bad_cursor", 3500),
        ("/ws/a?heartbeat=0", "bad_parameter", 3500),
        ("/ws/@bob", "forbidden", 3502),
        ("/ws/a,b?format=data", "bad_parameter", 3500),
    ] {
        let mut ws = Ws::open(&server, target).await;
        let (said, reason, before) = ws.until_close().await;
        assert_eq!((said, reason.as_str()), (Some(close), code), "{target}");
        if target.contains("format=data") {
            assert!(before.is_empty(), "bare data has no words: {before:?}");
            continue;
        }
        assert_eq!(before.len(), 1, "nothing but the bye: {before:?}");
        let bye = before[0].json();
        assert_eq!(
            (&bye["type"], &bye["code"], &bye["reconnect"]),
            (&json!("bye"), &json!(close), &json!(false)),
            "{bye}"
        );
        assert_eq!(bye["error"]["code"], code);
        assert!(bye["error"]["hint"].is_string(), "{bye}");
        ws.send(super::ws_client::close(close, "")).await;
        ws.wire.finish().await;
        ws.ends().await;
    }
}

#[tokio::test]
async fn every_success_carries_the_common_headers_too() {
    let server = Server::start();
    server.publish("a", "x").await;
    for target in [
        "/poll/a",
        "/history/a",
        "/presence/a",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        let answer = server.get(target).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_common_headers(&answer);
    }
    let stream = server.send(get("/sse/a")).await.head().await;
    assert_common_headers(&stream);
    assert_eq!(
        stream.header("cache-control"),
        Some("no-cache, no-store, no-transform")
    );
    let script = server.get("/client.mjs").await;
    assert_eq!(script.status, 200);
    assert_eq!(script.header("x-content-type-options"), Some("nosniff"));
    let etag = script.header("etag").expect("built files have an ETag");
    let again =
        format!("GET /client.mjs HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n");
    assert_eq!(server.ask(again).await.status, 304);
}

#[tokio::test]
async fn built_files_are_compressed_and_nothing_else_is() {
    let server = Server::start();
    let ask = async |target: &str| {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\n\r\n"
        );
        server.ask(head).await
    };
    for target in ["/client.mjs", "/"] {
        let plain = server.get(target).await;
        let packed = ask(target).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{target}");
        assert_eq!(packed.header("vary"), Some("accept-encoding"), "{target}");
        assert_eq!(packed.header("etag"), plain.header("etag"), "{target}");
        assert!(packed.body.starts_with(&[0x1f, 0x8b]), "{target}");
        assert!(packed.body.len() < plain.body.len() / 2, "{target}");
    }
    for target in ["/poll/a", "/history/a", "/metrics", "/nothing"] {
        let answer = ask(target).await;
        assert_eq!(answer.header("content-encoding"), None, "{target}");
    }
}
