//! The parts of a request that its refusal repeats. The nonce proves to the client that the hub itself read the
//! request. The place of the credential proves that the credential was not lost on the way.

use serde_json::{Value, json};
use triway::{Code, Refusal};
use triway::{Grants, Reach};

use super::exact_bytes::{Server, get, post};
use super::ws_client::Ws;

/// Returns requests to every address that are refused, each with the nonce `n 1` in its query.
fn refused_queries() -> Vec<(String, &'static str)> {
    let line = |method: &str, target: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    };
    vec![
        (get("/poll/a?since=x&nonce=n%201"), "bad_cursor"),
        (get("/poll/a?since=%ff&nonce=n+1"), "bad_parameter"),
        (get("/sse/@bob?nonce=n%201"), "forbidden"),
        (get("/ws/a?nonce=n%201"), "upgrade_missing"),
        (line("PUT", "/poll/a?nonce=n%201"), "method_not_allowed"),
        (get("/history/a?limit=0&nonce=n%201"), "bad_parameter"),
        (get("/history/$x?nonce=n%201"), "forbidden"),
        (get("/presence/@bob?nonce=n%201"), "forbidden"),
        (
            line("POST", "/presence/a?nonce=n%201"),
            "method_not_allowed",
        ),
        (line("POST", "/pub/@?nonce=n%201"), "bad_channel"),
        (line("POST", "/pub/$x?nonce=n%201"), "forbidden"),
        (get("/pub/a?nonce=n%201"), "method_not_allowed"),
        (get("/pub/a?session=x&nonce=n%201"), "session_expired"),
        (line("POST", "/send?nonce=n%201"), "bad_json"),
        (get("/send?nonce=n%201"), "method_not_allowed"),
        (get("/nowhere/x?nonce=n%201"), "not_found"),
        (get("/nothing.js?nonce=n%201"), "not_found"),
        (
            get("/poll/a?nonce=n%201").replace("localhost", "evil.example"),
            "host_refused",
        ),
    ]
}

#[tokio::test]
async fn every_refusal_repeats_the_nonce_of_its_query() {
    // Once through hyper, and once over the fast path for requests that allow it.
    for server in [Server::start(), Server::plain(|_, _| {})] {
        for (request, code) in refused_queries() {
            let answer = server.ask(&request).await;
            assert_eq!(answer.code(), code, "{request}");
            assert_eq!(answer.json()["nonce"], "n 1", "{request}");
        }
        let without = server.get("/poll/a?since=x").await.json();
        assert_eq!(without.get("nonce"), None, "{without}");
        let long = format!("/poll/a?nonce={}", "n".repeat(65));
        assert_eq!(server.get(&long).await.json().get("nonce"), None);
    }
}

