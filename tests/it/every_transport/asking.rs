//! Where a reader begins, how data is written to it, and how it reads the past, over each transport.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{command, data, events, offset, over_each_transport};
use crate::support::{Ask, End, Server, Via, in_time};

over_each_transport![
    every_start_begins_where_it_says,
    a_header_wins_over_the_address,
    a_start_by_name_wins_over_the_start_of_all,
    malformed_starts_are_refused,
    history_comes_in_pages,
];

/// Starts a hub and publishes the texts 0 to 4. Returns their ids.
async fn five_events(channel: &str) -> (Server, Vec<String>) {
    let server = Server::start();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(server.wire.publish(channel, &number.to_string()).await);
    }
    (server, ids)
}

/// Returns the texts that a reader receives before one that is published after it has opened.
async fn told_until_after(server: &Server, via: Via, ask: &Ask) -> Vec<String> {
    let mut reader = server.wire.open(via, ask).await;
    let mut last = 0;
    // A poll with a cursor and no session is held and gets no hello.
    let goes_on = ask.find("since").is_some_and(|since| since.contains('-')) || ask.has_header();
    if via != Via::Poll || !goes_on {
        last = offset(&reader.expect_type("hello").await);
    }
    server.wire.publish("lobby", "after").await;
    let mut texts = Vec::new();
    loop {
        let told = events(&mut reader, 1).await.remove(0);
        assert!(offset(&told) > last, "{last} is before {told}");
        last = offset(&told);
        if told["data"] == "after" {
            return texts;
        }
        texts.push(told["data"].as_str().unwrap().to_owned());
    }
}

async fn every_start_begins_where_it_says(via: Via) {
    let all = ["0", "1", "2", "3", "4"];
    let epoch = |ids: &[String]| ids[0].split_once('-').unwrap().0.to_owned();
    type Start = fn(&[String], &str) -> String;
    let cases: [(Start, usize); 11] = [
        (|_, _| "now".into(), 5),
        (|_, _| "all".into(), 0),
        (|_, _| "10m".into(), 0),
        (|_, _| "1h".into(), 0),
        (|_, _| "0ms".into(), 5),
        (|_, _| "last:2".into(), 3),
        (|_, _| "last:0".into(), 5),
        (|_, _| "last:100".into(), 0),
        (|ids, _| ids[1].clone(), 2),
        (|ids, _| ids[4].clone(), 5),
        (|_, epoch| format!("{epoch}-0"), 0),
    ];
    for (start, first) in cases {
        let (server, ids) = five_events("lobby").await;
        let start = start(&ids, &epoch(&ids));
        let ask = Ask::of(["lobby"]).since(&start);
        let told = told_until_after(&server, via, &ask).await;
        assert_eq!(told, all[first..], "since={start}");
    }
    let (server, _) = five_events("lobby").await;
    let told = told_until_after(&server, via, &Ask::of(["lobby"])).await;
    assert!(told.is_empty(), "now is the default");
}

async fn a_header_wins_over_the_address(via: Via) {
    let (server, ids) = five_events("lobby").await;
    if via == Via::Ws {
        // The WebSocket client of these tests sends no such header, and neither does a browser.
        return;
    }
    let ask = Ask::of(["lobby"]).since("all").last_event_id(&ids[2]);
    assert_eq!(told_until_after(&server, via, &ask).await, ["3", "4"]);
}

async fn a_start_by_name_wins_over_the_start_of_all(via: Via) {
    let server = Server::start();
    for number in 0..4 {
        server.wire.publish("a", &format!("a{number}")).await;
        server.wire.publish("b", &format!("b{number}")).await;
    }
    let ask = Ask::of(["a", "b"]).since("last:1").since_of("b", "last:3");
    let mut reader = server.wire.open(via, &ask).await;
    let told = events(&mut reader, 4).await;
    assert_eq!(data(&told), ["b1", "b2", "a3", "b3"], "merged in id order");

    let ask = Ask::of(["a", "b"]).since_of("b", "all");
    let mut reader = server.wire.open(via, &ask).await;
    let told = events(&mut reader, 4).await;
    assert_eq!(data(&told), ["b0", "b1", "b2", "b3"]);
    server.wire.publish("a", "now").await;
    assert_eq!(data(&events(&mut reader, 1).await), ["now"]);

    if via != Via::Ws {
        let body = json!({
            "channels": ["a", "b"],
            "since": {"": "last:1", "b": "last:3"},
            "format": "full",
        });
        assert_eq!(
            by_body(&server, via, &body).await,
            ["b1", "b2", "b3", "now"]
        );
    }
}

