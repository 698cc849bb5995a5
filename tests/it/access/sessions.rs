//! Session keys: what they open, and how they end.

use serde_json::json;
use triway::Audience::Anyone;

use super::*;
use crate::support::until;

#[tokio::test]
async fn a_session_key_opens_streams_without_the_credential() {
    let server = guarded(Vec::new());
    let key = session_key(&server.wire, &token_of("ann", &["room/*"])).await;
    for via in Via::ALL {
        let mut reader = server
            .wire
            .open(via, &Ask::of(["room/1", "@"]).session(&key))
            .await;
        let hello = reader.expect_type("hello").await;
        assert_eq!(hello["session"]["user"], "ann", "{hello}");
        assert_eq!(hello["channels"].as_array().unwrap().len(), 3, "{hello}");
    }
    for channel in ["lobby", "rooms/1"] {
        let answer = server
            .wire
            .get(&format!(
                "/poll/{channel}?wait=0&{}",
                query("session", &key)
            ))
            .await;
        assert_eq!(outcome(&answer), (403, "forbidden".into()), "{channel}");
    }
}

#[tokio::test]
async fn a_key_that_was_changed_or_signed_by_another_secret_begins_no_anonymous_session() {
    let server = guarded(vec![rule("open", Anyone, Anyone)]);
    let other = guarded(vec![rule("open", Anyone, Anyone)]);
    let token = token_of("ann", &["room/*"]);
    let key = session_key(&server.wire, &token).await;
    let foreign = session_key(&other.wire, &token).await;
    let mut changed = key.clone();
    changed.replace_range(3..4, if &key[3..4] == "A" { "B" } else { "A" });
    for bad in [
        changed.as_str(),
        foreign.as_str(),
        "nonsense",
        &key[..key.len() - 1],
    ] {
        for via in Via::ALL {
            for ask in [
                Ask::of(["open"]).session(bad),
                reading("open", &token).session(bad),
            ] {
                assert_eq!(
                    refused(&server.wire, via, &ask).await,
                    "session_expired",
                    "{via:?}"
                );
            }
        }
        let answer = server
            .wire
            .post(
                &format!("/pub/open?{}", query("session", bad)),
                "text/plain",
                "x",
            )
            .await;
        assert_eq!(outcome(&answer), (401, "session_expired".into()));
    }
}

#[tokio::test]
async fn an_ended_key_beside_a_good_credential_of_the_same_user_keeps_the_session() {
    let server = guarded(vec![rule("open", Anyone, Anyone)]);
    let short = token(&json!({"exp": now_s() + 2, "triway": {"read": ["room/*"]}}));
    let answer = ask_as(&server.wire, &short, "POST", "/session", "")
        .await
        .json();
    let (id, key) = (
        answer["id"].as_str().unwrap(),
        answer["key"].as_str().unwrap(),
    );
    assert!(
        answer["expires"].as_u64().unwrap() <= now_s() + 2,
        "no longer than the credential: {answer}"
    );
    let ended = format!("/poll/open?wait=0&{}", query("session", key));
    until("the end of the key", async || {
        server.wire.get(&ended).await.status == 401
    })
    .await;
    let answer = server.wire.get(&ended).await;
    assert_eq!(
        outcome(&answer),
        (401, "session_expired".into()),
        "it becomes no anonymous session"
    );
    let ann = token_of("ann", &["room/*"]);
    let bob = token_of("bob", &["room/*"]);
    for via in Via::ALL {
        let mut reader = server
            .wire
            .open(via, &reading("room/1", &ann).session(key))
            .await;
        assert_eq!(
            reader.expect_type("hello").await["session"]["id"],
            id,
            "{via:?}"
        );
        let ask = reading("room/1", &bob).session(key);
        assert_eq!(refused(&server.wire, via, &ask).await, "session_expired");
    }
}

#[tokio::test]
async fn a_poll_whose_key_has_passed_half_its_life_gets_a_new_one() {
    let server = guarded(Vec::new());
    let of = |seconds: u64| token(&json!({"exp": now_s() + seconds, "triway": {"read": ["*"]}}));
    let first = ask_as(&server.wire, &of(60), "GET", "/poll/a?wait=0", "")
        .await
        .json();
    let hello = &first["frames"][0];
    assert_eq!(hello["session"]["expires_in"], 60, "{hello}");
    let (cursor, key) = (
        first["cursor"].as_str().unwrap(),
        hello["session"]["key"].as_str().unwrap(),
    );
    let path = format!("/poll/a?wait=0&since={cursor}&{}", query("session", key));
    for (seconds, is_renewed) in [(60, false), (100, false), (125, true), (3_600, true)] {
        let answer = ask_as(&server.wire, &of(seconds), "GET", &path, "")
            .await
            .json();
        let has_hello = answer["frames"][0]["type"] == "hello";
        assert_eq!(has_hello, is_renewed, "{seconds}: {answer}");
    }
    let alone = server.wire.get(&path).await.json();
    assert_eq!(
        alone["frames"],
        json!([]),
        "a key alone lives no longer than its credential: {alone}"
    );
}