#[tokio::test]
async fn a_refusal_repeats_the_nonce_of_a_body() {
    let server = Server::start();
    for (target, body, code) in [
        (
            "/poll",
            r#"{"channels":["a"],"since":"x","nonce":"n1"}"#,
            "bad_cursor",
        ),
        ("/sse", r#"{"channels":["@bob"],"nonce":"n1"}"#, "forbidden"),
        ("/poll", r#"{"channels":7,"nonce":"n1"}"#, "bad_json"),
        (
            "/poll/a?nonce=n0",
            r#"{"channels":["b"],"nonce":"n1"}"#,
            "bad_channel",
        ),
        ("/poll/a?since=x&nonce=n1", "{}", "bad_cursor"),
        ("/poll/a?since=x&nonce=n1", "", "bad_cursor"),
    ] {
        let answer = server.post(target, "text/plain", body).await;
        assert_eq!(answer.code(), code, "{body}");
        assert_eq!(answer.json()["nonce"], "n1", "{body}");
    }
    let sized = vec![b' '; 3 * 1024 * 1024];
    let answer = server.post("/poll?nonce=n1", "text/plain", sized).await;
    assert_eq!(
        (answer.code().as_str(), &answer.json()["nonce"]),
        ("too_large", &json!("n1"))
    );
}

#[tokio::test]
async fn a_send_may_have_session_token_and_nonce_in_its_body() {
    let server = Server::start();
    let (id, key) = server.session().await;
    let command = format!(r#"{{"type":"publish","channel":"a","data":1,"key":"{id}:1"}}"#);
    let refused = format!(r#"{{"nonce":"n1","commands":[{command}]}}"#);
    let replies = server.post("/send?nonce=n0", "", refused).await.json();
    let error = &replies[0]["error"];
    assert!(error["code"].is_string(), "{replies}");
    assert_eq!(error["nonce"], "n1", "the body comes first: {replies}");
    let body = format!(r#"{{"session":"{key}","commands":[{command}]}}"#);
    for target in ["/send", "/send?session=forged"] {
        let replies = server.post(target, "", body.as_str()).await.json();
        assert_eq!(replies[0]["ok"], true, "{replies}");
    }
    let forged = r#"{"session":"forged","nonce":"n1","token":"t","commands":[]}"#;
    let answer = server
        .post(&format!("/send?session={key}&nonce=n0"), "", forged)
        .await;
    assert_eq!(answer.code(), "session_expired");
    assert_eq!(answer.json()["nonce"], "n1");
    assert_eq!(answer.json()["credential"], "body");
}

#[tokio::test]
async fn a_bye_repeats_the_nonce_in_its_error() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        let mut ws = Ws::open(&server, "/ws/@bob?nonce=n1").await;
        let bye = ws.json().await;
        assert_eq!(bye["error"]["code"], "forbidden");
        assert_eq!(bye["error"]["nonce"], "n1", "{bye}");
    }
}

#[tokio::test]
async fn a_repeated_numbered_refusal_has_the_nonce_of_its_request() {
    let server = Server::start();
    let (id, key) = server.session().await;
    for nonce in ["n1", "n2"] {
        let target = format!("/pub/$x?session={key}&nonce={nonce}");
        let headers = [("Idempotency-Key", &*format!("{id}:1"))];
        let answer = server.ask(post(&target, &headers, b"x")).await;
        assert_eq!(answer.code(), "forbidden");
        assert_eq!(answer.json()["nonce"], nonce);
    }
}

/// Returns the refusals of single channels of a request.
fn errors_of(refused: &Value) -> Vec<&Value> {
    let entries = refused.as_array().into_iter().flatten();
    entries.map(|entry| &entry["error"]).collect()
}

#[tokio::test]
async fn each_refused_channel_repeats_the_nonce_and_the_place_of_the_credential() {
    let server = closed(true);
    let query = "channels=a,b,c&token=good&nonce=n1";
    let poll = server.get(&format!("/poll?{query}")).await.json();
    let mut ws = Ws::open(&server, &format!("/ws?{query}")).await;
    ws.json().await;
    let on_ws = ws.json().await;
    let mut stream = server.send(get(&format!("/sse?{query}&format=full"))).await;
    stream.until("\"type\":\"refused\"").await;
    let on_sse = stream.until("\n\n").await;
    assert_eq!(on_sse.matches("\"nonce\":\"n1\"").count(), 2, "{on_sse}");
    let body = r#"{"channels":["a","b","c"],"token":"good","nonce":"n1"}"#;
    let posted = server.post("/poll", "text/plain", body).await.json();
    let none = "channels=b,c&token=good&nonce=n1";
    let whole = server.get(&format!("/poll?{none}")).await.json();
    for (refused, place) in [
        (&poll["frames"][1]["channels"], "query"),
        (&on_ws["channels"], "query"),
        (&posted["frames"][1]["channels"], "body"),
        (&whole["refused"], "query"),
    ] {
        let errors = errors_of(refused);
        assert_eq!(errors.len(), 2, "{refused}");
        for error in errors {
            assert_eq!(self::place(error), ("forbidden", place), "{error}");
            assert_eq!(error["nonce"], "n1", "{error}");
        }
    }
}

/// Starts a hub that knows the token `good`, which may read only `a`. The hub accepts tokens in every place.
fn closed(takes_all: bool) -> Server {
    Server::built(move |mut builder, _| {
        builder.http.token_in_query = takes_all;
        builder.http.cookie = Some("auth".into());
        builder.authorize(|asked| async move {
            match asked.token.as_deref() {
                Some("good") => {
                    let reach = || Reach::Some(vec!["a".into()]);
                    Ok(Some(Grants::new(reach(), reach())))
                }
                Some(_) => Err(Refusal::new(Code::Unauthorized, "not this token")),
                None => Ok(None),
            }
        })
    })
}

/// Returns the code and the place of the credential from a refusal.
fn place(problem: &Value) -> (&str, &str) {
    let text = |name: &str| problem[name].as_str().unwrap_or("none");
    (text("code"), text("credential"))
}

#[tokio::test]
async fn refusals_about_credentials_name_where_one_was_found() {
    let server = closed(true);
    let with = |method: &str, target: &str, line: &str| {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{line}\r\n\r\n"
        )
    };
    let good = "Authorization: Bearer good";
    for (method, target, line, expected) in [
        ("GET", "/poll/a", "X-A: 1", ("unauthorized", "none")),
        (
            "GET",
            "/poll/a",
            "Authorization: Basic eDp5",
            ("unauthorized", "none"),
        ),
        (
            "GET",
            "/poll/a",
            "Authorization: Bearer bad",
            ("unauthorized", "header"),
        ),
        ("GET", "/poll/b", good, ("forbidden", "header")),
        ("GET", "/history/b", good, ("forbidden", "header")),
        ("GET", "/presence/b", good, ("forbidden", "header")),
        ("POST", "/pub/b", good, ("forbidden", "header")),
        ("POST", "/pub/b", "X-A: 1", ("unauthorized", "none")),
        ("POST", "/send", "X-A: 1", ("unauthorized", "none")),
        (
            "POST",
            "/pub/a?session=x",
            good,
            ("session_expired", "header"),
        ),
        (
            "POST",
            "/send?session=x",
            "X-A: 1",
            ("session_expired", "none"),
        ),
        (
            "GET",
            "/sse/a",
            "Cookie: x=1; auth=bad",
            ("unauthorized", "cookie"),
        ),
        (
            "GET",
            "/poll/a?token=bad",
            "X-A: 1",
            ("unauthorized", "query"),
        ),
        (
            "GET",
            "/history/b?token=good",
            "X-A: 1",
            ("forbidden", "query"),
        ),
        // Only refusals about credentials name the place.
        ("GET", "/poll/a?since=x", good, ("bad_cursor", "none")),
    ] {
        let problem = server.ask(with(method, target, line)).await.json();
        assert_eq!(place(&problem), expected, "{method} {target} {line}");
    }
    let body = r#"{"channels":["a"],"token":"bad"}"#;
    let problem = server.post("/poll", "text/plain", body).await.json();
    assert_eq!(place(&problem), ("unauthorized", "body"));
}

#[tokio::test]
async fn a_bye_names_where_a_credential_was_found() {
    let server = closed(false);
    for (target, line, expected) in [
        ("/ws/a", "", ("unauthorized", "none")),
        (
            "/ws/b",
            "Authorization: Bearer good\r\n",
            ("forbidden", "header"),
        ),
        // `good` in base64url.
        (
            "/ws/b",
            "Sec-WebSocket-Protocol: triway.v1, triway.bearer.Z29vZA\r\n",
            ("forbidden", "subprotocol"),
        ),
        // The credential is found, although this hub accepts none in this place.
        ("/ws/a?token=good", "", ("unauthorized", "query")),
    ] {
        let (mut ws, _) = Ws::open_with(&server, target, line).await;
        let bye = ws.json().await;
        assert_eq!(place(&bye["error"]), expected, "{target} {line}");
    }
    let problem = server.get("/history/a?token=good").await.json();
    assert_eq!(place(&problem), ("unauthorized", "query"));
}

#[tokio::test]
async fn refusing_replies_name_where_a_credential_was_found() {
    let server = closed(false);
    let line = "Authorization: Bearer good\r\n";
    let (mut ws, _) = Ws::open_with(&server, "/ws/a", line).await;
    let (_, key) = super::exact_bytes::session_of(&ws.json().await);
    let publish = json!({"type": "publish", "channel": "b", "data": 1});
    for command in [
        publish.clone(),
        json!({"type": "subscribe", "channel": "b"}),
        json!({"type": "history", "channel": "b"}),
    ] {
        let reply = ws.command(command).await;
        assert_eq!(place(&reply["error"]), ("forbidden", "header"), "{reply}");
    }
    let target = format!("/send?session={key}&nonce=n1");
    let body = json!([publish, {"type": "dance"}]).to_string();
    let headers = [("Authorization", "Bearer good")];
    for (headers, expected) in [(&headers[..], "header"), (&[], "none")] {
        let request = post(&target, headers, body.as_bytes());
        let replies = server.ask(request).await.json();
        assert_eq!(place(&replies[0]["error"]), ("forbidden", expected));
        for (number, code) in [(0, "forbidden"), (1, "bad_command")] {
            let error = &replies[number]["error"];
            assert_eq!(
                (&error["code"], &error["nonce"]),
                (&json!(code), &json!("n1"))
            );
        }
    }
    // A session that continues by its key alone carries no credential.
    let mut ws = Ws::open(&server, &format!("/ws/a?session={key}")).await;
    ws.json().await;
    let reply = ws.command(publish).await;
    assert_eq!(place(&reply["error"]), ("forbidden", "none"), "{reply}");
}
