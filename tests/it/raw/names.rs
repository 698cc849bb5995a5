//! Channel names in addresses, queries and bodies.

use serde_json::json;

use super::exact_bytes::Server;
use super::refusals::assert_refused;

async fn channels(server: &Server, target: &str) -> serde_json::Value {
    let answer = server.get(target).await;
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    answer.json()["frames"][0]["channels"].clone()
}

async fn posted(server: &Server, target: &str, body: serde_json::Value) -> serde_json::Value {
    let answer = server.post(target, "text/plain", body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["frames"][0]["channels"].clone()
}

#[tokio::test]
async fn a_path_is_split_before_it_is_decoded() {
    let server = Server::start();
    for (path, names) in [
        ("a,b,c", json!(["a", "b", "c"])),
        ("a%20b,caf%C3%A9", json!(["a b", "caf\u{e9}"])),
        ("x/y/z", json!(["x/y/z"])),
        ("x%2Fy", json!(["x/y"])),
        ("a%25b", json!(["a%b"])),
        ("a+b", json!(["a+b"])),
        ("a%3Fb%23c", json!(["a?b#c"])),
        ("a,a,b", json!(["a", "b"])),
        ("%F0%9F%98%80", json!(["\u{1f600}"])),
        ("a%", json!(["a%"])),
        ("%2e%2e", json!([".."])),
        ("$presence/lobby", json!(["$presence/lobby"])),
        ("a:b;c=d!*'()~-_.", json!(["a:b;c=d!*'()~-_."])),
    ] {
        assert_eq!(
            channels(&server, &format!("/poll/{path}")).await,
            names,
            "{path}"
        );
    }
    for path in [
        "a%2Cb",
        "a%00b",
        "a%0Ab",
        "a%7Fb",
        "%C2%85",
        "%ff",
        "%c3",
        ",",
        "%ED%A0%80",
    ] {
        assert_refused(
            &server.get(&format!("/poll/{path}")).await,
            400,
            "bad_channel",
        );
    }
}

#[tokio::test]
async fn names_that_a_path_would_change_are_sent_in_the_query() {
    let server = Server::start();
    for (value, names) in [
        ("a,b", json!(["a", "b"])),
        ("..%2Fsecret", json!(["../secret"])),
        ("../x,.,..", json!(["../x", ".", ".."])),
        ("a//b", json!(["a//b"])),
        ("//", json!(["//"])),
        ("a%2Cb", json!(["a", "b"])),
        ("a+b", json!(["a b"])),
        ("a%2Bb", json!(["a+b"])),
    ] {
        for address in ["/poll", "/poll/"] {
            assert_eq!(
                channels(&server, &format!("{address}?channels={value}")).await,
                names,
                "{value}"
            );
        }
    }
    for (channel, value) in [("..", ".."), ("a//b", "a//b"), ("./a", ".%2Fa")] {
        let answer = server
            .post(&format!("/pub?channel={value}"), "text/plain", channel)
            .await;
        assert_eq!(
            (answer.status, answer.json()["channel"].as_str()),
            (201, Some(channel)),
            "{answer:?}"
        );
        let history = server
            .get(&format!("/history?channels={value}"))
            .await
            .json();
        assert_eq!(
            (&history["channel"], &history["frames"][0]["data"]),
            (&json!(channel), &json!(channel))
        );
    }
    for target in [
        "/poll?channels=",
        "/poll?channels=a%00",
        "/poll/a?channels=a",
        "/poll?channels=a&channels=b",
        "/history?channels=a,b",
    ] {
        assert_refused(&server.get(target).await, 400, "bad_channel");
    }
}

#[tokio::test]
async fn a_post_names_its_channels_in_its_body() {
    let server = Server::start();
    server.publish("b", "one").await;
    let cursor = server.publish("b", "two").await;
    server.publish("b", "three").await;
    assert_eq!(
        posted(&server, "/poll", json!({"channels": ["a", "../b//c"]})).await,
        json!(["a", "../b//c"])
    );
    assert_eq!(
        posted(&server, "/poll?channels=a", json!({})).await,
        json!(["a"])
    );
    let body = json!({"channels": ["a", "b"], "since": {"": "now", "b": cursor}, "nonce": "n"});
    let answer = server
        .post("/poll", "application/json", body.to_string())
        .await
        .json();
    assert_eq!(
        (&answer["frames"][0]["nonce"], &answer["frames"][1]["data"]),
        (&json!("n"), &json!("three"))
    );
    let stream = super::exact_bytes::post(
        "/sse",
        &[],
        json!({"channels": ["b"], "since": "last:1"})
            .to_string()
            .as_bytes(),
    );
    let mut stream = server.send(stream).await;
    assert_eq!(stream.head().await.status, 200);
    stream.until("data: three\n\n").await;
}

#[tokio::test]
async fn a_body_without_channels_is_refused() {
    let server = Server::start();
    for (target, body, code) in [
        (
            "/poll?channels=a",
            json!({"channels": ["b"]}),
            "bad_channel",
        ),
        ("/poll/a", json!({"channels": ["a"]}), "bad_channel"),
        ("/poll", json!({}), "bad_channel"),
        ("/poll", json!({"channels": []}), "bad_channel"),
        ("/poll", json!({"channels": ["a,b"]}), "bad_channel"),
        ("/poll", json!({"channels": ["a\u{0}"]}), "bad_channel"),
        ("/poll", json!({"channels": "a"}), "bad_json"),
        ("/poll", json!({"channels": [1]}), "bad_json"),
        ("/poll", json!([1, 2]), "bad_json"),
        (
            "/poll",
            json!({"channels": ["a"], "since": 5}),
            "bad_parameter",
        ),
        (
            "/poll",
            json!({"channels": ["a"], "since": {"b": "all"}}),
            "bad_parameter",
        ),
        (
            "/poll",
            json!({"channels": ["a"], "since": "x"}),
            "bad_cursor",
        ),
    ] {
        let answer = server.post(target, "text/plain", body.to_string()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{target} {body}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_name_is_up_to_128_bytes_long() {
    let server = Server::start();
    let longest = "\u{e9}".repeat(64);
    let encoded = "%C3%A9".repeat(64);
    assert_eq!(
        channels(&server, &format!("/poll/{encoded}")).await,
        json!([longest])
    );
    assert_eq!(
        server
            .post(&format!("/pub/{encoded}"), "text/plain", "x")
            .await
            .status,
        201
    );
    assert_eq!(
        channels(&server, &format!("/poll/$presence/{encoded}")).await,
        json!([format!("$presence/{longest}")])
    );
    for path in [format!("{encoded}x"), format!("$presence/{encoded}x")] {
        assert_refused(
            &server.get(&format!("/poll/{path}")).await,
            400,
            "bad_channel",
        );
    }
}
