//! Many held polls of one channel, which are answered from one place: each is answered once, as if it were alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use triway::protocol::Data;

use super::wire::{Answer, Server, Wire, eventually, get, in_time};

const READERS: &str = "triway_readers{transport=\"poll\"}";
const DELIVERED: &str = "triway_delivered_total{transport=\"poll\"}";
const CROWD: usize = 12;
const PUBLISHERS: usize = 3;
const EVENTS: usize = 1_500;
/// More than a socket takes at once.
const LARGE_BYTES: usize = 12 * 1024 * 1024;
/// Events around the end of a hold.
const HOLDS: u64 = 40;
/// Answers after which somebody asks at once how many read.
const ANSWERS: usize = 400;
/// Longer than a reader may be away and keep its place.
const AWAY: Duration = Duration::from_millis(900);

/// One client that polls on one connection.
struct Chain {
    wire: Wire,
    key: String,
    cursor: String,
    /// What it asks for beside its cursor.
    wish: String,
    number: usize,
}

impl Chain {
    async fn open(server: &Server, wish: &str) -> Self {
        Self::over(server, server.connect().await, wish).await
    }

    async fn over(server: &Server, wire: Wire, wish: &str) -> Self {
        let (_, key) = server.session().await;
        let cursor = server.get("/poll/a").await.json()["cursor"].clone();
        Self {
            wire,
            key,
            cursor: cursor.as_str().unwrap().to_owned(),
            wish: wish.to_owned(),
            number: 0,
        }
    }

    fn request(&self, number: usize) -> String {
        let Self {
            key, cursor, wish, ..
        } = self;
        get(&format!(
            "/poll?channels=a&since={cursor}&nonce=n{number}&session={key}{wish}"
        ))
    }

    async fn ask(&mut self) {
        self.number += 1;
        let request = self.request(self.number);
        self.wire.send(request).await;
    }

    /// The frames of the answer, which must be the one to what was asked last.
    async fn frames(&mut self) -> Vec<Value> {
        let answer = self.wire.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["nonce"], json!(format!("n{}", self.number)));
        self.cursor = answer["cursor"].as_str().unwrap().to_owned();
        answer["frames"].as_array().unwrap().clone()
    }

    /// The data of its events; it is told nothing else.
    async fn data(&mut self) -> Vec<Value> {
        let frames = self.frames().await;
        let data = |frame: &Value| {
            assert_eq!(frame["type"], "event", "{frame}");
            frame["data"].clone()
        };
        frames.iter().map(data).collect()
    }
}

async fn readers_are(server: &Server, count: usize) {
    eventually(&format!("{count} polls held"), || async {
        server.metric(READERS).await == count as f64
    })
    .await;
}

/// Publishes a number; gives how many polls were held then.
async fn publish(server: &Server, number: usize) -> Value {
    let body = number.to_string();
    let answer = server.post("/pub/a", "application/json", body).await.json();
    answer["reached"]["poll"].clone()
}

/// So many clients, all of them held.
async fn crowd(server: &Server, count: usize, wish: &str) -> Vec<Chain> {
    let mut chains = Vec::new();
    for _ in 0..count {
        chains.push(Chain::open(server, wish).await);
    }
    for round in 0..2 {
        for chain in &mut chains {
            chain.ask().await;
        }
        readers_are(server, count).await;
        // Those who came first may wait for themselves; from the second time on all are at one place.
        if round == 0 {
            assert_eq!(publish(server, 0).await, json!(count));
            for chain in &mut chains {
                assert_eq!(chain.data().await, [json!(0)]);
            }
        }
    }
    chains
}

/// A hub that forgets nothing, and refuses nobody.
fn remembering() -> Server {
    Server::plain(|builder, _| {
        builder.hub.history_events = None;
        builder.hub.history_bytes = None;
        builder.hub.history_total = None;
        builder.broker.rate = None;
        builder.broker.max_data = 2 * LARGE_BYTES;
    })
}

