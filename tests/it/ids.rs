//! The protocol's id rules in the cases that are easy to get wrong: no silent loss, no needless gap.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod subscribe;

use std::time::Duration;

use serde_json::{Value, json};

use crate::every_transport::{command, data, events, offset, over_each_transport};
use triway::Data;

use crate::support::{
    Ask, Dice, Follower, Reader, Server, Tally, Told, Via, in_time, parts, until,
};

over_each_transport![
    evicted_events_are_one_gap,
    starts_that_are_no_cursors_never_make_gaps,
    a_cursor_beyond_the_head_is_unknown,
    a_cursor_of_another_epoch_is_a_restart,
    a_malformed_header_is_unknown,
    two_attachments_have_a_cursor_each,
    the_surviving_attachment_determines_the_cursor,
    a_channel_position_ahead_of_the_others_is_kept,
    a_sweep_between_two_visits_causes_exactly_the_needed_gaps,
    a_reply_that_overtakes_events_moves_no_cursor,
    gaps_come_in_the_order_of_ids,
    a_backlog_of_many_batches_arrives_in_one_order,
];

/// Returns the next `count` events and gaps.
async fn told(reader: &mut Reader, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(reader.expect_told().await);
    }
    all
}

#[track_caller]
fn assert_gap(frame: &Value, channel: &str, reason: &str, after: Option<&str>, id: &str) {
    let expected = match after {
        Some(after) => {
            json!({"type": "gap", "channel": channel, "after": after, "reason": reason, "id": id})
        }
        None => json!({"type": "gap", "channel": channel, "reason": reason, "id": id}),
    };
    assert_eq!(*frame, expected);
}

/// Starts a hub whose logs hold `holds` events, and publishes `published` events to one channel. Returns their ids.
async fn overfull(holds: usize, published: usize) -> (Server, Vec<String>) {
    let server = Server::with(|builder| builder.hub.history_events = Some(holds));
    let mut ids = Vec::new();
    for number in 0..published {
        ids.push(server.wire.publish_json("lobby", &json!(number)).await);
    }
    (server, ids)
}

async fn evicted_events_are_one_gap(via: Via) {
    let (server, ids) = overfull(3, 10).await;
    let mut reader = server
        .wire
        .open(via, &Ask::of(["lobby"]).since(&ids[1]))
        .await;
    let frames = told(&mut reader, 4).await;
    assert_gap(&frames[0], "lobby", "evicted", Some(&ids[1]), &ids[6]);
    assert_eq!(data(&frames[1..]), [7, 8, 9]);
    server.wire.publish_json("lobby", &json!(10)).await;
    assert_eq!(events(&mut reader, 1).await[0]["data"], 10, "told once");
    let again = Ask::of(["lobby"]).since(reader.cursor());
    let mut reader = server.wire.open(via, &again).await;
    server.wire.publish_json("lobby", &json!(11)).await;
    assert_eq!(events(&mut reader, 1).await[0]["data"], 11, "and not again");

    // A cursor at the very border needs no gap: the log still holds everything after it.
    let (server, ids) = overfull(3, 10).await;
    let mut reader = server
        .wire
        .open(via, &Ask::of(["lobby"]).since(&ids[6]))
        .await;
    assert_eq!(data(&events(&mut reader, 3).await), [7, 8, 9]);
}

async fn starts_that_are_no_cursors_never_make_gaps(via: Via) {
    for (start, first) in [("all", 7), ("last:50", 7), ("last:2", 8), ("1h", 7)] {
        let (server, _) = overfull(3, 10).await;
        let mut reader = server
            .wire
            .open(via, &Ask::of(["lobby"]).since(start))
            .await;
        let expected: Vec<Value> = (first..10).map(|number| json!(number)).collect();
        assert_eq!(
            data(&events(&mut reader, expected.len()).await),
            expected,
            "{start}"
        );
    }
}

