//! Sessions over the wire: keys that are forged, expired or of another user, and the fifth attachment.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use triway::Data;
use triway::Item;
use triway::Since;
use triway::internal::{Signer, session_id};
use triway::{Grants, Reach};

use super::exact_bytes::{Server, Wire, get, post, session_of};
use super::refusals::assert_refused;
use super::ws_client::{Ws, text};

const SECRET: &[u8] = b"a secret of these stories";

fn now_s() -> u64 {
    triway::internal::now_ms() / 1_000
}

/// Starts a hub with a known secret. It accepts the tokens `ann` and `bob` for these users.
fn server() -> Server {
    Server::built(|builder, _| {
        builder
            .secret(SECRET)
            .authorize(|asked| async move {
                match asked.token {
                    Some(user) => Grants::everything().with_user(&user).map(Some),
                    None => Ok(None),
                }
            })
            .anonymous(Some(Grants::everything()))
    })
}

/// Returns when the events of the channel `a` were published, in milliseconds since 1970.
async fn events_of(server: &Server) -> Vec<u64> {
    let mut feed = server.hub.feed(&["a"], Since::All).unwrap();
    server.hub.publish("a", Data::text("last")).await.unwrap();
    let mut times = Vec::new();
    while let Some(Item::Event(event)) = feed.next().await {
        if event.data == Data::text("last") {
            break;
        }
        times.push(event.time_ms);
    }
    times
}

async fn hello(server: &Server, target: &str, token: &str) -> Value {
    let request = get(target).replace("Host:", &format!("Authorization: Bearer {token}\r\nHost:"));
    server.ask(request).await.json()["frames"][0].clone()
}

#[tokio::test]
async fn a_session_continues_with_its_key_and_each_hello_renews_it() {
    let server = Server::start();
    let first = server.get("/poll/a?nonce=n1").await.json();
    let hello = &first["frames"][0];
    assert_eq!(
        (&hello["type"], &hello["nonce"], &hello["magic"]),
        (&json!("hello"), &json!("n1"), &json!("triway/1"))
    );
    let (id, key) = session_of(hello);
    assert!(id.len() == 26 && id.starts_with('s'), "{id}");
    let expires = hello["session"]["expires"].as_u64().unwrap();
    assert!(
        (now_s() + 3_500..=now_s() + 3_600).contains(&expires),
        "an hour: {expires}"
    );
    let mut ws = Ws::open(&server, &format!("/ws/a?session={key}")).await;
    let (again, renewed) = session_of(&ws.json().await);
    assert_eq!(again, id);
    let mut sse = server
        .send(get(&format!("/sse/a?format=full&session={renewed}")))
        .await;
    sse.head().await;
    assert_eq!(session_of(&sse.block_json().await).0, id);
}

#[tokio::test]
async fn hello_names_the_user_of_its_session() {
    let server = server();
    let key = session_of(&hello(&server, "/poll/a", "ann").await).1;
    // On every transport, the key alone identifies the user.
    let poll = server.get(&format!("/poll/a?session={key}")).await.json();
    let mut sse = server
        .send(get(&format!("/sse/a?format=full&session={key}")))
        .await;
    sse.head().await;
    let mut ws = Ws::open(&server, &format!("/ws/a?session={key}")).await;
    for hello in [
        poll["frames"][0].clone(),
        sse.block_json().await,
        ws.json().await,
    ] {
        assert_eq!(hello["session"]["user"], "ann", "{hello}");
    }
    let nobody = server.get("/poll/a").await.json()["frames"][0].clone();
    assert_eq!(nobody["session"].get("user"), None, "{nobody}");
}

