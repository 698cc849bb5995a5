//! Many clients behind one address: the limits that they share, which hardly affect an office of a hundred people.

use serde_json::json;
use triway::Rate;

use super::exact_bytes::{Answer, Server, get, post, session_of};
use super::refusals::assert_refused;
use super::ws_client::{Ws, handshake, text};

/// A rate that is used up after five publishes for the duration of a test.
const FIVE: Rate = Rate {
    per_second: 0.2,
    burst: 5.0,
};

fn server(address_rate: Option<Rate>) -> Server {
    Server::with(|builder, options| {
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        if address_rate.is_some() {
            builder.broker.address_rate = address_rate;
        }
    })
}

/// Rewrites a request as a trusted proxy forwards it for this client.
pub(crate) fn by(client: &str, request: impl AsRef<[u8]>) -> Vec<u8> {
    let request = String::from_utf8(request.as_ref().to_vec()).unwrap();
    let line = format!("X-Forwarded-For: {client}\r\nHost:");
    request.replacen("Host:", &line, 1).into_bytes()
}

async fn session(server: &Server, client: &str) -> (String, String) {
    let opened = server.ask(by(client, get("/poll/somewhere"))).await;
    session_of(&opened.json()["frames"][0])
}

async fn publish(server: &Server, client: &str, key: &str) -> Answer {
    let target = format!("/pub/a?session={key}");
    server.ask(by(client, post(&target, &[], b"x"))).await
}

#[tokio::test]
async fn anonymous_sessions_of_one_address_share_a_rate() {
    let server = server(Some(FIVE));
    let (_, first) = session(&server, "203.0.113.7").await;
    let (_, second) = session(&server, "203.0.113.7").await;
    for key in [&first, &second, &first, &second, &first] {
        assert_eq!(publish(&server, "203.0.113.7", key).await.status, 201);
    }
    let (_, third) = session(&server, "203.0.113.7").await;
    let refused = publish(&server, "203.0.113.7", &third).await;
    assert_refused(&refused, 429, "rate_limited");
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&after), "{after}");
    // An IPv6 client shares a budget with its whole network. Other addresses, and clients on this machine, have their
    // own.
    let (_, sixth) = session(&server, "2001:db8::1").await;
    for host in 1..=5 {
        let client = format!("2001:db8::{host}");
        assert_eq!(publish(&server, &client, &sixth).await.status, 201);
    }
    assert_eq!(publish(&server, "2001:db8::6", &sixth).await.status, 429);
    let (_, other) = session(&server, "203.0.113.8").await;
    assert_eq!(publish(&server, "203.0.113.8", &other).await.status, 201);
    for _ in 0..8 {
        assert_eq!(publish(&server, "127.0.0.1", &other).await.status, 201);
    }
}

#[tokio::test]
async fn beyond_the_rate_of_its_address_a_websocket_is_read_later() {
    let server = server(Some(Rate {
        per_second: 20.0,
        burst: 2.0,
    }));
    let mut ws = Ws {
        wire: server.send(by("203.0.113.7", handshake("/ws/b", ""))).await,
    };
    assert_eq!(ws.wire.answer().await.status, 101);
    ws.json().await;
    let began = std::time::Instant::now();
    for number in 0..8 {
        let command = json!({"type": "publish", "channel": "a", "data": 1, "ref": number});
        ws.send(text(&command.to_string())).await;
    }
    for number in 0..8 {
        let reply = ws.json().await;
        assert_eq!(
            (&reply["ok"], &reply["ref"]),
            (&json!(true), &json!(number))
        );
    }
    assert!(began.elapsed().as_millis() >= 250, "{:?}", began.elapsed());
}

#[tokio::test]
async fn presence_joins_by_polls_count_for_their_address() {
    let server = server(Some(FIVE));
    let target = "/poll/room?presence=1";
    let mut last = String::new();
    for _ in 0..5 {
        let opened = server.ask(by("203.0.113.7", get(target))).await;
        assert_eq!(opened.status, 200);
        last = session_of(&opened.json()["frames"][0]).1;
    }
    let refused = server.ask(by("203.0.113.7", get(target))).await;
    assert_refused(&refused, 429, "rate_limited");
    // A session that is already present is no new join. Neither is a reader that does not request presence.
    for target in [format!("{target}&session={last}"), "/poll/room".to_owned()] {
        let opened = server.ask(by("203.0.113.7", get(&target))).await;
        assert_eq!(opened.status, 200, "{target}");
    }
    let members = server.get("/presence/room").await.json();
    assert_eq!(members["count"], 5);
}

#[tokio::test]
async fn a_hundred_users_behind_one_address_are_not_refused() {
    let server = server(None);
    for _ in 0..100 {
        let target = "/poll/room?presence=1";
        let opened = server.ask(by("203.0.113.7", get(target))).await;
        let (_, key) = session_of(&opened.json()["frames"][0]);
        let commands = vec![json!({"type": "publish", "channel": "room", "data": "x"}); 10];
        let body = json!(commands).to_string();
        let sent = post(&format!("/send?session={key}"), &[], body.as_bytes());
        let replies = server.ask(by("203.0.113.7", sent)).await.json();
        let replies = replies.as_array().unwrap();
        assert!(
            replies.iter().all(|reply| reply["ok"] == true),
            "{replies:?}"
        );
    }
}
