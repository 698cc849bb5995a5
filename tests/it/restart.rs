//! A hub is killed without a drain while readers wait, and starts again at the same address. The events of its first
//! run are lost. Each reader receives one gap per channel, and then the second run from its beginning.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;

use crate::support::{Ask, End, Fate, Follower, Program, Relay, Server, Via, in_time, parts};

/// Returns a reader over this transport that has read the first run to its end.
async fn waiting(program: &Program, via: Via) -> Follower {
    let mut follower = Follower::new(&program.wire, &["lobby", "quiet"], |ask| ask.since("all"));
    follower.attach(via).await.unwrap();
    for number in 0..2 {
        let told = in_time("the first life", follower.next()).await.unwrap();
        assert_eq!(told.event()["data"], number);
    }
    follower
}

/// Waits until the connection breaks. A held poll breaks too.
async fn broken(follower: &mut Follower) {
    match in_time("the break", follower.next()).await {
        Err(End::Broken(_) | End::Closed(0 | 1006, _)) => {}
        other => panic!("{other:?}"),
    }
}

/// Attaches to the second run of the hub. Each channel gets one gap, even a channel that never had events, because the
/// new hub cannot know that. Then the log follows from its beginning.
async fn comes_back(follower: &mut Follower, via: Via) {
    let old = follower.cursor().unwrap().to_owned();
    follower.attach(via).await.unwrap();
    let mut channels = Vec::new();
    for _ in 0..2 {
        let told = in_time("a gap", follower.next()).await.unwrap();
        let gap = told.gap();
        assert_eq!(
            (&gap["reason"], &gap["after"]),
            (&json!("restart"), &json!(old))
        );
        let (epoch, offset) = parts(gap["id"].as_str().unwrap());
        assert!(epoch != parts(&old).0 && offset == 0, "{gap}");
        channels.push(gap["channel"].as_str().unwrap().to_owned());
    }
    channels.sort();
    assert_eq!(channels, ["lobby", "quiet"]);
    let told = in_time("the new life", follower.next()).await.unwrap();
    assert_eq!(told.event()["data"], 2);
}

/// Kills the hub while a reader waits over each transport. Returns the session of each before and after.
async fn story(arguments: &[&str]) -> Vec<(Option<String>, Option<String>)> {
    let program = Program::start(arguments).await;
    for number in 0..2 {
        program.wire.publish_json("lobby", &json!(number)).await;
    }
    let mut followers = Vec::new();
    for via in Via::ALL {
        followers.push((via, waiting(&program, via).await));
    }
    let address = program.wire.address;
    program.kill_9().await;
    for (_, follower) in &mut followers {
        broken(follower).await;
    }
    let program = Program::start_at(address, arguments).await;
    program.wire.publish_json("lobby", &json!(2)).await;
    let mut sessions = Vec::new();
    for (via, follower) in &mut followers {
        let before = follower.session_id().map(str::to_owned);
        comes_back(follower, *via).await;
        sessions.push((before, follower.session_id().map(str::to_owned)));
    }
    // The gap arrives once: a reader that attaches again gets no second one, not even over another transport.
    program.wire.publish_json("quiet", &json!(3)).await;
    for (via, follower) in &mut followers {
        follower.attach(via.next()).await.unwrap();
        let told = in_time("the next event", follower.next()).await.unwrap();
        assert_eq!(told.event()["data"], 3);
    }
    sessions
}

#[tokio::test]
async fn readers_get_a_restart_gap_and_then_the_new_log() {
    for (before, after) in story(&[]).await {
        assert_ne!(before, after, "nobody remembers the session");
    }
}

#[tokio::test]
async fn a_session_outlives_a_restart_with_the_same_secret() {
    let secret = ["--secret", "sixteen bytes are enough"];
    for (before, after) in story(&secret).await {
        assert_eq!(before, after, "its key is still good");
    }
}

/// A connection may break between the hello and the gap. The cursor of that hello must not suppress the gap.
#[tokio::test]
async fn a_cut_between_hello_and_gap_does_not_hide_the_gap() {
    let server = Server::start();
    for number in 0..3 {
        server.wire.publish_json("lobby", &json!(number)).await;
    }
    let relay = Relay::start(&server.wire).await;
    for via in Via::ALL {
        let mut cut_between = 0;
        for bytes in (600..2_200).step_by(20) {
            let mut follower = Follower::new(&relay.wire, &["lobby"], |ask| ask.since("k3x9q2-5"));
            relay.choose(move || Fate::Cut(bytes));
            let mut told = Vec::new();
            if follower.attach(via).await.is_ok() {
                while told.len() < 4
                    && let Ok(next) = in_time("the cut", follower.next()).await
                {
                    told.push(next);
                }
            }
            cut_between += u32::from(told.is_empty() && follower.cursor().is_some());
            relay.choose(|| Fate::Carry);
            follower.attach(via.next()).await.unwrap();
            while told.len() < 4 {
                told.push(in_time("the rest", follower.next()).await.unwrap());
            }
            assert_eq!(told[0].gap()["reason"], "restart", "{via:?} {bytes}");
            for (number, told) in told[1..].iter().enumerate() {
                assert_eq!(told.event()["data"], number, "{via:?} {bytes}");
            }
        }
        // The response to a poll arrives completely or not at all.
        assert!(
            via == Via::Poll || cut_between > 0,
            "{via:?}: no cut fell between them"
        );
    }
}

/// A reader that was away all the time, and sends only its `Last-Event-ID` header, receives the same gap.
#[tokio::test]
async fn event_streams_with_a_header_get_the_restart_gap() {
    let program = Program::start(&[]).await;
    let old = program.wire.publish("lobby", "old").await;
    let address = program.wire.address;
    program.kill_9().await;
    let program = Program::start_at(address, &[]).await;
    let ask = Ask::of(["lobby"]).last_event_id(&old);
    let mut reader = program.wire.open(Via::Sse, &ask).await;
    let gap = reader.expect_told().await;
    assert_eq!(
        (&gap["reason"], &gap["after"]),
        (&json!("restart"), &json!(old))
    );
    program.wire.publish("lobby", "new").await;
    assert_eq!(reader.expect_told().await["data"], "new");
}