#[tokio::test]
async fn a_reader_with_a_forged_or_expired_key_gets_a_new_session() {
    let server = Server::built(|builder, _| builder.secret(SECRET));
    let (id, key) = session_of(&server.get("/poll/a").await.json()["frames"][0]);
    let over = Signer::new(SECRET)
        .sign(&session_id([7; 16]), &Grants::everything(), now_s() - 3_600)
        .0;
    let foreign = Signer::new(b"another secret")
        .sign(&session_id([7; 16]), &Grants::everything(), now_s())
        .0;
    let mut flipped = key.clone().into_bytes();
    flipped[10] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    let cut = &key[..key.len() - 1];
    let long = format!("{key}{}", "x".repeat(8_000));
    for bad in [
        "nonsense", ".", "a.b", &over, &foreign, &flipped, cut, &long,
    ] {
        let (new, _) =
            session_of(&server.get(&format!("/poll/a?session={bad}")).await.json()["frames"][0]);
        assert_ne!(new, id, "{bad}");
        for answer in [
            server
                .post(&format!("/pub/a?session={bad}"), "text/plain", "x")
                .await,
            server
                .post(&format!("/send?session={bad}"), "text/plain", "[]")
                .await,
            server.get(&format!("/history/a?session={bad}")).await,
        ] {
            assert_refused(&answer, 401, "session_expired");
        }
        // A poll with an invalid key is not held, even with a cursor: it gets its hello at once.
        let answer = server
            .get(&format!("/poll/a?session={bad}&since=k-1&wait=60"))
            .await
            .json();
        assert_eq!(answer["frames"][0]["type"], "hello", "{answer}");
    }
}

#[tokio::test]
async fn a_key_signed_by_another_node_with_the_same_secret_is_valid() {
    let server = server();
    let id = session_id([9; 16]);
    let grants = Grants::everything().with_user("ann").unwrap();
    let (key, _) = Signer::new(SECRET).sign(&id, &grants, now_s());
    let answer = server
        .post(&format!("/pub/a?session={key}"), "text/plain", "x")
        .await;
    assert_eq!(answer.status, 201);
    let event = &server.get("/history/a").await.json()["frames"][0];
    assert_eq!(event["from"], "ann", "the user before the session");
    let hello = &server.get(&format!("/poll/a,@?session={key}")).await.json()["frames"][0];
    assert_eq!(session_of(hello).0, *id);
    assert_eq!(hello["channels"], json!(["a", format!("@{id}"), "@ann"]));
}

#[tokio::test]
async fn a_credential_wins_over_the_key_and_must_be_of_the_same_user() {
    let server = server();
    let (_, key) = session_of(&hello(&server, "/poll/a", "ann").await);
    let target = format!("/poll/a?session={key}");
    assert_eq!(hello(&server, &target, "ann").await["type"], "hello");
    for request in [
        get(&target)
            .replace("Host:", "Authorization: Bearer bob\r\nHost:")
            .into_bytes(),
        post(
            &format!("/pub/a?session={key}"),
            &[("Authorization", "Bearer bob")],
            b"x",
        ),
        post(
            &format!("/send?session={key}"),
            &[("Authorization", "Bearer bob")],
            b"[]",
        ),
    ] {
        assert_refused(&server.ask(request).await, 403, "forbidden");
    }
    let (_, anonymous) = session_of(&server.get("/poll/a").await.json()["frames"][0]);
    let taken = get(&format!("/poll/a?session={anonymous}"))
        .replace("Host:", "Authorization: Bearer bob\r\nHost:");
    assert_refused(&server.ask(taken).await, 403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_end_in_time_on_every_transport() {
    let server = Server::built(|builder, _| {
        builder.authorize(|_| async { Ok(Some(Grants::everything().until(now_s() + 2))) })
    });
    // A constantly busy channel must not keep the stream open.
    let busy = server.hub.clone();
    let publishing = tokio::spawn(async move {
        loop {
            let _ = busy.publish("a", Data::text("x")).await;
            tokio::task::yield_now().await;
        }
    });
    let mut ws = Ws::open(&server, "/ws/a").await;
    let key = session_of(&ws.json().await).1;
    let mut sse = server.send(get("/sse/a?format=full")).await;
    sse.head().await;
    let (code, reason, _) = ws.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3003), "expired"));
    sse.until("\"type\":\"bye\",\"code\":3003").await;
    publishing.abort();
    let over = server.get(&format!("/poll/a?session={key}")).await;
    assert_eq!(over.status, 200, "the hook grants anew");
    assert_refused(
        &server
            .post(&format!("/pub/a?session={key}"), "text/plain", "x")
            .await,
        401,
        "session_expired",
    );
}

