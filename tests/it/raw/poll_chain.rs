//! Several polls on one connection: each is answered as if it had its own connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use triway::Grants;
use triway::{Code, Refusal};

use super::exact_bytes::{Server, Wire, eventually, get, in_time};

const READERS: &str = "triway_readers{transport=\"poll\"}";

async fn readers_are(server: &Server, count: f64) {
    eventually(&format!("{count} polls held"), || async {
        server.metric(READERS).await == count
    })
    .await;
}

/// Publishes a number. Returns how many polls were held at that moment.
async fn publish(server: &Server, channel: &str, number: usize) -> Value {
    let target = format!("/pub/{channel}");
    let body = number.to_string();
    let answer = server.post(&target, "application/json", body).await.json();
    answer["reached"]["poll"].clone()
}

/// Polls on this connection. The event is published while the poll is held.
async fn polled(
    server: &Server,
    wire: &mut Wire,
    target: &str,
    channel: &str,
    number: usize,
) -> Value {
    wire.send(get(target)).await;
    readers_are(server, 1.0).await;
    assert_eq!(publish(server, channel, number).await, 1);
    let answer = wire.answer().await.json();
    readers_are(server, 0.0).await;
    answer
}

fn data_of(answer: &Value) -> Vec<Value> {
    let frames = answer["frames"].as_array().unwrap();
    frames.iter().map(|frame| frame["data"].clone()).collect()
}

/// Returns the query that adds the session of a key. It is empty without a key, as in a poll by `curl`.
async fn session_of(server: &Server, has_key: bool) -> String {
    if !has_key {
        return String::new();
    }
    let (_, key) = server.session().await;
    format!("&session={key}")
}

#[tokio::test]
async fn each_repeated_poll_continues_from_its_own_cursor() {
    for has_key in [true, false] {
        for server in [Server::start(), Server::plain(|_, _| {})] {
            continues_from_its_own_cursor(server, has_key).await;
        }
    }
}

async fn continues_from_its_own_cursor(server: Server, has_key: bool) {
    let session = session_of(&server, has_key).await;
    let mut cursor = server.publish("a", "before").await;
    let first = cursor.clone();
    let mut wire = server.connect().await;
    for number in 1..=4 {
        let target = format!("/poll?channels=a&since={cursor}&nonce=n{number}{session}");
        let answer = polled(&server, &mut wire, &target, "a", number).await;
        assert_eq!(answer["nonce"], json!(format!("n{number}")));
        assert_eq!(data_of(&answer), [json!(number)]);
        cursor = answer["cursor"].as_str().unwrap().to_owned();
    }
    assert_eq!(
        publish(&server, "a", 5).await,
        0,
        "none is held between two"
    );
    // First the start of the log, then only the event that was published between two polls. No poll is held meanwhile.
    for (since, numbers) in [(&first, vec![1, 2, 3, 4, 5]), (&cursor, vec![5])] {
        let target = format!("/poll?channels=a&since={since}&nonce=n9{session}");
        wire.send(get(&target)).await;
        assert_eq!(data_of(&wire.answer().await.json()), numbers);
    }
    // Two requests at once are answered in order.
    let two: String = [&first, &cursor]
        .map(|since| get(&format!("/poll?channels=a&since={since}&nonce=n{session}")))
        .concat();
    wire.send(two).await;
    assert_eq!(data_of(&wire.answer().await.json()).len(), 5);
    assert_eq!(data_of(&wire.answer().await.json()), [json!(5)]);
}

#[tokio::test]
async fn a_poll_with_other_parameters_is_parsed_again() {
    for has_key in [true, false] {
        for server in [Server::start(), Server::plain(|_, _| {})] {
            other_parameters_are_parsed_again(server, has_key).await;
        }
    }
}

async fn other_parameters_are_parsed_again(server: Server, has_key: bool) {
    let session = session_of(&server, has_key).await;
    let since = server.publish("a", "before").await;
    let target = |rest: &str| format!("/poll?since={since}&nonce=n{session}{rest}");
    let mut wire = server.connect().await;
    let answer = polled(&server, &mut wire, &target("&channels=a"), "a", 1).await;
    assert_eq!(data_of(&answer), [json!(1)]);
    let other = polled(&server, &mut wire, &target("&channels=b"), "b", 2).await;
    assert_eq!(data_of(&other), [json!(2)]);
    wire.send(get(&target("&channels=a&wait=x"))).await;
    assert_eq!(wire.answer().await.code(), "bad_parameter");
    wire.send(get(&target("&channels=a"))).await;
    assert_eq!(data_of(&wire.answer().await.json()), [json!(1)]);
    let nonce = format!("/poll?since={since}&nonce=%20+{session}&channels=a");
    wire.send(get(&nonce)).await;
    assert_eq!(wire.answer().await.json()["nonce"], json!("  "));
    let foreign = get(&target("&channels=a")).replace("Host: localhost", "Host: evil.example");
    wire.send(foreign).await;
    assert_eq!(wire.answer().await.code(), "host_refused");
    let forged = format!("/poll?since={since}&nonce=n&session=forged&channels=a");
    wire.send(get(&forged)).await;
    assert_eq!(wire.answer().await.json()["frames"][0]["type"], "hello");
}

