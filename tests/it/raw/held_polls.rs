//! Many held polls of one channel that share a fan-out task: each is answered once, as if it were the only one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use triway::Data;

use super::exact_bytes::{Answer, Server, Wire, eventually, get, in_time};

const READERS: &str = "triway_readers{transport=\"poll\"}";
const DELIVERED: &str = "triway_delivered_total{transport=\"poll\"}";
const CROWD: usize = 12;
const PUBLISHERS: usize = 3;
const EVENTS: usize = 1_500;
/// More than a socket accepts at once.
const LARGE_BYTES: usize = 12 * 1024 * 1024;
/// Events around the end of a hold.
const HOLDS: u64 = 40;
/// Number of responses after which the test checks the reader count at once.
const ANSWERS: usize = 400;
/// Longer than the time for which a parked poll keeps its subscription.
const AWAY: Duration = Duration::from_millis(900);

/// One client that polls on one connection.
struct Chain {
    wire: Wire,
    key: String,
    cursor: String,
    /// Query parameters besides the cursor.
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

    /// Returns the frames of the response, which must belong to the last request.
    async fn frames(&mut self) -> Vec<Value> {
        let answer = self.wire.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["nonce"], json!(format!("n{}", self.number)));
        self.cursor = answer["cursor"].as_str().unwrap().to_owned();
        answer["frames"].as_array().unwrap().clone()
    }

    /// Returns the data of the response's events. The response may contain no other frame.
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

/// Publishes a number. Returns how many polls were held at that moment.
async fn publish(server: &Server, number: usize) -> Value {
    let body = number.to_string();
    let answer = server.post("/pub/a", "application/json", body).await.json();
    answer["reached"]["poll"].clone()
}

/// Opens `count` clients and waits until all their polls are held.
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
        // In the first round, a poll may be held by its own task. From the second round on, the fan-out task holds all
        // of them.
        if round == 0 {
            assert_eq!(publish(server, 0).await, json!(count));
            for chain in &mut chains {
                assert_eq!(chain.data().await, [json!(0)]);
            }
        }
    }
    chains
}

/// Starts a hub whose logs have no bound and which has no rate limit.
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
        let data = Data::from_json(format!("[{publisher},{number}]").as_bytes()).unwrap();
        hub.publish("a", data).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Polls until all events have arrived: each event once, and each publisher's in order.
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
async fn each_held_poll_gets_every_event_once() {
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
async fn a_hold_that_ends_together_with_an_event_is_answered_once() {
    let server = remembering();
    let mut chains = crowd(&server, CROWD, "").await;
    for chain in &mut chains {
        chain.wish = "&wait=0.05".to_owned();
    }
    let hub = server.hub.clone();
    let mut told = vec![Vec::new(); CROWD];
    let flowing = tokio::spawn(async move {
        for number in 1..=HOLDS {
            let data = Data::from_json(number.to_string().as_bytes()).unwrap();
            hub.publish("a", data).await.unwrap();
            // Publish around the end of a hold. The timer wheel signals that end in steps of 25 ms.
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

/// Returns the bytes of a response without the parts that differ between any two responses.
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
async fn a_fan_out_task_writes_the_same_answer_as_a_single_poll() {
    let server = Server::plain(|_, _| {});
    let mut chains = crowd(&server, 6, "").await;
    let mut alone = Chain::open(&server, "&echo=0").await;
    alone.cursor = chains[0].cursor.clone();
    alone.number = chains[0].number - 1;
    // A poll that excludes its own events is held by its own task.
    alone.ask().await;
    readers_are(&server, 7).await;
    assert_eq!(publish(&server, 1).await, 7);
    let expected = shape(&alone.wire.answer().await);
    for chain in &mut chains {
        assert_eq!(shape(&chain.wire.answer().await), expected);
    }
}

#[tokio::test]
async fn a_client_between_two_polls_does_not_count_as_a_reader() {
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
async fn an_answered_poll_no_longer_counts_as_a_reader() {
    let server = remembering();
    let mut chains = crowd(&server, CROWD, "").await;
    // These threads keep all cores busy. The operating system can then interrupt the hub's tasks between any two steps.
    let busy = Arc::new(AtomicBool::new(true));
    for _ in 0..3 {
        let busy = busy.clone();
        std::thread::spawn(move || while busy.load(Ordering::Relaxed) {});
    }
    let (hub, mut counted) = (server.hub.clone(), Vec::new());
    let data = || Data::from_json(b"1").unwrap();
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
async fn an_answered_poll_is_no_attachment_of_its_session() {
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
    // This is the fourth live attachment, so none of them may be closed.
    let mut wire = server.send(get(&stream)).await;
    assert_eq!(wire.block_json().await["type"], "hello");
    streams.push(wire);
    server.publish("b", "to all").await;
    for wire in &mut streams {
        assert_eq!(wire.block_json().await["data"], "to all");
    }
    // The next poll is a fifth attachment, and closes the oldest.
    chains[0].ask().await;
    assert_eq!(streams[0].block_json().await["type"], "bye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_polls_are_answered_in_order() {
    let server = remembering();
    let mut chains = crowd(&server, CROWD, "").await;
    for number in 1..=200 {
        // The next poll arrives while this one is held, or just when it is answered.
        let ahead = chains[0].request(chains[0].number + 1);
        let (_, reached) = tokio::join!(chains[0].wire.send(ahead), publish(&server, number));
        assert_eq!(reached, CROWD);
        assert_eq!(chains[0].data().await, [json!(number)]);
        // It continues from the same cursor as the poll before it.
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
async fn a_slow_client_gets_its_whole_answer() {
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
async fn a_client_that_leaves_during_its_answer_no_longer_counts() {
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
        let data = Data::from_json(round.to_string().as_bytes()).unwrap();
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
async fn a_client_that_returns_late_continues_from_its_cursor() {
    let server = Server::plain(|_, _| {});
    let mut chains = crowd(&server, 6, "").await;
    for number in 1..=3 {
        publish(&server, number).await;
        for chain in &mut chains {
            assert_eq!(chain.data().await, [json!(number)]);
        }
        // This sleep is the subject of the test: the subscription ends by time alone.
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
async fn a_drain_ends_held_and_just_answered_polls() {
    for round in 0..10 {
        let mut server = remembering();
        let mut chains = crowd(&server, CROWD, "").await;
        publish(&server, 1).await;
        for chain in &mut chains[..CROWD / 2] {
            assert_eq!(chain.data().await, [json!(1)]);
        }
        if round % 2 == 0 {
            // These polls return just before the drain.
            for chain in &mut chains[..CROWD / 4] {
                chain.ask().await;
            }
        }
        server.begin_shutdown();
        for chain in &mut chains {
            // Each poll receives its frames or a refusal with 503. Then the connection closes.
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