async fn a_cursor_beyond_the_head_is_unknown(via: Via) {
    let (server, ids) = overfull(3, 5).await;
    let beyond = format!("{}-6", parts(&ids[0]).0);
    let mut reader = server
        .wire
        .open(via, &Ask::of(["lobby", "quiet"]).since(&beyond))
        .await;
    let mut frames = told(&mut reader, 5).await;
    frames[..2].sort_by_key(|frame| frame["channel"].to_string());
    // The log follows from its beginning. A channel without events gets a gap too.
    let gap = frames
        .iter()
        .position(|frame| frame["channel"] == "lobby")
        .unwrap();
    assert_gap(&frames[gap], "lobby", "unknown", Some(&beyond), &ids[1]);
    let quiet = frames
        .iter()
        .find(|frame| frame["channel"] == "quiet")
        .unwrap();
    let zero = format!("{}-0", parts(&ids[0]).0);
    assert_gap(quiet, "quiet", "unknown", Some(&beyond), &zero);
    assert_eq!(data(&frames[2..]), [2, 3, 4]);
    // From here on it is an ordinary reader. A new reader with its cursor is one, too.
    let again = Ask::of(["lobby", "quiet"]).since(reader.cursor());
    let mut reader = server.wire.open(via, &again).await;
    server.wire.publish_json("quiet", &json!("x")).await;
    assert_eq!(events(&mut reader, 1).await[0]["data"], "x");
}

async fn a_cursor_of_another_epoch_is_a_restart(via: Via) {
    let (server, ids) = overfull(3, 5).await;
    // This offset is far ahead of the hub's. Only the epoch shows that it belongs to another run of the hub.
    let mut reader = server
        .wire
        .open(via, &Ask::of(["lobby"]).since("k3x9q2-4711"))
        .await;
    let frames = told(&mut reader, 4).await;
    assert_gap(&frames[0], "lobby", "restart", Some("k3x9q2-4711"), &ids[1]);
    assert_eq!(data(&frames[1..]), [2, 3, 4]);
}

async fn a_malformed_header_is_unknown(via: Via) {
    if via == Via::Ws {
        // A WebSocket handshake does not carry this header.
        return;
    }
    let (server, ids) = overfull(3, 5).await;
    for header in ["nonsense", "K3-1", "-", "k3x9q2-", "42", "\"k3x9q2-1\""] {
        let ask = Ask::of(["lobby"]).since(&ids[4]).last_event_id(header);
        let mut reader = server.wire.open(via, &ask).await;
        let frames = told(&mut reader, 4).await;
        assert_gap(&frames[0], "lobby", "unknown", None, &ids[1]);
        assert_eq!(data(&frames[1..]), [2, 3, 4], "{header}");
    }
}

async fn two_attachments_have_a_cursor_each(via: Via) {
    let (server, ids) = overfull(100, 10).await;
    let mut first = server
        .wire
        .open(via, &Ask::of(["lobby"]).since("all"))
        .await;
    first.expect_type("hello").await;
    let key = first.session_key.clone().unwrap();
    let mut readers = Vec::new();
    for start in [2, 7] {
        let ask = Ask::of(["lobby"]).since(&ids[start]).session(&key);
        readers.push((start, server.wire.open(via.next(), &ask).await));
    }
    // Read from both in turn: a shared cursor would show.
    for _ in 0..2 {
        for (at, reader) in &mut readers {
            *at += 1;
            let event = events(reader, 1).await.remove(0);
            assert_eq!(event["data"], *at);
            assert_eq!(offset(&event), *at as u64 + 1);
        }
    }
    assert_eq!(
        data(&events(&mut first, 10).await),
        (0..10).map(|n| json!(n)).collect::<Vec<_>>()
    );
}