#[tokio::test]
async fn a_session_gets_a_new_key_with_the_grants_of_a_new_credential() {
    let server = guarded(Vec::new());
    let first = ask_as(
        &server.wire,
        &token_of("ann", &["old"]),
        "POST",
        "/session",
        "",
    )
    .await
    .json();
    let path = format!(
        "/session?{}",
        query("session", first["key"].as_str().unwrap())
    );
    let grown = ask_as(
        &server.wire,
        &token_of("ann", &["old", "new"]),
        "POST",
        &path,
        "",
    )
    .await;
    assert_eq!(grown.status, 201, "{}", grown.text());
    let grown = grown.json();
    assert_eq!(grown["id"], first["id"]);
    let history = format!(
        "/history/new?{}",
        query("session", grown["key"].as_str().unwrap())
    );
    assert_eq!(server.wire.get(&history).await.status, 200);
    let other = ask_as(&server.wire, &token_of("bob", &[]), "POST", &path, "").await;
    assert_eq!(outcome(&other), (403, "forbidden".into()));
    let answer = server
        .wire
        .post(
            "/session?nonce=n1",
            "application/json",
            r#"{"token":"a.b.c"}"#,
        )
        .await;
    assert_eq!(
        (
            answer.json()["nonce"].as_str(),
            answer.json()["credential"].as_str()
        ),
        (Some("n1"), Some("body"))
    );
}

#[tokio::test]
async fn a_logout_ends_the_session_and_its_readers() {
    let server = guarded(Vec::new());
    let key = session_key(&server.wire, &token_of("ann", &["room/*"])).await;
    let mut readers = Vec::new();
    for via in Via::ALL {
        let mut reader = server
            .wire
            .open(via, &Ask::of(["room/1"]).session(&key))
            .await;
        reader.expect_type("hello").await;
        readers.push(reader);
    }
    let path = format!("/session?{}", query("session", &key));
    let answer = server.wire.ask(server.wire.request("DELETE", &path)).await;
    assert_eq!(answer.status, 204);
    for mut reader in readers {
        let (frames, end) = reader.expect_end().await;
        // A chain of polls ends with the refusal of its next poll, if it did not wait.
        let is_refused = matches!(end, End::Refused(401, _));
        assert!(
            is_refused || frames.last().unwrap()["type"] == "bye",
            "{end:?}"
        );
    }
    let answer = server.wire.ask(server.wire.request("DELETE", &path)).await;
    assert_eq!(outcome(&answer), (401, "session_expired".into()));
    let answer = server
        .wire
        .get(&format!("/poll/room/1?wait=0&{}", query("session", &key)))
        .await;
    assert_eq!(outcome(&answer), (401, "session_expired".into()));
    let answer = server
        .wire
        .ask(server.wire.request("DELETE", "/session"))
        .await;
    assert_eq!(outcome(&answer), (400, "bad_parameter".into()));
}

/// Closes a WebSocket as a page does that is left.
async fn close(mut reader: crate::support::Reader) {
    let close = tokio_tungstenite::tungstenite::Message::Close(None);
    reader.send_raw(close).await.unwrap();
    reader.expect_end().await;
}

#[tokio::test]
async fn two_tabs_of_a_user_are_one_member_with_two_connections() {
    let server = guarded(Vec::new());
    let wire = &server.wire;
    let of = |user: &str, info: &str| {
        let access = json!({"read": ["room/*"], "info": {"name": info}});
        token(&json!({"sub": user, "triway": access}))
    };
    let open = async |via, token: &str| {
        let ask = reading("room/1", token)
            .with("presence", 1)
            .with("info", "\"mine\"");
        let mut reader = wire.open(via, &ask).await;
        reader.expect_type("hello").await;
        reader
    };
    let members = async || {
        ask_as(wire, READER, "GET", "/presence/room/1", "")
            .await
            .json()
    };
    let ann = of("ann", "Ann");
    let first = open(Via::Ws, &ann).await;
    let second = open(Via::Sse, &ann).await;
    let bob = open(Via::Ws, &of("bob", "Bob")).await;
    let listed = members().await;
    assert_eq!(listed["count"], 2, "{listed}");
    let [ann, bobs] = [&listed["members"][0], &listed["members"][1]];
    assert_eq!(
        (&ann["id"], &ann["connections"], &ann["info"]["name"]),
        (&json!("ann"), &json!(2), &json!("Ann"))
    );
    assert_eq!(
        (&bobs["id"], &bobs["connections"]),
        (&json!("bob"), &json!(1))
    );
    close(first).await;
    until("one connection is left", async || {
        members().await["members"][0]["connections"] == 1
    })
    .await;
    drop(second);
    close(bob).await;
    until("bob has left", async || members().await["count"] == 1).await;
    let moves = wire
        .ask(
            wire.request("GET", "/history/%24presence/room/1")
                .bearer_auth(READER),
        )
        .await
        .json();
    let moves: Vec<String> = moves["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| {
            format!(
                "{} {}",
                frame["name"].as_str().unwrap(),
                frame["data"]["id"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        moves,
        ["join ann", "join bob", "leave bob"],
        "the grace period of ann runs"
    );
}

#[tokio::test]
async fn a_key_from_a_time_without_credentials_opens_nothing_once_there_are_some() {
    let secret = b"one secret of both hubs";
    let open = Server::with(|builder| *builder = std::mem::take(builder).secret(secret));
    let begun = open.wire.post("/session", "", "").await.json();
    let key = query("session", begun["key"].as_str().unwrap());
    let server = guarded_with(vec![rule("open", Anyone, Anyone)], |builder| {
        *builder = std::mem::take(builder).secret(secret);
    });
    for (path, status) in [
        ("/history/a", 403),
        ("/poll/a?wait=0", 403),
        ("/history/open", 200),
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let answer = server.wire.get(&format!("{path}{mark}{key}")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    let answer = server.wire.post(&format!("/pub/a?{key}"), "", "x").await;
    assert_eq!(answer.status, 403, "{}", answer.text());
}