#[tokio::test]
async fn repeated_polls_keep_their_session_present() {
    let server =
        Server::with(|builder, _| builder.presence.grace = std::time::Duration::from_secs(2));
    let (id, key) = server.session().await;
    let mut since = server.publish("a", "before").await;
    let mut wire = server.connect().await;
    for number in 1..=3 {
        let target = format!("/poll?channels=a&since={since}&nonce=n&session={key}&presence=1");
        let answer = polled(&server, &mut wire, &target, "a", number).await;
        since = answer["cursor"].as_str().unwrap().to_owned();
        let members = server.get("/presence/a").await.json();
        assert_eq!(members["members"][0]["id"], json!(id), "{members}");
    }
    eventually("gone after the grace", || async {
        server.get("/presence/a").await.json()["count"] == 0
    })
    .await;
    let history = server.get("/history/$presence%2Fa?since=all").await.json();
    let told = history["frames"].as_array().unwrap();
    let told: Vec<_> = told.iter().map(|frame| frame["name"].clone()).collect();
    assert_eq!(told, ["join", "leave"], "{history}");
}

/// A session is remembered for a while, so the count shows how many there were.
#[tokio::test]
async fn polls_without_a_key_share_a_session_where_none_is_shown() {
    for (more, count) in [("", 1.0), ("&presence=1", 4.0)] {
        let server = Server::plain(|builder, _| {
            builder.presence.grace = std::time::Duration::from_secs(60);
            builder.session.sweep_idle = std::time::Duration::from_secs(60);
        });
        let mut since = server.publish("a", "before").await;
        let mut wire = server.connect().await;
        for number in 1..=4 {
            let target = format!("/poll/a?since={since}{more}");
            let answer = polled(&server, &mut wire, &target, "a", number).await;
            assert_eq!(data_of(&answer), [json!(number)], "no hello between them");
            since = answer["cursor"].as_str().unwrap().to_owned();
        }
        assert_eq!(server.metric("triway_sessions").await, count, "{more}");
        let members = server.get("/presence/a").await.json();
        let shown = if more.is_empty() { 0 } else { 4 };
        assert_eq!(members["count"], shown, "a member for each: {members}");
    }
}

/// The client knows the session of its hello, and may use it elsewhere.
#[tokio::test]
async fn polls_after_a_hello_without_its_key_belong_to_another_session() {
    for (server, count) in [
        (Server::start(), None),
        (Server::plain(|_, _| {}), Some(2.0)),
    ] {
        let mut wire = server.connect().await;
        wire.send(get("/poll/a?echo=0&since=now")).await;
        let hello = wire.answer().await.json();
        let key = hello["frames"][0]["session"]["key"].as_str().unwrap();
        let mut since = hello["cursor"].as_str().unwrap().to_owned();
        for number in 1..=3 {
            wire.send(get(&format!("/poll/a?echo=0&since={since}")))
                .await;
            readers_are(&server, 1.0).await;
            let target = format!("/pub/a?session={key}");
            let body = number.to_string();
            let published = server.post(&target, "application/json", body).await;
            assert_eq!(published.json()["reached"]["poll"], 1);
            let answer = wire.answer().await.json();
            assert_eq!(data_of(&answer), [json!(number)], "it is no echo");
            since = answer["cursor"].as_str().unwrap().to_owned();
        }
        if let Some(count) = count {
            assert_eq!(server.metric("triway_sessions").await, count);
        }
    }
}

