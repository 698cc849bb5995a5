//! Publishing by POST on kept-alive connections: the responses are the same with hyper and without it.

use serde_json::{Value, json};

use super::exact_bytes::{Answer, Server, Wire, get, post};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Starts a hub that answers every request through hyper, and one that answers plain requests on the fast path.
fn both() -> [Server; 2] {
    [Server::start(), Server::plain(|_, _| {})]
}

/// Returns the parts of a response that a client sees. Without an `Origin`, no page needs the CORS headers.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut headers: Vec<_> = answer.headers.clone();
    headers.retain(|(name, _)| name != "date" && !name.starts_with("access-control-"));
    headers.sort();
    let mut body = answer.json();
    for random in ["id", "request_id"] {
        if let Some(value) = body.get_mut(random) {
            assert!(value.is_string(), "{value}");
            *value = json!(random);
        }
    }
    (answer.status, headers, body)
}

async fn answers(server: &Server, requests: &[Vec<u8>]) -> Vec<Answer> {
    let mut wire = server.connect().await;
    let mut answers = Vec::new();
    for request in requests {
        wire.send(request).await;
        answers.push(wire.answer().await);
    }
    answers
}

async fn data_of(server: &Server, channel: &str) -> Vec<Value> {
    let target = format!("/history/{channel}?since=all");
    let history = server.get(&target).await.json();
    let frames = history["frames"].as_array().unwrap();
    frames.iter().map(|frame| frame["data"].clone()).collect()
}

#[tokio::test]
async fn publishes_and_their_refusals_read_the_same_with_hyper_and_without_it() {
    let key = [JSON, ("Idempotency-Key", "k1")];
    let host = String::from_utf8(post("/pub/a", &[JSON], b"1")).unwrap();
    let host = host.replace("Host: localhost", "Host: evil.example");
    let requests = [
        post("/pub/a", &[JSON], b"{\"n\":1}"),
        post("/pub?channel=a&name=x", &[JSON], b"[2]"),
        post("/pub/a", &[], b"text"),
        post("/pub/a", &key, b"3"),
        post("/pub/a", &key, b"3"),
        post("/pub/a", &key, b"4"),
        post("/pub/a", &[JSON], b"{not json"),
        post("/pub/a", &[JSON], b""),
        post("/pub/a", &[("Content-Encoding", "gzip")], b"x"),
        post("/pub/", &[JSON], b"1"),
        post("/pub/@", &[JSON], b"1"),
        post("/pub/a,b", &[JSON], b"1"),
        post("/pub/a?session=forged&nonce=n", &[JSON], b"1"),
        post("/pub/a?token=x", &[JSON], b"1"),
        host.into_bytes(),
        post("/pub/a", &[JSON], b"\"last\""),
    ];
    let [hyper, plain] = both();
    let (by_hyper, by_plain) = (
        answers(&hyper, &requests).await,
        answers(&plain, &requests).await,
    );
    for (index, (one, other)) in by_hyper.iter().zip(&by_plain).enumerate() {
        assert_eq!(seen(one), seen(other), "request {index}");
    }
    let statuses: Vec<u16> = by_plain.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses[..5], [201; 5]);
    assert!(statuses[5..15].iter().all(|status| *status >= 400));
    assert_eq!(
        by_plain[3].body, by_plain[4].body,
        "one key, one event, one id"
    );
    let published = [json!({"n": 1}), json!([2]), json!("text"), json!(3)];
    for server in [hyper, plain] {
        let data = data_of(&server, "a").await;
        assert_eq!(data[..4], published);
        assert_eq!(data[4..], [json!("last")]);
    }
}

/// Returns whether hyper handled the request: only the router adds the CORS headers.
fn is_by_hyper(answer: &Answer) -> bool {
    answer.header("access-control-allow-credentials").is_some()
}

#[tokio::test]
async fn publishes_that_are_not_plain_are_answered_by_hyper() {
    let server = Server::plain(|_, _| {});
    let origin = format!("http://{}", server.address);
    let large = format!("\"{}\"", "x".repeat(40_000));
    let chunked = "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n";
    for (request, by_hyper) in [
        (post("/pub/a", &[JSON], b"1"), false),
        (post("/pub/a", &[JSON, ("Connection", "close")], b"1"), true),
        (post("/pub/a", &[JSON], large.as_bytes()), true),
        (chunked.as_bytes().to_vec(), true),
        (post("/pub/a", &[JSON, ("Origin", &origin)], b"1"), true),
    ] {
        let answer = server.ask(&request).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(is_by_hyper(&answer), by_hyper, "{answer:?}");
    }
    assert_eq!(data_of(&server, "a").await.len(), 5);
}

#[tokio::test]
async fn a_publish_that_comes_in_parts_is_answered_once() {
    for server in both() {
        let request = post("/pub/a", &[JSON], b"[1,2,3]");
        for cut in [1, 20, request.len() - 7, request.len() - 1] {
            let mut wire = server.connect().await;
            wire.send(&request[..cut]).await;
            // The hub has read the first part by the time it has answered on another connection.
            server.get("/healthz").await;
            wire.send(&request[cut..]).await;
            assert_eq!(wire.answer().await.status, 201);
        }
        assert_eq!(data_of(&server, "a").await.len(), 4);
    }
}

#[tokio::test]
async fn a_connection_publishes_and_polls_in_turn_and_ahead() {
    for server in both() {
        let mut wire = server.connect().await;
        let first = publish(&mut wire, 1).await;
        let poll = |since: &str| get(&format!("/poll/a?since={since}"));
        let second = publish(&mut wire, 2).await;
        wire.send(poll(&first)).await;
        let answer = wire.answer().await.json();
        assert_eq!(answer["cursor"], json!(second));
        assert_eq!(answer["frames"][0]["data"], json!(2));
        // The requests are sent at once, and answered in order.
        let ahead = [
            post("/pub/a", &[JSON], b"3"),
            poll(&second).into_bytes(),
            post("/pub/a", &[JSON], b"4"),
            get("/healthz").into_bytes(),
            post("/pub/a", &[JSON], b"5"),
        ];
        wire.send(ahead.concat()).await;
        assert_eq!(wire.answer().await.status, 201);
        assert_eq!(
            wire.answer().await.json()["frames"][0]["data"],
            json!(3),
            "the poll sees what came before it"
        );
        assert_eq!(wire.answer().await.status, 201);
        assert_eq!(wire.answer().await.status, 200);
        assert_eq!(wire.answer().await.status, 201);
        assert_eq!(data_of(&server, "a").await.len(), 5);
    }
}

async fn publish(wire: &mut Wire, number: usize) -> String {
    wire.send(post("/pub/a", &[JSON], number.to_string().as_bytes()))
        .await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}