/// Two attachments of one client have different cursors. Whichever survives, no event is lost or repeated.
async fn the_surviving_attachment_determines_the_cursor(via: Via) {
    let server = Server::start();
    let mut follower = Follower::new(&server.wire, &["lobby"], |ask| ask.since("all"));
    let mut tally = Tally::default();
    for number in 0..5 {
        server.wire.publish_json("lobby", &json!(number)).await;
    }
    follower.attach(via).await.unwrap();
    for _ in 0..3 {
        tally.take(&in_time("an event", follower.next()).await.unwrap());
    }
    // The new attachment begins at 3. The old one advances to 5 and the follower does not see those events. Then the
    // new one is cut before it delivers anything.
    let mut old = follower.attach_beside(via.next()).await.unwrap().unwrap();
    assert_eq!(data(&events(&mut old, 2).await), [3, 4]);
    follower.cut();
    server.wire.publish_json("lobby", &json!(5)).await;
    follower.attach(via).await.unwrap();
    while tally.next("lobby") < 6 {
        tally.take(&in_time("an event", follower.next()).await.unwrap());
    }
    assert_eq!((tally.gaps.len(), tally.events), (0, 6));
}

/// A channel may start ahead of the other channels. It is delivered from there, in the one order of ids.
async fn a_channel_position_ahead_of_the_others_is_kept(via: Via) {
    let server = Server::start();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for number in 0..4 {
        a.push(server.wire.publish_json("a", &json!(number)).await);
        b.push(server.wire.publish_json("b", &json!(number)).await);
    }
    let ask = Ask::of(["a", "b"]).since(&a[0]).since_of("b", &b[2]);
    let mut reader = server.wire.open(via, &ask).await;
    let frames = events(&mut reader, 4).await;
    let seen: Vec<(Value, Value)> = frames
        .iter()
        .map(|frame| (frame["channel"].clone(), frame["data"].clone()))
        .collect();
    let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 3)];
    assert_eq!(
        seen,
        expected.map(|(channel, number)| (json!(channel), json!(number)))
    );
}

/// Lifetime of a channel without a reader in the test of the sweep.
const AGE: Duration = Duration::from_millis(300);

async fn a_sweep_between_two_visits_causes_exactly_the_needed_gaps(via: Via) {
    let server = Server::with(|builder| {
        builder.hub.history_age = Some(AGE);
        builder.hub.sweep_idle = Duration::ZERO;
    });
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(server.wire.publish_json("lobby", &json!(number)).await);
    }
    until("the channel is swept", async || {
        let metrics = server.wire.get("/metrics").await.text();
        metrics.lines().any(|line| line.ends_with("channels 0"))
    })
    .await;
    // A reader that has seen everything missed nothing. Neither did a reader of a channel that never existed.
    let seen = Ask::of(["lobby", "never"]).since(&ids[2]);
    let mut seen = server.wire.open(via, &seen).await;
    let mut missed = server
        .wire
        .open(via, &Ask::of(["lobby", "never"]).since(&ids[0]))
        .await;
    let mut all = server
        .wire
        .open(via, &Ask::of(["lobby"]).since("all"))
        .await;
    all.expect_type("hello").await;
    server.wire.publish_json("lobby", &json!(3)).await;
    assert_eq!(events(&mut seen, 1).await[0]["data"], 3);
    assert_eq!(events(&mut all, 1).await[0]["data"], 3);
    let frames = told(&mut missed, 2).await;
    assert_gap(&frames[0], "lobby", "expired", Some(&ids[0]), &ids[2]);
    assert_eq!(frames[1]["data"], 3);
}

/// The id in a reply may be ahead of the reader's position. A client that uses it as its cursor loses events.
async fn a_reply_that_overtakes_events_moves_no_cursor(via: Via) {
    let server = Server::start();
    let mut follower = Follower::new(&server.wire, &["lobby"], |ask| ask.since("all"));
    follower.attach(via).await.unwrap();
    follower.reader().expect_type("hello").await;
    let key = follower.reader().session_key.clone().unwrap();
    for number in 0..3 {
        server.wire.publish_json("lobby", &json!(number)).await;
    }
    // The reply arrives over a separate request, before the reader has read the three events before it.
    let publish = json!([{"type": "publish", "channel": "lobby", "data": 3, "ref": 1}]);
    let replies = server.wire.send(&key, &publish).await;
    assert_eq!(offset(&replies[0]), 4);
    follower.cut();
    follower.attach(via.next()).await.unwrap();
    let mut tally = Tally::default();
    while tally.next("lobby") < 4 {
        tally.take(&in_time("an event", follower.next()).await.unwrap());
    }
    assert!(tally.gaps.is_empty());
}

