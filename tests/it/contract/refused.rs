//! Requests for several channels of which some are refused: the others are opened.

use serde_json::{Value, json};

use super::{paths, session};
use crate::support::{Ask, End, Server, Via, Wire, in_time, until};

/// Returns the names in a list of refused channels, each with its code.
fn refused(list: &Value) -> Vec<(&str, &str)> {
    let entries = list.as_array().unwrap().iter();
    let pairs = entries.map(|entry| {
        let error = &entry["error"];
        assert!(error["hint"].is_string(), "{entry}");
        let channel = entry["channel"].as_str().unwrap();
        (channel, error["code"].as_str().unwrap())
    });
    pairs.collect()
}

#[tokio::test]
async fn must_refused_1_and_2_what_is_wrong_with_one_channel_harms_no_other() {
    for path in paths::all(|_| {}) {
        for via in Via::ALL {
            let ask = Ask::of(["room1", "$x", "room2", "", "room3", "@other"]);
            let ask = ask
                .with("format", "full")
                .since("all")
                .since_of("room3", "yesterday");
            let mut reader = path.wire.open(via, &ask).await;
            let hello = reader.expect().await;
            assert_eq!(hello["channels"], json!(["room1", "room2"]), "{via:?}");
            let frame = reader.expect().await;
            assert_eq!(frame["type"], "refused", "{} {via:?}", path.name);
            assert_eq!(
                refused(&frame["channels"]),
                [
                    ("$x", "forbidden"),
                    ("", "bad_channel"),
                    ("room3", "bad_cursor"),
                    ("@other", "forbidden"),
                ],
                "{} {via:?}",
                path.name
            );
            for room in ["room1", "room2"] {
                let id = path.wire.publish(room, "x").await;
                while reader.expect_type("event").await["id"] != *id {}
            }
        }
    }
}

#[tokio::test]
async fn channels_beyond_a_limit_are_refused_and_those_before_it_opened() {
    let of_session = Server::with(|builder| builder.session.session_channels = Some(2));
    let of_hub = Server::with(|builder| builder.hub.hub_channels = Some(2));
    for (server, status) in [(of_session, 403), (of_hub, 503)] {
        for via in Via::ALL {
            // A channel that is refused for another reason does not count.
            let ask = Ask::of(["$x", "a", "b", "c", "d"]).with("format", "full");
            let mut reader = server.wire.open(via, &ask).await;
            let hello = reader.expect().await;
            assert_eq!(hello["channels"], json!(["a", "b"]), "{via:?}");
            let list = reader.expect().await["channels"].take();
            let expected = [
                ("$x", "forbidden"),
                ("c", "too_many_channels"),
                ("d", "too_many_channels"),
            ];
            assert_eq!(refused(&list), expected, "{via:?}");
            assert_eq!(list[2]["error"]["status"], status, "{via:?}");
        }
    }
}

#[tokio::test]
async fn ones_own_inboxes_are_refused_together() {
    let server = Server::with(|builder| builder.hub.hub_channels = Some(1));
    let mut reader = server.wire.open(Via::Ws, &Ask::of(["a", "@"])).await;
    assert_eq!(reader.expect().await["channels"], json!(["a"]));
    let frame = reader.expect().await;
    assert_eq!(refused(&frame["channels"]), [("@", "too_many_channels")]);
}

/// Returns the status of a request that is refused as a whole, or the code of its bye, and the problem.
async fn problem(wire: &Wire, via: Via, ask: &Ask) -> (u16, Value) {
    let end = match wire.try_open(via, ask).await {
        Err(end) => end,
        Ok(mut reader) => {
            let (mut frames, end) = reader.expect_end().await;
            match (frames.pop(), end) {
                (Some(mut bye), End::Closed(code, _)) => return (code, bye["error"].take()),
                (None, end) => end,
                (Some(frame), end) => panic!("{frame} {end:?}"),
            }
        }
    };
    let End::Refused(status, problem) = end else {
        panic!("{end:?}")
    };
    (status, problem)
}

#[tokio::test]
async fn must_refused_3_where_all_are_refused_the_first_says_so() {
    for path in paths::all(|_| {}) {
        for via in Via::ALL {
            let ask = Ask::of(["$x", "a", ""]).since_of("a", "yesterday");
            let (status, problem) = problem(&path.wire, via, &ask).await;
            let expected = if via == Via::Ws { 3502 } else { 403 };
            assert_eq!(status, expected, "{} {via:?}", path.name);
            assert_eq!(problem["code"], "forbidden", "{} {via:?}", path.name);
            assert_eq!(
                refused(&problem["refused"]),
                [
                    ("$x", "forbidden"),
                    ("a", "bad_cursor"),
                    ("", "bad_channel")
                ],
            );
            let (_, alone) = self::problem(&path.wire, via, &Ask::of(["$x"])).await;
            assert_eq!(alone["code"], "forbidden");
            assert_eq!(alone.get("refused"), None, "{alone}");
        }
    }
}

