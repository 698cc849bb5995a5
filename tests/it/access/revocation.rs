//! Revocation: open readers end, and everything that was issued before is refused.

use std::time::{Duration, Instant};

use serde_json::json;
use triway::Audience::Anyone;

use super::*;
use crate::support::Reader;

/// Within this time, readers end after a revocation.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

async fn readers(wire: &Wire, token: &str) -> Vec<Reader> {
    let mut readers = Vec::new();
    for via in Via::ALL {
        let mut reader = wire.open(via, &reading("room/1", token)).await;
        reader.expect_type("hello").await;
        readers.push(reader);
    }
    readers
}

async fn revoke(wire: &Wire, body: &Value) -> Value {
    let answer = ask_as(wire, ADMIN, "POST", "/revoke", &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until a reader is ended as one without a right to come back.
async fn is_ended(mut reader: Reader) {
    let (frames, end) = reader.expect_end().await;
    // A chain of polls ends with the refusal of its next poll, if it did not wait.
    if matches!(end, End::Refused(401, _)) {
        return;
    }
    let bye = frames.last().unwrap();
    assert_eq!(
        (&bye["code"], &bye["reconnect"]),
        (&json!(3501), &json!(false)),
        "{bye}"
    );
}

/// Every way to use what was issued to the client.
async fn is_refused_everywhere(wire: &Wire, token: &str, keys: &[String]) {
    for path in [
        "/poll/room/1?wait=0",
        "/history/room/1",
        "/presence/room/1",
        "/sse/room/1",
    ] {
        let answer = ask_as(wire, token, "GET", path, "").await;
        assert_eq!(outcome(&answer), (401, "unauthorized".into()), "{path}");
        for key in keys {
            let mark = if path.contains('?') { '&' } else { '?' };
            let answer = wire
                .get(&format!("{path}{mark}{}", query("session", key)))
                .await;
            assert_eq!(
                answer.status,
                401,
                "{path} by a session key: {}",
                answer.text()
            );
        }
    }
    assert_eq!(
        ask_as(wire, token, "POST", "/pub/room/1", "x").await.status,
        401
    );
    assert_eq!(
        ask_as(wire, token, "POST", "/session", "").await.status,
        401
    );
    for via in Via::ALL {
        assert_eq!(
            refused(wire, via, &reading("room/1", token)).await,
            "unauthorized"
        );
    }
}

#[tokio::test]
async fn a_revoked_user_ends_on_every_transport_and_is_refused_with_everything_older() {
    let server = guarded(vec![rule("open", Anyone, Anyone)]);
    let wire = &server.wire;
    let issued = json!({"iat": now_s() - 1, "triway": {"read": ["room/*"], "publish": ["room/*"]}});
    let (ann, undated) = (token(&issued), {
        let mut claims = issued.clone();
        claims["iat"] = json!(now_s() - 1);
        token(&claims)
    });
    let bob = token_of("bob", &["room/*"]);
    let (anns, mut bobs) = (readers(wire, &ann).await, readers(wire, &bob).await);
    let mut keys: Vec<String> = anns
        .iter()
        .filter_map(|reader| reader.session_key.clone())
        .collect();
    keys.push(session_key(wire, &undated).await);
    let began = Instant::now();
    let answer = revoke(wire, &json!({"user": "ann"})).await;
    assert_eq!(answer["ended"], 4, "{answer}");
    assert!(
        answer["until"].as_u64().unwrap() >= now_s() + 29 * 86_400,
        "{answer}"
    );
    for reader in anns {
        is_ended(reader).await;
    }
    assert!(began.elapsed() < ENDED_WITHIN, "{:?}", began.elapsed());
    is_refused_everywhere(wire, &ann, &keys).await;
    // Others are not concerned, and neither is a credential that was issued later.
    for reader in &mut bobs {
        server
            .hub
            .publish("room/1", triway::Data::text("x"))
            .await
            .unwrap();
        reader.expect_type("event").await;
    }
    let newer = json!({"iat": now_s() + 1, "triway": {"read": ["room/*"]}});
    assert_eq!(
        ask_as(wire, &token(&newer), "GET", "/history/room/1", "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn one_credential_and_one_session_are_revoked_alone() {
    let server = guarded(Vec::new());
    let wire = &server.wire;
    let with_id = |id: &str| {
        token(&json!({"jti": id, "triway": {"read": ["room/*"], "publish": ["room/*"]}}))
    };
    let (lost, kept) = (with_id("lost"), with_id("kept"));
    let key = session_key(wire, &lost).await;
    let (losts, mut kepts) = (readers(wire, &lost).await, readers(wire, &kept).await);
    let ended = revoke(wire, &json!({"jti": "lost"})).await["ended"].as_u64();
    // Between two polls nothing is open.
    assert!(matches!(ended, Some(2 | 3)), "{ended:?}");
    for reader in losts {
        is_ended(reader).await;
    }
    is_refused_everywhere(wire, &lost, &[key]).await;
    for reader in &mut kepts {
        server
            .hub
            .publish("room/1", triway::Data::text("x"))
            .await
            .unwrap();
        reader.expect_type("event").await;
    }
    let mut ended = kepts.remove(0);
    let id = ended.session_id.clone().unwrap();
    assert_eq!(revoke(wire, &json!({"session": id})).await["ended"], 1);
    ended.expect_end().await;
    let key = ended.session_key.clone().unwrap();
    let answer = wire
        .get(&format!("/poll/room/1?wait=0&{}", query("session", &key)))
        .await;
    assert_eq!(outcome(&answer), (401, "session_expired".into()));
    assert_eq!(
        ask_as(wire, &kept, "GET", "/history/room/1", "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_api_key_that_is_removed_ends_what_was_made_from_it() {
    let keys = api_keys();
    let server = guarded_with(Vec::new(), |builder| {
        *builder = std::mem::take(builder).api_keys(keys.clone());
    });
    let wire = &server.wire;
    let kept = session_key(wire, PUBLISHER).await;
    let lost = session_key(wire, READER).await;
    let open = readers(wire, READER).await;
    let publisher = api_key(PUBLISHER, KeyScope::Publish);
    let gone = keys.replace(vec![publisher.clone()]);
    assert_eq!(gone.len(), 2, "reader and admin: {gone:?}");
    for id in gone {
        server.hub.revoke_credential(&id);
    }
    for reader in open {
        is_ended(reader).await;
    }
    is_refused_everywhere(wire, READER, &[lost]).await;

    let path = format!("/pub/room/1?{}", query("session", &kept));
    assert_eq!(wire.post(&path, "text/plain", "x").await.status, 201);
    // The same key may come back, as after a mistake. What it opened before does not.
    assert!(
        keys.replace(vec![publisher, api_key(READER, KeyScope::Read)])
            .is_empty()
    );
    session_key(wire, READER).await;
}

#[tokio::test]
async fn only_an_admin_revokes_and_a_wrong_body_is_refused_in_words() {
    let server = guarded(Vec::new());
    let wire = &server.wire;
    let body = r#"{"user":"ann"}"#;
    for (token, status) in [
        (PUBLISHER, 403),
        (READER, 403),
        ("twk_x", 401),
        (&*token_of("ann", &["*"]), 401),
    ] {
        let answer = ask_as(wire, token, "POST", "/revoke", body).await;
        assert_eq!(answer.status, status, "{token}: {}", answer.text());
    }
    assert_eq!(
        wire.post("/revoke", "application/json", body).await.status,
        401
    );
    for body in [
        "",
        "{}",
        "[]",
        r#"{"users":"ann"}"#,
        r#"{"user":7}"#,
        r#"{"user":"a","jti":"b"}"#,
    ] {
        let answer = ask_as(wire, ADMIN, "POST", "/revoke", body).await;
        assert_eq!(outcome(&answer), (400, "bad_json".into()), "{body}");
    }
    assert_eq!(
        outcome(&ask_as(wire, ADMIN, "GET", "/revoke", "").await),
        (405, "method_not_allowed".into())
    );
}

#[tokio::test]
async fn a_body_that_is_held_back_does_not_outlive_a_revocation() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = guarded(Vec::new());
    let token = token(&json!({"iat": now_s() - 1, "triway": {"publish": ["*"]}}));
    let mut socket = tokio::net::TcpStream::connect(server.wire.address)
        .await
        .unwrap();
    let head = format!(
        "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhe"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // Another request of the same client shows that the hub has read that far.
    assert_eq!(
        ask_as(&server.wire, &token, "POST", "/pub/a", "x")
            .await
            .status,
        201
    );
    revoke(&server.wire, &json!({"user": "ann"})).await;
    socket.write_all(b"ld").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}