async fn gaps_come_in_the_order_of_ids(via: Via) {
    let server = Server::with(|builder| builder.hub.history_events = Some(2));
    let mut ids = Vec::new();
    for number in 0..4 {
        for channel in ["a", "b"] {
            ids.push(server.wire.publish_json(channel, &json!(number)).await);
        }
    }
    // a: 1 3 5 7, b: 2 4 6 8. Each log holds its last two.
    let mut reader = server
        .wire
        .open(via, &Ask::of(["b", "a"]).since(&ids[0]))
        .await;
    let frames = told(&mut reader, 6).await;
    assert_gap(&frames[0], "a", "evicted", Some(&ids[0]), &ids[2]);
    assert_gap(&frames[1], "b", "evicted", Some(&ids[0]), &ids[3]);
    let rest: Vec<u64> = frames[2..].iter().map(offset).collect();
    assert_eq!(rest, [5, 6, 7, 8]);
}

/// A backlog that needs several batches, where one channel has forgotten its beginning. The gap arrives at the position
/// of its id, and all ids rise.
async fn a_backlog_of_many_batches_arrives_in_one_order(via: Via) {
    const HELD: u64 = 1_500;
    let server = Server::with(|builder| builder.hub.history_events = Some(HELD as usize));
    let first = server.wire.publish_json("other", &json!(0)).await;
    let mut dice = Dice::new();
    let (mut left, mut published) = ([HELD, HELD / 3, HELD + 500], [0; 3]);
    let channels = ["whole", "sparse", "cut"];
    while left != [0; 3] {
        let which = dice.below(3);
        if left[which] > 0 {
            let data = Data::from_json(published[which].to_string().as_bytes()).unwrap();
            server.hub.publish(channels[which], data).await.unwrap();
            (left[which], published[which]) = (left[which] - 1, published[which] + 1);
        }
    }
    let mut reader = server
        .wire
        .open(via, &Ask::of(channels).since(&first))
        .await;
    let (mut tally, mut last, mut gaps) = (Tally::default(), 0, 0);
    let is_whole = |tally: &Tally| {
        channels
            .iter()
            .zip(published)
            .all(|(name, count)| tally.next(name) == count)
    };
    while !is_whole(&tally) {
        let frame = reader.expect_told().await;
        assert!(offset(&frame) > last, "after {last}: {frame}");
        last = offset(&frame);
        if frame["type"] == "gap" {
            assert_eq!((&frame["channel"], tally.next("cut")), (&json!("cut"), 0));
            tally.take(&Told::Gap(frame));
            gaps += 1;
        } else {
            tally.take(&Told::Event(frame));
        }
    }
    assert_eq!(gaps, 1);
    assert_eq!(tally.events, HELD + HELD / 3 + HELD);
}

#[tokio::test]
async fn history_reports_gaps_by_the_same_rules() {
    let (server, ids) = overfull(3, 10).await;
    let page = |start: &str| format!("/history/lobby?since={start}");
    let answer = server.wire.get_json(&page(&ids[1])).await;
    let frames = answer["frames"].as_array().unwrap();
    assert_gap(&frames[0], "lobby", "evicted", Some(&ids[1]), &ids[6]);
    assert_eq!(data(&frames[1..]), [7, 8, 9]);
    let answer = server.wire.get_json(&page("all")).await;
    assert_eq!(data(answer["frames"].as_array().unwrap()), [7, 8, 9]);
    let answer = server.wire.get_json(&page("k3x9q2-1")).await;
    assert_gap(
        &answer["frames"][0],
        "lobby",
        "restart",
        Some("k3x9q2-1"),
        &ids[6],
    );
    let mut reader = server.wire.open(Via::Ws, &Ask::of(["other"])).await;
    let asked = json!({"type": "history", "channel": "lobby", "since": &ids[1]});
    let reply = command(&server, &mut reader, asked).await;
    assert_gap(
        &reply["frames"][0],
        "lobby",
        "evicted",
        Some(&ids[1]),
        &ids[6],
    );
}