/// Returns the texts that a POST with this body receives, in the order in which they arrive.
async fn by_body(server: &Server, via: Via, body: &Value) -> Vec<String> {
    let path = format!("/{}", via.name());
    let request = server.wire.request("POST", &path).body(body.to_string());
    let mut response = in_time("a head", request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    while !text.contains("\"now\"") {
        let chunk = in_time("a chunk", response.chunk()).await.unwrap();
        text += str::from_utf8(&chunk.expect("more")).unwrap();
    }
    let texts = text.split("\"data\":\"").skip(1);
    texts
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

async fn malformed_starts_are_refused(via: Via) {
    let server = Server::start();
    for start in [
        "yesterday",
        "last:x",
        "K3-1",
        "k3-",
        "10",
        "k3-99999999999999999999999",
    ] {
        let ask = Ask::of(["lobby"]).since(start);
        let refusal = refused(&server, via, &ask).await;
        assert_eq!(refusal["code"], "bad_cursor", "{start}");
        assert!(
            refusal["hint"]
                .as_str()
                .is_some_and(|hint| !hint.is_empty())
        );
        let ask = Ask::of(["lobby"]).since_of("lobby", start);
        assert_eq!(refused(&server, via, &ask).await["code"], "bad_cursor");
    }
}

/// Returns the problem with which a reader is refused: in the response, or in the bye of a WebSocket that is opened
/// only for that.
async fn refused(server: &Server, via: Via, ask: &Ask) -> Value {
    let mut reader = match server.wire.try_open(via, ask).await {
        Ok(reader) => reader,
        Err(End::Refused(400, problem)) => return problem,
        Err(end) => panic!("{end:?}"),
    };
    match (reader.expect_end().await, via) {
        ((frames, End::Closed(3500, _)), Via::Ws) => {
            assert_eq!(frames.len(), 1, "{frames:?}");
            assert_eq!(frames[0]["type"], "bye");
            assert_eq!(frames[0]["reconnect"], false);
            frames[0]["error"].clone()
        }
        ((frames, End::Refused(400, problem)), Via::Poll) if frames.is_empty() => problem,
        (end, _) => panic!("{end:?}"),
    }
}

async fn history_comes_in_pages(via: Via) {
    let (server, ids) = five_events("lobby").await;
    let page = server.wire.get_json("/history/lobby?limit=2").await;
    assert_eq!(page["channel"], "lobby");
    assert_eq!(data(page["frames"].as_array().unwrap()), ["0", "1"]);
    assert_eq!(
        (&page["cursor"], &page["more"]),
        (&json!(ids[1]), &json!(true))
    );
    let path = format!("/history/lobby?since={}&limit=1000", ids[1]);
    let page = server.wire.get_json(&path).await;
    assert_eq!(data(page["frames"].as_array().unwrap()), ["2", "3", "4"]);
    assert_eq!(
        (&page["cursor"], &page["more"]),
        (&json!(ids[4]), &json!(false))
    );

    // The same as a command of a session.
    let mut reader = server.wire.open(via, &Ask::of(["other"])).await;
    reader.expect_type("hello").await;
    let asked = json!({"type": "history", "channel": "lobby", "since": "last:2", "limit": 1});
    let page = command(&server, &mut reader, asked).await;
    assert_eq!(
        (&page["ok"], &page["channel"]),
        (&json!(true), &json!("lobby"))
    );
    assert_eq!(data(page["frames"].as_array().unwrap()), ["3"]);
    assert_eq!(
        (&page["cursor"], &page["more"]),
        (&json!(ids[3]), &json!(true))
    );
}

#[tokio::test]
async fn bare_event_streams_carry_data_alone() {
    let server = Server::start();
    let ask = Ask::of(["lobby"]).with("format", "data");
    let mut reader = server.wire.open(Via::Sse, &ask).await;
    let opened = reader.expect().await;
    assert_eq!(
        (&opened["event"], &opened["data"]),
        (&Value::Null, &Value::Null)
    );
    let forms: [(&str, &str, &[u8], Value, &str); 5] = [
        (
            "text/plain",
            "",
            b"one\r\ntwo\rthree\n",
            Value::Null,
            "one\ntwo\nthree\n",
        ),
        ("text/plain", "", b"", Value::Null, ""),
        (
            "text/plain",
            "name=chat",
            b" led by a space",
            json!("chat"),
            " led by a space",
        ),
        (
            "application/json",
            "",
            b"{\"a\": 1.0}",
            Value::Null,
            "{\"a\": 1.0}",
        ),
        (
            "application/octet-stream",
            "",
            &[0, 255],
            Value::Null,
            "AP8=",
        ),
    ];
    for (media_type, query, body, name, text) in forms {
        let answer = server
            .wire
            .publish_as("lobby", query, media_type, body)
            .await;
        let block = reader.expect().await;
        assert_eq!(block["id"], answer["id"]);
        assert_eq!((&block["event"], &block["data"]), (&name, &json!(text)));
    }
    let drained = server.drain();
    let bye = reader.expect().await;
    assert_eq!(bye["event"], "$bye");
    assert!(
        bye["data"]
            .as_str()
            .unwrap()
            .contains("\"reason\":\"drain\"")
    );
    assert_eq!(in_time("the drain", drained).await.unwrap().unwrap().cut, 0);
}

#[tokio::test]
async fn bare_event_streams_name_their_gaps() {
    let server = Server::start();
    server.wire.publish("lobby", "x").await;
    let ask = Ask::of(["lobby"])
        .last_event_id("nonsense")
        .with("format", "data");
    let mut reader = server.wire.open(Via::Sse, &ask).await;
    reader.expect().await;
    let gap = reader.expect().await;
    assert_eq!(gap["event"], "$gap");
    let told: Value = serde_json::from_str(gap["data"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&told["reason"], &told["id"]),
        (&json!("unknown"), &gap["id"])
    );
    assert_eq!(reader.expect().await["data"], "x");
}

#[tokio::test]
async fn bare_web_sockets_carry_data_alone_both_ways() {
    let server = Server::start();
    let ask = Ask::of(["lobby"]).with("format", "data");
    let mut bare = server.wire.open(Via::Ws, &ask).await;
    let mut full = server.wire.open(Via::Ws, &Ask::of(["lobby"])).await;
    full.expect_type("hello").await;
    // Its messages are published unchanged: text as a JSON string, never parsed, and binary as bytes.
    bare.send_raw(Message::text("{\"type\":\"publish\"}"))
        .await
        .unwrap();
    bare.send_raw(Message::binary(vec![0, 10, 255]))
        .await
        .unwrap();
    let told = events(&mut full, 2).await;
    assert_eq!(told[0]["data"], "{\"type\":\"publish\"}");
    assert_eq!(told[1]["data64"], "AAr/");
    assert!(told[0]["from"].as_str().unwrap().starts_with('s'));
    // It also receives its own messages, without JSON frames.
    in_time("its text", bare.frame()).await.unwrap();
    assert_eq!(bare.raw(), "{\"type\":\"publish\"}");
    let bytes = bare.expect().await;
    assert_eq!(
        (&bytes["type"], &bytes["data64"]),
        (&json!("binary"), &json!("AAr/"))
    );
    server
        .wire
        .publish_as("lobby", "", "application/json", "[1.0]")
        .await;
    assert_eq!(bare.expect().await["data"], "[1.0]");
}

#[tokio::test]
async fn a_gap_ends_a_bare_web_socket() {
    let server = Server::start();
    let ask = Ask::of(["lobby"]).since("k3x9q2-7").with("format", "data");
    let mut bare = server.wire.open(Via::Ws, &ask).await;
    let (frames, end) = bare.expect_end().await;
    assert!(frames.is_empty(), "{frames:?}");
    assert!(matches!(end, End::Closed(3006, _)), "{end:?}");
}