#[tokio::test]
async fn must_refused_4_what_concerns_the_whole_request_refuses_it() {
    let server = Server::start();
    for via in Via::ALL {
        for (ask, code) in [
            (Ask::of(["a", "$x"]).since("yesterday"), "bad_cursor"),
            (Ask::of(["a", "$x"]).with("info", "x"), "bad_json"),
            (Ask::of(["a", "$x"]).since_of("b", "all"), "bad_parameter"),
        ] {
            let (_, problem) = problem(&server.wire, via, &ask).await;
            assert_eq!(problem["code"], code, "{via:?}");
        }
    }
}

#[tokio::test]
async fn must_refused_5_a_held_poll_is_not_answered_earlier_for_it() {
    let server = Server::start();
    let (_, key) = session(&server).await;
    let mut since = server.wire.publish("a", "0").await;
    for _ in 0..2 {
        let path = format!("/poll?channels=a,$x&session={key}&wait=60&since={since}");
        let wire = server.wire.clone();
        let polling = tokio::spawn(async move { wire.get_json(&path).await });
        until("a poll that waits", async || {
            let metrics = server.wire.get("/metrics").await.text();
            metrics.contains("triway_readers{transport=\"poll\"} 1")
        })
        .await;
        since = server.wire.publish("a", "x").await;
        let answer = in_time("the poll", polling).await.unwrap();
        let frames = answer["frames"].as_array().unwrap();
        assert_eq!(frames.len(), 2, "{answer}");
        assert_eq!(refused(&frames[0]["channels"]), [("$x", "forbidden")]);
        assert_eq!(frames[1]["id"], *since);
    }
    let path = format!("/poll?channels=a,$x&session={key}&wait=0&since={since}");
    let answer = server.wire.get_json(&path).await;
    assert_eq!(answer["frames"][0]["type"], "refused", "{answer}");
    assert_eq!(answer["frames"].as_array().unwrap().len(), 1);
}

/// The memory that a held poll keeps until its response is bounded.
#[tokio::test]
async fn a_poll_with_a_very_long_refused_frame_is_answered_at_once() {
    let server = Server::start();
    let since = server.wire.publish("a", "0").await;
    let names: Vec<String> = (0..500).map(|number| format!("${number}")).collect();
    let path = format!("/poll?channels=a,{}&wait=60&since={since}", names.join(","));
    let answer = in_time("the poll", server.wire.get_json(&path)).await;
    assert_eq!(refused(&answer["frames"][0]["channels"]).len(), 500);
    assert_eq!(
        (
            answer["frames"].as_array().unwrap().len(),
            &answer["cursor"]
        ),
        (1, &json!(*since))
    );
}

#[tokio::test]
async fn bare_event_streams_name_refused_channels() {
    let server = Server::start();
    let ask = Ask::of(["a", "$x"]).with("format", "data");
    let mut reader = server.wire.open(Via::Sse, &ask).await;
    assert!(reader.expect().await["id"].is_string());
    let block = reader.expect().await;
    assert_eq!(
        (&block["event"], &block["id"]),
        (&json!("$refused"), &Value::Null)
    );
    let frame: Value = serde_json::from_str(block["data"].as_str().unwrap()).unwrap();
    assert_eq!(refused(&frame["channels"]), [("$x", "forbidden")]);
}

#[tokio::test]
async fn more_refused_channels_than_are_named_refuse_the_whole_request() {
    let server = Server::start();
    for (count, named) in [(1_000, 1_000), (1_001, 0)] {
        let names: Vec<String> = (0..count).map(|number| format!("${number}")).collect();
        let body = json!({ "channels": names }).to_string();
        for via in ["sse", "poll"] {
            let path = format!("/{via}");
            let answer = server.wire.post(&path, "", body.clone()).await;
            assert_eq!(answer.status, 403);
            let problem = answer.json();
            let list = problem["refused"].as_array().map_or(0, Vec::len);
            assert_eq!(list, named, "{via}: {count}");
        }
    }
    // A request head holds fewer channels than a body. A plain socket writes the response without hyper.
    let names: Vec<String> = (0..900).map(|number| format!("${number}")).collect();
    let answer = server
        .wire
        .get(&format!("/poll?channels={}", names.join(",")))
        .await;
    assert_eq!(answer.json()["refused"].as_array().unwrap().len(), 900);
}