#[tokio::test]
async fn expired_grants_allow_nothing_on_any_transport() {
    for until_s in [0, now_s() - 1, now_s()] {
        let server = Server::built(|builder, _| {
            builder
                .secret(SECRET)
                .authorize(move |_| async move { Ok(Some(Grants::everything().until(until_s))) })
        });
        let id = session_id([7; 16]);
        let key = Signer::new(SECRET)
            .sign(&id, &Grants::everything(), now_s())
            .0;
        for with in [String::new(), format!("session={key}")] {
            for target in ["/pub/a?", "/send?"] {
                let answer = server.post(&format!("{target}{with}"), "", "[]").await;
                assert_refused(&answer, 401, "unauthorized");
            }
            for target in ["/history/a?", "/presence/a?", "/poll/a?", "/sse/a?"] {
                let answer = server.get(&format!("{target}{with}")).await;
                assert_refused(&answer, 401, "unauthorized");
            }
            let mut ws = Ws::open(&server, &format!("/ws/a?{with}")).await;
            assert_eq!(ws.until_close().await.0, Some(3501));
        }
        assert!(events_of(&server).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_after_the_expiry_of_grants_are_refused() {
    let end_s = now_s() + 2;
    let server = Server::built(move |builder, _| {
        builder.authorize(move |_| async move { Ok(Some(Grants::everything().until(end_s))) })
    });
    let mut ws = Ws::open(&server, "/ws/a").await;
    ws.json().await;
    // Commands arrive without a pause until after the expiry.
    let command = text(r#"{"type":"publish","channel":"a","data":1}"#);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while ws.wire.try_send(&command).await && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if now_s() > end_s + 3 {
            break;
        }
    }
    let times: Vec<u64> = events_of(&server).await;
    assert!(!times.is_empty());
    assert!(
        times.iter().all(|time_ms| time_ms / 1_000 < end_s),
        "{times:?}"
    );
}

#[tokio::test]
async fn grants_for_many_rooms_work_on_every_transport() {
    for count in [1, 40, 300, 5_000] {
        let rooms = move || -> Vec<String> { (0..count).map(|n| format!("room/{n}")).collect() };
        let grants = move || Grants::new(Reach::Some(rooms()), Reach::Some(rooms()));
        let server = Server::built(move |builder, _| {
            builder
                .secret(SECRET)
                .authorize(move |asked| async move { Ok(asked.token.map(|_| grants())) })
        });
        for target in ["/poll/room/0", "/sse/room/0?format=full"] {
            let request = get(target).replace("Host:", "Authorization: Bearer t\r\nHost:");
            let mut wire = server.send(request).await;
            let hello = if target.starts_with("/poll") {
                wire.answer().await.json()["frames"][0].clone()
            } else {
                wire.head().await;
                wire.block_json().await
            };
            let (id, key) = session_of(&hello);
            assert!(key.len() < 2_000, "{count}: {} bytes", key.len());
            let command = format!(
                r#"[{{"type":"publish","channel":"room/0","data":1,"key":"{id}:1"}},{{"type":"publish","channel":"other","data":1}}]"#
            );
            let replies = server
                .post(&format!("/send?session={key}"), "", command)
                .await
                .json();
            assert_eq!(replies[0]["ok"], true, "{count} {target}: {replies}");
            assert_eq!(replies[1]["error"]["code"], "forbidden");
            let answer = server.get(&format!("/history/room/0?session={key}")).await;
            assert_eq!(answer.status, 200);
            // Another node finds small grants in the key. For large grants it requires the credential.
            let other = Server::built(|builder, _| {
                builder
                    .secret(SECRET)
                    .authorize(|asked| async move { Ok(asked.token.map(|_| Grants::everything())) })
            });
            let answer = other.get(&format!("/history/room/0?session={key}")).await;
            if count < 40 {
                assert_eq!(answer.status, 200, "{count}");
            } else if count > 40 {
                assert_refused(&answer, 401, "session_expired");
                let answer = other.get(&format!("/poll/room/0?session={key}")).await;
                assert_refused(&answer, 401, "session_expired");
                let again = get(&format!("/poll/room/0?session={key}"));
                let again = again.replace("Host:", "Authorization: Bearer t\r\nHost:");
                let hello = other.ask(again).await.json()["frames"][0].clone();
                assert_eq!(session_of(&hello).0, id, "with the credential it goes on");
            }
        }
    }
}

#[tokio::test]
async fn a_fifth_attachment_ends_the_oldest() {
    let server = Server::start();
    let mut first = Ws::open(&server, "/ws/a").await;
    let (id, key) = session_of(&first.json().await);
    let mut second = Ws::open(&server, &format!("/ws/b?session={key}")).await;
    second.json().await;
    let mut streams: Vec<Wire> = Vec::new();
    for _ in 0..2 {
        let mut sse = server
            .send(get(&format!("/sse/a?format=full&session={key}")))
            .await;
        sse.head().await;
        assert_eq!(session_of(&sse.block_json().await).0, id);
        streams.push(sse);
    }
    let mut fifth = Ws::open(&server, &format!("/ws/a?session={key}")).await;
    fifth.json().await;
    let (code, reason, before) = first.until_close().await;
    assert_eq!((code, reason.as_str()), (Some(3504), "newer"));
    let bye = before.last().unwrap().json();
    assert_eq!(
        (&bye["type"], &bye["reconnect"]),
        (&json!("bye"), &json!(false))
    );
    assert_eq!(
        second.command(json!({"type": "ping"})).await["ok"],
        true,
        "only the oldest"
    );
    let mut sixth = Ws::open(&server, &format!("/ws/a?session={key}&format=data")).await;
    assert_eq!(second.until_close().await.0, Some(3504));
    let _seventh = Ws::open(&server, &format!("/ws/a?session={key}")).await;
    let bye = streams[0].block_json().await;
    assert_eq!(
        (&bye["type"], &bye["code"]),
        (&json!("bye"), &json!(3504)),
        "a stream is told too"
    );
    server.publish("a", "x").await;
    assert_eq!(sixth.frame().await.payload, b"x");
    // A closed attachment makes room for another.
    drop(fifth);
    super::exact_bytes::eventually("three attaches", async || {
        server.metric("triway_readers{transport=\"ws\"}").await <= 2.0
    })
    .await;
    let _eighth = Ws::open(&server, &format!("/ws/a?session={key}")).await;
    assert_eq!(sixth.pong(b"alive").await, b"alive");
}

#[tokio::test]
async fn an_inbox_is_read_only_by_its_owner() {
    let server = server();
    let ann = hello(&server, "/poll/@", "ann").await;
    let (id, key) = session_of(&ann);
    assert_eq!(ann["channels"], json!([format!("@{id}"), "@ann"]));
    for target in [
        format!("/poll/@{id}"),
        "/poll/@ann".into(),
        format!("/history/@{id}"),
        "/presence/@ann".into(),
        "/poll/$presence/@ann".into(),
    ] {
        assert_refused(&server.get(&target).await, 403, "forbidden");
        let own = format!("{target}?session={key}");
        assert_eq!(server.get(&own).await.status, 200, "{own}");
    }
    server.publish(&format!("@{id}"), "to the session").await;
    server.publish("@ann", "to the user").await;
    let answer = server
        .get(&format!("/poll/@?since=all&session={key}"))
        .await
        .json();
    let told: Vec<_> = answer["frames"].as_array().unwrap()[1..]
        .iter()
        .map(|event| (event["channel"].clone(), event["data"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!(format!("@{id}")), json!("to the session")),
            (json!("@ann"), json!("to the user"))
        ]
    );
}

#[tokio::test]
async fn grants_with_a_huge_expiry_are_valid() {
    for end in [u64::MAX, u64::MAX / 1_000, 1 << 62] {
        let server = Server::built(|builder, _| {
            builder.authorize(move |_| async move { Ok(Some(Grants::everything().until(end))) })
        });
        let mut ws = Ws::open(&server, "/ws/a").await;
        assert_eq!(ws.json().await["type"], "hello", "{end}");
        server.publish("a", "x").await;
        assert_eq!(ws.json().await["data"], "x");
    }
}
