//! Publishing, its keys, and the GET for networks that block POST.

use serde_json::json;

use super::{data, poll, session};
use crate::support::{Server, encode};

#[tokio::test]
async fn must_publish_1_the_type_says_what_a_body_is() {
    let server = Server::start();
    for (media_type, body) in [
        ("application/json", r#"{"a":1}"#),
        ("text/plain", r#"{"a":1}"#),
        ("", "a=1&b=2"),
        ("application/x-www-form-urlencoded", "a=1&b=2"),
        ("application/octet-stream", "bytes"),
    ] {
        server.wire.publish_as("a", "", media_type, body).await;
    }
    let frames = poll(&server, "a?since=all").await;
    assert_eq!(
        data(&frames)[..4],
        [
            &json!({"a":1}),
            &json!(r#"{"a":1}"#),
            &json!("a=1&b=2"),
            &json!("a=1&b=2")
        ]
    );
    assert_eq!(frames[4]["data64"], "Ynl0ZXM=");
    let kinds = [
        "application/json",
        "application/cloudevents+json",
        "Application/Vnd.Api+JSON; charset=utf-8",
        "text/x+json",
    ];
    for kind in kinds {
        let bad = server.wire.post("/pub/a", kind, "{").await;
        assert_eq!(bad.json()["code"], "bad_json", "{kind}");
        let good = server.wire.post("/pub/json", kind, "{\"a\":1}").await;
        assert_eq!(good.status, 201, "{kind}");
    }
    let frames = poll(&server, "json?since=all").await;
    assert_eq!(data(&frames), [&json!({"a":1}); 4]);
}

#[tokio::test]
async fn must_publish_3_and_4_size_and_rate_have_their_refusals() {
    let server = Server::with(|builder| {
        builder.broker.max_data = 10;
        builder.broker.rate = Some(triway::Rate {
            per_second: 0.1,
            burst: 2.0,
        });
    });
    let large = server.wire.post("/pub/a", "", "x".repeat(11)).await;
    assert_eq!(
        (large.status, &large.json()["code"]),
        (413, &json!("too_large"))
    );
    for _ in 0..2 {
        server.wire.publish("a", &"x".repeat(10)).await;
    }
    let limited = server.wire.post("/pub/a", "", "x").await;
    assert_eq!(
        (limited.status, &limited.json()["code"]),
        (429, &json!("rate_limited"))
    );
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn must_get_1_and_2_a_get_publishes_only_with_session_and_key() {
    let server = Server::start();
    let (id, key) = session(&server).await;
    let get = |query: String| {
        let path = format!("/pub/a?{query}");
        async { server.wire.get(&{ path }).await }
    };
    let long = "x".repeat(4_200);
    for (query, code) in [
        ("data=1".to_owned(), "method_not_allowed"),
        (format!("session={key}&data=1"), "bad_parameter"),
        (format!("session={key}&key=&data=1"), "bad_parameter"),
        (format!("session={key}&key={id}:1&data={long}"), "too_large"),
        (format!("session=x&key={id}:1&data=1"), "session_expired"),
    ] {
        assert_eq!(get(query.clone()).await.json()["code"], code, "{query}");
    }
    assert_eq!(get("data=1".into()).await.header("allow"), "POST,GET,HEAD");
    let path = format!("/pub/a?session={key}&key={id}:1&data=1");
    let cross = server
        .wire
        .request("GET", &path)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(server.wire.ask(cross).await.json()["code"], "forbidden");
    for (number, text) in [(1, r#"{"a":1.0}"#), (2, "\"1\""), (3, "plain text")] {
        let query = format!("session={key}&key={id}:{number}&data={}", encode(text));
        assert_eq!(get(query).await.status, 201, "{text}");
    }
    // The same key is the same publish, whether it arrives by GET or by POST.
    let own = get(format!("session={key}&key=own&data=4")).await;
    let command = r#"[{"type":"publish","channel":"a","data":4,"key":"own"}]"#;
    let path = format!("/send?session={key}");
    let replies = server.wire.post(&path, "", command).await;
    assert_eq!(replies.json()[0]["id"], own.json()["id"]);
    let frames = poll(&server, "a?since=all").await;
    assert_eq!(
        data(&frames),
        [
            &json!({"a":1.0}),
            &json!("1"),
            &json!("plain text"),
            &json!(4)
        ]
    );
    assert_eq!(frames[0]["from"], *id);
}