async fn flow(hub: triway::Hub, publisher: usize) {
    for number in 0..EVENTS {
        let data = Data::json(format!("[{publisher},{number}]").as_bytes()).unwrap();
        hub.publish("a", data).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Polls until it has all that flows: each event once, and each publisher's in order.
async fn follow(mut chain: Chain) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    let mut next = [0; PUBLISHERS];
    while told.len() < PUBLISHERS * EVENTS {
        for data in chain.data().await {
            let publisher = data[0].as_u64().unwrap() as usize;
            assert_eq!(data[1], next[publisher], "lost, twice or out of order");
            next[publisher] += 1;
            told.push(data);
        }
        if told.len() < PUBLISHERS * EVENTS {
            chain.ask().await;
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_gets_every_event_once_whoever_answers() {
    let server = remembering();
    let chains = crowd(&server, CROWD, "").await;
    let before = server.metric(DELIVERED).await;
    let mut following = JoinSet::new();
    for chain in chains {
        following.spawn(follow(chain));
    }
    for publisher in 0..PUBLISHERS {
        tokio::spawn(flow(server.hub.clone(), publisher));
    }
    let all = in_time(following.join_all()).await;
    assert!(all.iter().all(|told| *told == all[0]), "one order for all");
    readers_are(&server, 0).await;
    let delivered = (CROWD * PUBLISHERS * EVENTS) as f64;
    eventually("all are counted as delivered", || async {
        server.metric(DELIVERED).await == before + delivered
    })
    .await;
    assert_eq!(publish(&server, 0).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hold_that_ends_just_when_an_event_comes_is_answered_once() {
    let server = remembering();
    let mut chains = crowd(&server, CROWD, "").await;
    for chain in &mut chains {
        chain.wish = "&wait=0.05".to_owned();
    }
    let hub = server.hub.clone();
    let mut told = vec![Vec::new(); CROWD];
    let flowing = tokio::spawn(async move {
        for number in 1..=HOLDS {
            let data = Data::json(number.to_string().as_bytes()).unwrap();
            hub.publish("a", data).await.unwrap();
            // Around the end of a hold, which the wheel tells in steps of 25 ms.
            tokio::time::sleep(Duration::from_millis(45 + number % 40)).await;
        }
    });
    while !told.iter().all(|told| told.last() == Some(&json!(HOLDS))) {
        for (chain, told) in chains.iter_mut().zip(&mut told) {
            told.extend(chain.data().await);
            chain.ask().await;
        }
    }
    flowing.await.unwrap();
    let numbers: Vec<Value> = (1..=HOLDS).map(|number| json!(number)).collect();
    assert!(told.iter().all(|told| *told == numbers), "{told:?}");
}

/// An answer in its bytes, but for what differs between any two.
fn shape(answer: &Answer) -> (Vec<(String, String)>, String) {
    let mut headers = answer.headers.clone();
    headers.iter_mut().for_each(|(name, value)| {
        if name == "date" {
            assert!(value.ends_with(" GMT"), "{value}");
            value.clear();
        }
    });
    (headers, answer.text())
}

#[tokio::test]
async fn an_answer_is_the_same_for_one_and_for_many() {
    let server = Server::plain(|_, _| {});
    let mut chains = crowd(&server, 6, "").await;
    let mut alone = Chain::open(&server, "&echo=0").await;
    alone.cursor = chains[0].cursor.clone();
    alone.number = chains[0].number - 1;
    // One that does not want its own events waits by itself.
    alone.ask().await;
    readers_are(&server, 7).await;
    assert_eq!(publish(&server, 1).await, 7);
    let expected = shape(&alone.wire.answer().await);
    for chain in &mut chains {
        assert_eq!(shape(&chain.wire.answer().await), expected);
    }
}

#[tokio::test]
async fn between_two_polls_nobody_is_read_to() {
    let server = Server::plain(|_, _| {});
    let mut chains = crowd(&server, CROWD, "").await;
    for number in 1..=20 {
        assert_eq!(publish(&server, number).await, CROWD);
        for chain in &mut chains {
            assert_eq!(chain.data().await, [json!(number)]);
        }
        assert_eq!(server.metric(READERS).await, 0.0);
        assert_eq!(publish(&server, 100 + number).await, 0);
        for chain in &mut chains {
            chain.ask().await;
            assert_eq!(chain.data().await, [json!(100 + number)]);
            chain.ask().await;
        }
        readers_are(&server, CROWD).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "load: keeps all cores busy, and with them every story beside it"]
async fn whoever_has_his_answer_is_counted_no_more() {
    let server = remembering();
    let mut chains = crowd(&server, CROWD, "").await;
    // Those of a hub without threads to spare are cut off between any two steps.
    let busy = Arc::new(AtomicBool::new(true));
    for _ in 0..3 {
        let busy = busy.clone();
        std::thread::spawn(move || while busy.load(Ordering::Relaxed) {});
    }
    let (hub, mut counted) = (server.hub.clone(), Vec::new());
    let data = || Data::json(b"1").unwrap();
    for _ in 0..ANSWERS {
        hub.publish("a", data()).await.unwrap();
        for chain in chains.iter_mut().rev() {
            assert_eq!(chain.data().await, [json!(1)]);
        }
        let reached = hub.publish("a", data()).await.unwrap().reached;
        counted.push(reached.poll);
        for chain in &mut chains {
            chain.ask().await;
            assert_eq!(chain.data().await, [json!(1)]);
            chain.ask().await;
        }
        readers_are(&server, CROWD).await;
    }
    busy.store(false, Ordering::Relaxed);
    assert!(counted.iter().all(|count| *count == 0), "{counted:?}");
}

#[tokio::test]
async fn a_poll_that_is_answered_is_no_attach_of_its_session() {
    let server = Server::plain(|_, _| {});
    let mut chains = crowd(&server, 6, "").await;
    let stream = format!("/sse/b?format=full&session={}", chains[0].key);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut wire = server.send(get(&stream)).await;
        assert_eq!(wire.block_json().await["type"], "hello");
        streams.push(wire);
    }
    publish(&server, 1).await;
    assert_eq!(chains[0].data().await, [json!(1)]);
    // The fourth that lives: none of them must end.
    let mut wire = server.send(get(&stream)).await;
    assert_eq!(wire.block_json().await["type"], "hello");
    streams.push(wire);
    server.publish("b", "to all").await;
    for wire in &mut streams {
        assert_eq!(wire.block_json().await["data"], "to all");
    }
    // The poll that comes is a fifth, and ends the oldest.
    chains[0].ask().await;
    assert_eq!(streams[0].block_json().await["type"], "bye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_ahead_is_answered_in_turn() {
    let server = remembering();
    let mut chains = crowd(&server, CROWD, "").await;
    for number in 1..=200 {
        // The next poll comes while this one is held, or just when it is answered.
        let ahead = chains[0].request(chains[0].number + 1);
        let (_, reached) = tokio::join!(chains[0].wire.send(ahead), publish(&server, number));
        assert_eq!(reached, CROWD);
        assert_eq!(chains[0].data().await, [json!(number)]);
        // It goes on from where the one before it began.
        chains[0].number += 1;
        assert_eq!(chains[0].data().await, [json!(number)]);
        chains[0].ask().await;
        for chain in &mut chains[1..] {
            assert_eq!(chain.data().await, [json!(number)]);
            chain.ask().await;
        }
        readers_are(&server, CROWD).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_an_answer_slowly_gets_it_whole() {
    let server = remembering();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = in_time(socket.connect(server.address)).await.unwrap();
    let mut slow = Chain::over(&server, Wire::over(stream), "").await;
    let mut chains = crowd(&server, 6, "").await;
    slow.cursor = chains[0].cursor.clone();
    slow.ask().await;
    readers_are(&server, 7).await;
    let text = "x".repeat(LARGE_BYTES);
    let data = Data::text(&text);
    server.hub.publish("a", data).await.unwrap();
    for chain in &mut chains {
        assert!(chain.data().await == [json!(text)]);
        chain.ask().await;
    }
    readers_are(&server, 6).await;
    publish(&server, 1).await;
    for chain in &mut chains {
        assert_eq!(chain.data().await, [json!(1)]);
    }
    assert!(slow.data().await == [json!(text)]);
    slow.ask().await;
    assert_eq!(slow.data().await, [json!(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_goes_just_when_it_is_answered_is_no_reader_any_more() {
    let server = remembering();
    for round in 0..40 {
        let mut chains = crowd(&server, 8, "").await;
        let leaving = chains.split_off(4);
        let going = tokio::spawn(async move {
            for (number, chain) in leaving.into_iter().enumerate() {
                if number % 2 == 0 {
                    chain.wire.reset();
                }
                tokio::task::yield_now().await;
            }
        });
        let data = Data::json(round.to_string().as_bytes()).unwrap();
        server.hub.publish("a", data).await.unwrap();
        going.await.unwrap();
        for chain in &mut chains {
            assert_eq!(chain.data().await, [json!(round)]);
        }
        readers_are(&server, 0).await;
        assert_eq!(publish(&server, 0).await, 0);
    }
}

#[tokio::test]
async fn who_was_away_for_long_goes_on_where_it_was() {
    let server = Server::plain(|_, _| {});
    let mut chains = crowd(&server, 6, "").await;
    for number in 1..=3 {
        publish(&server, number).await;
        for chain in &mut chains {
            assert_eq!(chain.data().await, [json!(number)]);
        }
        // Time itself is what is tested here: a place is lost by it.
        tokio::time::sleep(AWAY).await;
        assert_eq!(publish(&server, 100 + number).await, 0);
        for chain in &mut chains {
            chain.ask().await;
            assert_eq!(chain.data().await, [json!(100 + number)]);
            chain.ask().await;
        }
        readers_are(&server, 6).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_who_is_held_and_who_was_just_answered() {
    for round in 0..10 {
        let mut server = remembering();
        let mut chains = crowd(&server, CROWD, "").await;
        publish(&server, 1).await;
        for chain in &mut chains[..CROWD / 2] {
            assert_eq!(chain.data().await, [json!(1)]);
        }
        if round % 2 == 0 {
            // Those come back just now.
            for chain in &mut chains[..CROWD / 4] {
                chain.ask().await;
            }
        }
        server.begin_shutdown();
        for chain in &mut chains {
            // Each is told what it asked for, or that it should come elsewhere, and then the connection ends.
            while let Some(answer) = in_time(chain.wire.try_answer()).await {
                let is_told = answer.status == 503 || !answer.json()["frames"].is_null();
                assert!(is_told, "{answer:?}");
            }
        }
        drop(chains);
        let drained = server.drained().await;
        assert_eq!(drained.cut, 0, "{drained:?}");
    }
}
