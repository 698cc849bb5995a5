//! Readers that change their transport, and readers whose connections break, while events flow: no event is lost,
//! repeated or out of order, and no needless gap is sent.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use triway::Builder;
use triway::Data;
use triway::Hub;

use crate::support::{Dice, Fate, Follower, Relay, Server, Tally, Via, in_time};

/// The channels of all readers in these tests.
const CHANNELS: [&str; 3] = ["busy", "calm", "rare"];
/// Silence after which a reader considers its connection half open. Events flow all the time.
const SILENCE: Duration = Duration::from_millis(250);

/// Gives the logs no bound. Every gap is then needless.
fn remember_all(builder: &mut Builder) {
    builder.hub.history_events = None;
    builder.hub.history_bytes = None;
}

/// Publishes `count` events to the busy channel, every tenth of them also to the calm one, and every hundredth also to
/// the rare one.
fn publish(hub: &Hub, count: u64) -> JoinHandle<()> {
    let hub = hub.clone();
    tokio::spawn(async move {
        for number in 0..count {
            for (channel, one_in) in CHANNELS.iter().zip([1, 10, 100]) {
                if number % one_in == 0 {
                    let data = Data::from_json((number / one_in).to_string().as_bytes()).unwrap();
                    hub.publish(channel, data).await.unwrap();
                }
            }
            // Pause, so that readers have time to connect and disconnect meanwhile.
            if number % 4 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    })
}

/// Returns true if the reader has received everything that [`publish`] publishes.
fn is_complete(tally: &Tally, count: u64) -> bool {
    let due = CHANNELS.iter().zip([1, 10, 100]);
    due.into_iter()
        .all(|(channel, one_in)| tally.next(channel) == count.div_ceil(one_in))
}

#[tokio::test]
async fn a_change_of_transport_at_every_reconnect_loses_nothing() {
    const COUNT: u64 = 3_000;
    let server = Server::with(remember_all);
    let mut dice = Dice::new();
    let mut follower = Follower::new(&server.wire, &CHANNELS, |ask| ask.since("all"));
    let mut via = Via::Ws;
    follower.attach(via).await.unwrap();
    let publishing = publish(&server.hub, COUNT);
    let (mut tally, mut changes) = (Tally::default(), 0);
    while !is_complete(&tally, COUNT) {
        for _ in 0..dice.below(80) {
            if is_complete(&tally, COUNT) {
                break;
            }
            tally.take(&in_time("an event", follower.next()).await.unwrap());
        }
        via = via.next();
        changes += 1;
        if dice.below(3) == 0 {
            follower.attach(via).await.unwrap();
        } else {
            // Make before break: the old attachment is closed once the new one has delivered something.
            let old = follower.attach_beside(via).await.unwrap();
            if !is_complete(&tally, COUNT) {
                tally.take(&in_time("an event", follower.next()).await.unwrap());
            }
            drop(old);
        }
    }
    publishing.await.unwrap();
    assert!(tally.gaps.is_empty(), "needless: {:?}", tally.gaps);
    assert!(changes > 20, "{changes} changes");
}

/// Reads everything through a relay. Attaches again when the connection breaks or stays silent.
async fn read_through(
    relay: &Relay,
    hub: &Hub,
    count: u64,
    mut choose: impl FnMut() -> Via,
) -> Tally {
    let mut follower = Follower::new(&relay.wire, &CHANNELS, |ask| {
        ask.since("all").with("wait", 1)
    });
    let (mut tally, mut breaks) = (Tally::default(), 0);
    let publishing = publish(hub, count);
    let read = async {
        while !is_complete(&tally, count) {
            let attached = tokio::time::timeout(SILENCE, follower.attach(choose())).await;
            while let Ok(Ok(())) = attached
                && let Ok(Ok(told)) = tokio::time::timeout(SILENCE, follower.next()).await
            {
                tally.take(&told);
                if is_complete(&tally, count) {
                    break;
                }
            }
            breaks += 1;
        }
    };
    tokio::time::timeout(3 * crate::support::PATIENCE, read)
        .await
        .unwrap_or_else(|_| panic!("not all of it came"));
    publishing.await.unwrap();
    assert!(breaks > 5, "{breaks} breaks");
    assert!(tally.gaps.is_empty(), "needless: {:?}", tally.gaps);
    tally
}

/// Runs one fault: each connection breaks in this way after a random number of bytes, in the middle of any frame.
async fn breaks(via: Via, fate: fn(usize) -> Fate) {
    // Enough events that polls still break often. On a busy machine, each poll carries more events.
    const COUNT: u64 = 2_400;
    let server = Server::with(remember_all);
    let mut dice = Dice::new();
    let mut opened = 0;
    let relay = Relay::with(&server.wire, move || {
        opened += 1;
        // Some connections break within the head. Every eighth connection carries many bytes: a large response to a
        // poll would otherwise never arrive completely.
        let bytes = match opened % 8 {
            0 => 150_000,
            _ => dice.one_of(&[100, 2_000, 5_000, 20_000]),
        };
        fate(bytes + dice.below(1_000))
    })
    .await;
    read_through(&relay, &server.hub, COUNT, || via).await;
}

macro_rules! over_each_transport_and_fate {
    ($($name:ident: $via:expr, $fate:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            breaks($via, $fate).await;
        }
    )*};
}