#[tokio::test]
async fn polls_after_a_hello_read_their_own_inboxes_and_come_early_where_asked() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        let mut wire = server.connect().await;
        wire.send(get("/poll?channels=a,@&wait=0.1&since=now"))
            .await;
        let hello = wire.answer().await.json();
        let id = hello["frames"][0]["session"]["id"].as_str().unwrap();
        server.publish(&format!("@{id}"), "for the first").await;
        let since = hello["cursor"].as_str().unwrap();
        let target = format!("/poll?channels=a,@&wait=0.1&since={since}");
        wire.send(get(&target)).await;
        let answer = wire.answer().await.json();
        assert_eq!(answer["frames"], json!([]), "another session's inbox");

        wire.send(get("/poll/a?early=1&wait=20&since=now")).await;
        let hello = wire.answer().await.json();
        let since = hello["cursor"].as_str().unwrap();
        wire.send(get(&format!("/poll/a?early=1&wait=20&since={since}")))
            .await;
        let head = wire.head().await;
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        readers_are(&server, 1.0).await;
        publish(&server, "a", 1).await;
        let body = String::from_utf8(wire.chunks().await).unwrap();
        assert!(body.trim_start().contains("\"data\":1"), "{body}");
    }
}

#[tokio::test]
async fn an_authorize_hook_checks_each_repeated_poll() {
    const GOOD: usize = 3;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let server = Server::built(move |builder, _| {
        builder.authorize(move |_| {
            let is_good = counted.fetch_add(1, Ordering::SeqCst) < GOOD;
            async move {
                if is_good {
                    Ok(Some(Grants::everything()))
                } else {
                    Err(Refusal::new(Code::Unauthorized, "no more"))
                }
            }
        })
    });
    let mut wire = server.connect().await;
    wire.send(get("/poll?channels=a&since=all")).await;
    let hello = wire.answer().await.json();
    let (cursor, key) = (&hello["cursor"], &hello["frames"][0]["session"]["key"]);
    let (cursor, key) = (cursor.as_str().unwrap(), key.as_str().unwrap());
    let target = format!("/poll?channels=a&since={cursor}&wait=0&session={key}");
    for _ in 1..GOOD {
        wire.send(get(&target)).await;
        assert_eq!(wire.answer().await.json()["frames"], json!([]));
    }
    wire.send(get(&target)).await;
    assert_eq!(wire.answer().await.code(), "unauthorized");
    assert_eq!(asked.load(Ordering::SeqCst), GOOD + 1);
}

#[tokio::test]
async fn a_chain_ends_with_its_key_or_the_grants_of_everybody() {
    for has_key in [true, false] {
        chain_ends(has_key).await;
    }
}

async fn chain_ends(has_key: bool) {
    let now_s = triway::internal::now_ms() / 1_000;
    let server = Server::plain(|builder, _| {
        let grants = Grants::everything().until(now_s + 2);
        builder.http.anonymous = Some(Arc::new(grants));
    });
    let session = session_of(&server, has_key).await;
    let hello = server.get("/poll/a").await.json();
    let cursor = hello["cursor"].as_str().unwrap();
    let target = format!("/poll?channels=a&since={cursor}&wait=0.1{session}");
    let mut wire = server.connect().await;
    let mut held = 0;
    let is_over = async {
        loop {
            wire.send(get(&target)).await;
            let answer = wire.answer().await.json();
            held += usize::from(answer["frames"] == json!([]));
            if answer["code"] == "unauthorized" {
                return;
            }
        }
    };
    in_time(is_over).await;
    assert!(held > 2, "it was allowed for a while: {held}");
    assert!(
        triway::internal::now_ms() / 1_000 >= now_s + 2,
        "it held no longer"
    );
}

/// A repeated poll is checked against the `replay` limit from its own cursor, and not from the first poll's cursor.
#[tokio::test]
async fn a_repeated_poll_that_fell_behind_gets_a_hello() {
    for has_key in [true, false] {
        let server = Server::plain(|_, _| {});
        let session = session_of(&server, has_key).await;
        let cursor = server.publish("a", "before").await;
        let target = |since: &str| format!("/poll/a?replay=10&wait=20&since={since}{session}");
        let mut wire = server.connect().await;
        let answer = polled(&server, &mut wire, &target(&cursor), "a", 1).await;
        assert_eq!(data_of(&answer), [json!(1)]);
        let since = answer["cursor"].as_str().unwrap().to_owned();
        server.publish("a", "what is too long").await;
        let head = server.publish("a", "x").await;
        wire.send(get(&target(&since))).await;
        let answer = wire.answer().await.json();
        let hello = &answer["frames"][0];
        assert_eq!(
            (&hello["behind"], &hello["id"]),
            (&json!(true), &json!(head))
        );
        assert_eq!(answer["frames"].as_array().unwrap().len(), 1);
        // The connection, and its exchange of polls, continue from there.
        let answer = polled(&server, &mut wire, &target(&head), "a", 2).await;
        assert_eq!(data_of(&answer), [json!(2)]);
    }
}
