//! Channel rules over every transport and at every address.

use serde_json::json;
use triway::Audience::{Anyone, Grant, Nobody, Owner, Server as BackEnd, User};

use super::*;

/// One channel for each audience, the same for reading and publishing. The channel of an owner is that of ann.
const CHANNELS: [(&str, Audience); 6] = [
    ("anyone/ann/x", Anyone),
    ("user/ann/x", User),
    ("owner/ann/x", Owner),
    ("grant/ann/x", Grant),
    ("server/ann/x", BackEnd),
    ("nobody/ann/x", Nobody),
];

fn by_audience() -> Server {
    let rules = CHANNELS.map(|(channel, audience)| {
        let (kind, _) = channel.split_once('/').unwrap();
        rule(&format!("{kind}/{{user}}/*"), audience, audience)
    });
    guarded(rules.to_vec())
}

/// Whether a client is in each audience, in the order of [`CHANNELS`].
type Memberships = [bool; 6];

/// Clients by their token: with none, ann without and with a grant, and bob with a grant.
fn clients() -> Vec<(Option<String>, Memberships)> {
    let granted = ["grant/*"];
    vec![
        (None, [true, false, false, false, false, false]),
        (
            Some(token_of("ann", &[])),
            [true, true, true, false, false, false],
        ),
        (
            Some(token_of("ann", &granted)),
            [true, true, true, true, false, false],
        ),
        (
            Some(token_of("bob", &granted)),
            [true, true, false, true, false, false],
        ),
    ]
}

#[tokio::test]
async fn an_audience_reads_over_every_transport_and_others_are_refused() {
    let server = by_audience();
    for (token, memberships) in clients() {
        for ((channel, audience), is_member) in CHANNELS.iter().zip(memberships) {
            let ask = match &token {
                Some(token) => reading(channel, token),
                None => Ask::of([*channel]),
            };
            for via in Via::ALL {
                if is_member {
                    server.wire.open(via, &ask).await.expect_type("hello").await;
                } else {
                    let code = refused(&server.wire, via, &ask).await;
                    assert_eq!(code, "forbidden", "{audience} {token:?} {via:?}");
                }
            }
            for path in ["history", "presence"] {
                let path = format!("/{path}/{channel}");
                let request = server.wire.request("GET", &path);
                let answer = match &token {
                    Some(token) => server.wire.ask(request.bearer_auth(token)).await,
                    None => server.wire.ask(request).await,
                };
                assert_eq!(
                    answer.status == 200,
                    is_member,
                    "{path} {token:?}: {}",
                    answer.text()
                );
            }
        }
    }
}

