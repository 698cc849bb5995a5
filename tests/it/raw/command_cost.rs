//! The cost of commands and queries: each uses a fraction of a publish, so that their sum is bounded.

use std::time::{Duration, Instant};

use triway::Data;
use triway::Rate;

use super::exact_bytes::Server;
use super::refusals::assert_refused;
use super::ws_client::{Ws, text};

/// A rate that is used up after five publishes for the duration of a test.
const FIVE: Rate = Rate {
    per_second: 0.2,
    burst: 5.0,
};

#[tokio::test]
async fn every_command_costs_something() {
    for command in [
        r#"{"type":"history","channel":"a","limit":1}"#,
        r#"{"type":"presence","channel":"a"}"#,
        r#"{"type":"leave"}"#,
        r#"{"type":"dance"}"#,
        r#"{"type":"publish","channel":"$x","data":1}"#,
        "7",
    ] {
        let server = Server::with(|builder, _| builder.broker.rate = Some(FIVE));
        let (_, key) = server.session().await;
        let many = vec![command; 1_000].join(",");
        let target = format!("/send?session={key}");
        let replies = server.post(&target, "", format!("[{many}]")).await.json();
        let replies = replies.as_array().unwrap();
        let acted = replies
            .iter()
            .take_while(|reply| reply["error"]["code"] != "rate_limited")
            .count();
        assert!((1..=60).contains(&acted), "{command}: {acted}");
        assert_eq!(replies.len(), 1_000);
        // The hub still accepts a ping.
        let ping = server.post(&target, "", r#"[{"type":"ping"}]"#).await;
        assert_eq!(ping.json()[0]["ok"], true);
        // Another session has its own budget.
        let (_, other) = server.session().await;
        let asked = server.get(&format!("/history/a?session={other}")).await;
        assert_eq!(asked.status, 200);
    }
}

#[tokio::test]
async fn queries_of_an_address_are_bounded_and_large_answers_cost_more() {
    for target in ["/history/a?limit=1", "/presence/a", "/history/big"] {
        let server = Server::with(|builder, _| {
            builder.broker.rate = Some(FIVE);
            builder.broker.max_data = 1024 * 1024;
            builder.hub.history_bytes = Some(4 * 1024 * 1024);
        });
        server
            .hub
            .publish("big", Data::text(&"x".repeat(512 * 1024)))
            .await
            .unwrap();
        let mut answered = 0;
        let refused = loop {
            let answer = server.get(target).await;
            if answer.status != 200 {
                break answer;
            }
            answered += 1;
            assert!(answered < 1_000, "{target}");
        };
        assert_refused(&refused, 429, "rate_limited");
        assert!(refused.header("retry-after").is_some());
        let expected = if target.contains("big") {
            1..=4
        } else {
            30..=60
        };
        assert!(expected.contains(&answered), "{target}: {answered}");
    }
}

#[tokio::test]
async fn commands_of_a_socket_wait_for_the_rate() {
    let server = Server::with(|builder, _| {
        builder.broker.rate = Some(Rate {
            per_second: 50.0,
            burst: 5.0,
        });
    });
    let mut ws = Ws::open(&server, "/ws/a").await;
    ws.json().await;
    let began = Instant::now();
    let question = text(r#"{"type":"presence","channel":"a"}"#);
    ws.send(question.repeat(150)).await;
    for _ in 0..150 {
        assert_eq!(ws.json().await["ok"], true);
    }
    // 150 queries cost as much as 15 publishes. Five of them are available at once.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(150), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
