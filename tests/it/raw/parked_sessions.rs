//! Detached sessions: the state that the hub keeps for them, and how long it keeps it.

use std::time::Duration;

use serde_json::Value;

use super::exact_bytes::{Server, eventually, get, post, session_of};
use super::shared_address::by;

/// Unused sessions are forgotten after this time in these tests.
const REST: Duration = Duration::from_millis(50);

fn server() -> Server {
    Server::with(|builder, _| builder.session.sweep_idle = REST)
}

/// Returns a publish under a numbered key.
fn numbered(target: &str, key: &str, text: &str) -> Vec<u8> {
    let headers = [("Content-Type", "text/plain"), ("Idempotency-Key", key)];
    post(target, &headers, text.as_bytes())
}

async fn sessions(server: &Server) -> f64 {
    server.metric("triway_sessions").await
}

async fn held(server: &Server, channel: &str) -> Vec<Value> {
    let history = server.get(&format!("/history/{channel}")).await.json();
    history["frames"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_numbered_key_publishes_once_despite_a_slow_body() {
    let server = server();
    let (id, key) = server.session().await;
    let (target, numbers) = (format!("/pub/a?session={key}"), format!("{id}:1"));
    let whole = numbered(&target, &numbers, "once");
    let (first, second) = whole.split_at(whole.len() - 2);
    let mut slow = server.send(first).await;
    // Meanwhile other sessions are created and forgotten. So sweeps have run in which this session could have been
    // forgotten too.
    for _ in 0..3 {
        server.session().await;
        eventually("forgotten", async || sessions(&server).await <= 1.0).await;
    }
    let quick = server.ask(&whole).await;
    assert_eq!(quick.status, 201, "{quick:?}");
    slow.send(second).await;
    let answer = slow.answer().await;
    assert_eq!(
        (answer.status, answer.text()),
        (201, quick.text()),
        "the same answer to the same number"
    );
    assert_eq!(held(&server, "a").await.len(), 1);
}

#[tokio::test]
async fn sessions_without_state_are_forgotten_and_numbers_are_kept() {
    let server = server();
    let (id, key) = server.session().await;
    let (target, numbers) = (format!("/pub/a?session={key}"), format!("{id}:1"));
    let first = server.ask(numbered(&target, &numbers, "once")).await;
    for _ in 0..3 {
        server.session().await;
        eventually("forgotten", async || sessions(&server).await <= 1.0).await;
    }
    assert_eq!(sessions(&server).await, 1.0);
    let again = server.ask(numbered(&target, &numbers, "once")).await;
    assert_eq!((again.status, again.text()), (201, first.text()));
    assert_eq!(held(&server, "a").await.len(), 1);
}

#[tokio::test]
async fn a_client_cannot_evict_the_numbers_of_others() {
    const PLACES: usize = 20;
    let server = Server::with(|builder, options| {
        builder.session.sweep_idle = REST;
        builder.session.resting_sessions = PLACES;
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let ask = async |client: &str, request: Vec<u8>| server.ask(by(client, request)).await;
    let session = async |client: &str| {
        let opened = ask(client, get("/poll/somewhere").into_bytes()).await;
        session_of(&opened.json()["frames"][0])
    };
    let (id, key) = session("198.51.100.7").await;
    let (target, number) = (format!("/pub/a?session={key}"), format!("{id}:1"));
    let first = ask("198.51.100.7", numbered(&target, &number, "once")).await;
    assert_eq!(first.status, 201);
    // Later, there are three times as many sessions as the limit allows, each with its own number.
    for _ in 0..3 * PLACES {
        let (id, key) = session("203.0.113.9").await;
        let target = format!("/pub/b?session={key}");
        let answer = ask("203.0.113.9", numbered(&target, &format!("{id}:1"), "x")).await;
        assert_eq!(answer.status, 201);
    }
    eventually("the table is within its bound", async || {
        sessions(&server).await <= PLACES as f64
    })
    .await;
    let again = ask("198.51.100.7", numbered(&target, &number, "once")).await;
    assert_eq!((again.status, again.text()), (201, first.text()));
    assert_eq!(held(&server, "a").await.len(), 1, "acted once");
}