#[tokio::test]
async fn an_audience_publishes_at_every_address_and_others_are_refused() {
    let server = by_audience();
    let wire = &server.wire;
    let mut number = 0;
    for (token, memberships) in clients() {
        for ((channel, _), is_member) in CHANNELS.iter().zip(memberships) {
            // By the body of a POST, without and with a session.
            let request = wire.request("POST", &format!("/pub/{channel}")).body("x");
            let answer = match &token {
                Some(token) => wire.ask(request.bearer_auth(token)).await,
                None => wire.ask(request).await,
            };
            assert_eq!(
                answer.status == 201,
                is_member,
                "{channel} {token:?}: {}",
                answer.text()
            );
            let key = match &token {
                Some(token) => session_key(wire, token).await,
                None => wire.ask(wire.request("POST", "/session")).await.json()["key"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            };
            let session = query("session", &key);
            // By the address.
            number += 1;
            let answer = wire
                .get(&format!("/pub/{channel}?{session}&key=k{number}&data=x"))
                .await;
            assert_eq!(
                answer.status == 201,
                is_member,
                "GET {channel} {token:?}: {}",
                answer.text()
            );
            // By a command, over HTTP and over WebSocket.
            let command = json!({"type": "publish", "channel": channel, "data": "x"});
            let replies = wire.send(&key, &json!([command])).await;
            assert_eq!(
                replies[0]["ok"] == true,
                is_member,
                "/send {channel} {token:?}: {}",
                replies[0]
            );
            let mut reader = wire.open(Via::Ws, &Ask::of(["@"]).session(&key)).await;
            reader.expect_type("hello").await;
            reader.send(&command).await;
            let reply = reader.expect_type("reply").await;
            assert_eq!(
                reply["ok"] == true,
                is_member,
                "WS {channel} {token:?}: {reply}"
            );
        }
    }
}

#[tokio::test]
async fn a_grant_names_whole_channels_however_they_are_written() {
    let server = guarded(Vec::new());
    let token = token_of("ann", &["room/*"]);
    for (path, status) in [
        ("/history/room/1", 200),
        ("/history/room%2F1", 200),
        ("/history?channels=room%2F1", 200),
        ("/history/room", 403),
        ("/history/room/", 403),
        ("/history/rooms/1", 403),
        ("/history/Room/1", 403),
        ("/history/room%252F1", 403),
        ("/history/$presence/rooms/1", 403),
        ("/history/%24presence%2Frooms%2F1", 403),
        ("/presence/room/1", 200),
        ("/presence/rooms/1", 403),
    ] {
        let answer = ask_as(&server.wire, &token, "GET", path, "").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_rule_hides_the_members_of_a_channel() {
    let mut hidden = rule("hidden/*", Anyone, Anyone);
    hidden.presence = false;
    let server = guarded(vec![hidden, rule("*", Anyone, Anyone)]);
    let shown = Ask::of(["hidden/1", "open"]).with("presence", 1);
    let mut reader = server.wire.open(Via::Ws, &shown).await;
    reader.expect_type("hello").await;
    assert_eq!(server.wire.get("/presence/hidden/1").await.status, 403);
    let members = server.wire.get_json("/presence/open").await;
    assert_eq!(members["count"], 1, "{members}");
    assert!(server.hub.members("hidden/1").unwrap().members.is_empty());
}

#[tokio::test]
async fn grants_for_three_thousand_rooms_work_on_every_transport() {
    let server = guarded(Vec::new());
    let rooms: Vec<String> = (0..3_000)
        .map(|number| format!("room/{number}/with-a-long-name"))
        .collect();
    let names: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let token = token_of("ann", &names);
    let body = json!({"token": token}).to_string();
    // Such a token is too long for a header on the way.
    let answer = server.wire.post("/session", "application/json", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let key = answer.json()["key"].as_str().unwrap().to_owned();
    assert!(key.len() < 600, "{} characters", key.len());
    for via in Via::ALL {
        let mut reader = server
            .wire
            .open(via, &Ask::of([names[2_999]]).session(&key).since("now"))
            .await;
        reader.expect_type("hello").await;
        let path = format!("/pub/{}?{}", names[2_999], query("session", &key));
        let answer = server.wire.post(&path, "text/plain", "x").await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(reader.expect_type("event").await["from"], "ann");
    }
    let answer = server
        .wire
        .get(&format!(
            "/history/room/3000/with-a-long-name?{}",
            query("session", &key)
        ))
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_back_end_publishes_by_its_key_alone_without_a_rate_and_on_behalf_of_a_user() {
    let server = guarded_with(vec![rule("news", Anyone, BackEnd)], |builder| {
        builder.broker.rate = Some(triway::Rate {
            per_second: 1.0,
            burst: 1.0,
        });
    });
    let wire = &server.wire;
    let mut reader = wire.open(Via::Sse, &Ask::of(["news"])).await;
    reader.expect_type("hello").await;
    for number in 0..20 {
        let answer = ask_as(wire, PUBLISHER, "POST", "/pub/news", &number.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let event = reader.expect_type("event").await;
        assert_eq!(event.get("from"), None, "{event}");
    }
    let answer = ask_as(wire, PUBLISHER, "POST", "/pub/news?from=bob", "x").await;
    assert_eq!(answer.status, 201);
    assert_eq!(reader.expect_type("event").await["from"], "bob");
    // A key of another scope, and a user, may not.
    assert_eq!(
        outcome(&ask_as(wire, READER, "POST", "/pub/news", "x").await),
        (403, "forbidden".into())
    );
    let ann = token_of("ann", &["*"]);
    assert_eq!(
        outcome(&ask_as(wire, &ann, "POST", "/pub/lobby?from=bob", "x").await),
        (403, "forbidden".into())
    );
    assert_eq!(
        outcome(&ask_as(wire, PUBLISHER, "GET", "/history/news", "").await),
        (403, "forbidden".into())
    );
    assert_eq!(
        ask_as(wire, READER, "GET", "/history/news", "")
            .await
            .status,
        200
    );
    // Several channels in one request.
    let commands = json!([
        {"type": "publish", "channel": "a", "data": 1},
        {"type": "publish", "channel": "b", "data": 2},
        {"type": "publish", "channel": "@bob", "data": 3},
    ]);
    let replies = ask_as(wire, PUBLISHER, "POST", "/send", &commands.to_string())
        .await
        .json();
    assert!(
        replies
            .as_array()
            .unwrap()
            .iter()
            .all(|reply| reply["ok"] == true),
        "{replies}"
    );
}

#[tokio::test]
async fn an_atomic_request_publishes_all_or_nothing() {
    let server = guarded(vec![rule("closed", Nobody, Nobody)]);
    let wire = &server.wire;
    let publish =
        |channel: &str, data: Value| json!({"type": "publish", "channel": channel, "data": data});
    let send = |token: String, commands: Value| async move {
        ask_as(
            wire,
            &token,
            "POST",
            "/send?atomic=1",
            &commands.to_string(),
        )
        .await
    };
    let good = publish("a", json!(1));
    for (bad, code) in [
        (publish("closed", json!(1)), "forbidden"),
        (publish("b", json!("x".repeat(65_537))), "too_large"),
        (publish("b,c", json!(1)), "bad_channel"),
        (json!({"type": "ping"}), "bad_command"),
        (json!({"type": "nonsense"}), "bad_command"),
    ] {
        let answer = send(PUBLISHER.into(), json!([good, good, bad])).await;
        assert_eq!(outcome(&answer).1, code, "{bad}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("command 2: "), "{detail}");
    }
    let answer = send(token_of("ann", &["*"]), json!([good])).await;
    assert_eq!(outcome(&answer), (403, "forbidden".into()));
    let none = ask_as(wire, READER, "GET", "/history/a", "").await.json();
    assert_eq!(none["frames"], json!([]), "nothing was published");
    let replies = send(PUBLISHER.into(), json!([good, publish("b", json!(2))]))
        .await
        .json();
    assert!(
        replies
            .as_array()
            .unwrap()
            .iter()
            .all(|reply| reply["ok"] == true),
        "{replies}"
    );
}
