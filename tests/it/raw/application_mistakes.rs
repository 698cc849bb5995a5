//! Mistakes of an application that once passed without a refusal, or with an unhelpful one.

use serde_json::json;

use super::exact_bytes::Server;
use super::refusals::assert_refused;
use super::ws_client::Ws;

#[tokio::test]
async fn a_token_in_the_query_is_refused_on_every_address_unless_it_is_allowed() {
    let server = Server::start();
    let targets = ["/poll/a", "/sse/a", "/history/a", "/presence/a"];
    for target in targets {
        let answer = server.get(&format!("{target}?token=t&since=all")).await;
        let problem = assert_refused(&answer, 401, "unauthorized");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("--token-in-query"), "{target}: {detail}");
    }
    for target in ["/send", "/pub/a", "/poll"] {
        let body = r#"{"channels":["a"],"commands":[],"token":"t"}"#;
        let target = format!("{target}?token=t");
        let answer = server.post(&target, "application/json", body).await;
        assert_refused(&answer, 401, "unauthorized");
    }
}

#[tokio::test]
async fn a_send_of_one_command_without_a_list_is_refused_with_the_list_hint() {
    let server = Server::start();
    for body in [r#"{"type":"ping"}"#, "7", "\"ping\"", "null", "{}"] {
        let answer = server.post("/send", "application/json", body).await;
        let problem = assert_refused(&answer, 400, "bad_json");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("array of commands"), "{body}: {detail}");
    }
    let answer = server.post("/send", "application/json", "[").await;
    let problem = assert_refused(&answer, 400, "bad_json");
    assert!(problem["detail"].as_str().unwrap().contains("EOF"));
}

#[tokio::test]
async fn an_empty_since_is_refused_like_any_other_bad_one() {
    let server = Server::start();
    for target in ["/poll/a?since=", "/sse/a?since=", "/history/a?since="] {
        assert_refused(&server.get(target).await, 400, "bad_cursor");
    }
    let body = r#"{"channels":["a"],"since":""}"#;
    let answer = server.post("/poll", "application/json", body).await;
    assert_refused(&answer, 400, "bad_cursor");
}

/// Returns the methods in an `Allow` header.
fn methods(header: Option<&str>) -> Vec<String> {
    let mut methods: Vec<String> = header
        .unwrap_or_default()
        .split(',')
        .map(|method| method.trim().to_owned())
        .collect();
    methods.sort();
    methods
}

#[tokio::test]
async fn options_and_405_name_the_same_methods() {
    let server = Server::start();
    for (target, expected) in [
        ("/poll/a", "GET,HEAD,POST"),
        ("/sse", "GET,HEAD,POST"),
        ("/ws/a", "CONNECT,GET,HEAD,POST"),
        ("/pub/a", "GET,HEAD,POST"),
        ("/send", "POST"),
        ("/history/a", "GET,HEAD"),
        ("/presence/a", "GET,HEAD"),
        ("/healthz", "GET,HEAD"),
    ] {
        let ask = |method| format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let options = server.ask(ask("OPTIONS")).await;
        assert_eq!(options.status, 200);
        let refused = server.ask(ask("PUT")).await;
        assert_refused(&refused, 405, "method_not_allowed");
        for answer in [options, refused] {
            assert_eq!(
                methods(answer.header("allow")).join(","),
                expected,
                "{target}"
            );
        }
    }
    let refused = server.get("/pub/a").await;
    assert_refused(&refused, 405, "method_not_allowed");
    assert_eq!(methods(refused.header("allow")).join(","), "GET,HEAD,POST");
}

#[tokio::test]
async fn pages_of_every_origin_may_load_only_the_client() {
    let server = Server::start();
    let ask = |target: &str| {
        server.ask(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://foreign.example\r\n\r\n"
        ))
    };
    for file in [
        "client.mjs",
        "client.js",
        "client-adaptation.mjs",
        "client-share.mjs",
        "client-report.mjs",
    ] {
        let answer = ask(&format!("/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for target in [
        "/",
        "/client.css",
        "/chat/index.html",
        "/poll/a",
        "/pub/client.mjs",
    ] {
        assert_refused(&ask(target).await, 403, "origin_refused");
    }
}

#[tokio::test]
async fn inboxes_do_not_count_as_channels_of_a_session() {
    let server = Server::with(|builder, _| builder.session.session_channels = Some(2));
    let mut wire = server
        .send(super::exact_bytes::get("/sse?channels=@,a,b,c&format=full"))
        .await;
    let told = wire.until("\"code\":\"too_many_channels\"").await;
    assert!(told.contains("{\"channel\":\"c\","), "{told}");
    assert!(!told.contains("{\"channel\":\"b\","), "{told}");
    let mut ws = Ws::open(&server, "/ws?channels=@,a").await;
    ws.json().await;
    let subscribe = |channel: &str| json!({"type": "subscribe", "channel": channel});
    assert_eq!(ws.command(subscribe("b")).await["ok"], true);
    let refused = ws.command(subscribe("c")).await;
    assert_eq!(refused["error"]["code"], "too_many_channels");
    assert_eq!(ws.command(subscribe("@")).await["ok"], true);
}