over_each_transport_and_fate! {
    web_sockets_that_are_cut: Via::Ws, Fate::Cut;
    web_sockets_that_are_reset: Via::Ws, Fate::Reset;
    web_sockets_that_go_half_open: Via::Ws, Fate::Swallow;
    event_streams_that_are_cut: Via::Sse, Fate::Cut;
    event_streams_that_are_reset: Via::Sse, Fate::Reset;
    event_streams_that_go_half_open: Via::Sse, Fate::Swallow;
    polls_that_are_cut: Via::Poll, Fate::Cut;
    polls_that_are_reset: Via::Poll, Fate::Reset;
    polls_that_go_half_open: Via::Poll, Fate::Swallow;
}

#[tokio::test]
async fn no_fault_loses_events_when_the_transport_changes_after_each() {
    const COUNT: u64 = 2_500;
    let server = Server::with(remember_all);
    let mut dice = Dice::new();
    let mut fates = dice.split();
    let relay = Relay::with(&server.wire, move || {
        let bytes = fates.below(30_000);
        fates.one_of(&[Fate::Cut(bytes), Fate::Reset(bytes), Fate::Swallow(bytes)])
    })
    .await;
    let mut via = Via::Ws;
    let change = || {
        via = via.next();
        via
    };
    read_through(&relay, &server.hub, COUNT, change).await;
}

/// All connections break at the same time, during a quiet period. Events follow before any reader has reconnected.
#[tokio::test]
async fn events_during_an_outage_are_delivered_later() {
    let server = Server::start();
    let relay = Relay::start(&server.wire).await;
    let mut followers = Vec::new();
    for via in Via::ALL {
        let mut follower = Follower::new(&relay.wire, &["lobby"], |ask| ask);
        follower.attach(via).await.unwrap();
        followers.push((via, follower));
    }
    for (number, fate) in [Fate::Cut(0), Fate::Reset(0), Fate::Swallow(0)]
        .into_iter()
        .enumerate()
    {
        let first = 2 * number as u64;
        if number == 0 {
            // A poll learns its first cursor from its first response.
            for (_, follower) in &mut followers {
                let hello = in_time("hello", follower.reader().frame()).await.unwrap();
                follower.adopt(hello);
            }
        }
        server.wire.publish_json("lobby", &json!(first)).await;
        for (_, follower) in &mut followers {
            let told = in_time("an event", follower.next()).await.unwrap();
            assert_eq!(told.event()["data"], first);
        }
        relay.strike(fate);
        server.wire.publish_json("lobby", &json!(first + 1)).await;
        for (via, follower) in &mut followers {
            *via = via.next();
            follower.attach(*via).await.unwrap();
            let told = in_time("an event", follower.next()).await.unwrap();
            assert_eq!(told.event()["data"], first + 1);
        }
    }
}
