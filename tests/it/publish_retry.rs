//! A client that publishes through a faulty network: for every method and any number of retries, each of its events
//! arrives once and in its order.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Ask, Dice, Fate, Reader, Relay, Server, Tally, Told, Via, Wire, encode, in_time, parts,
};

/// Events that one client publishes.
const COUNT: u64 = 400;
/// Time that the client waits for a response before it retries by another method.
const ANSWER: Duration = Duration::from_millis(250);
/// Highest number of commands in one request.
const BATCH: u64 = 6;

/// A session that publishes numbers under numbered keys.
struct Sender {
    wire: Wire,
    id: String,
    key: String,
    socket: Option<Reader>,
    /// The event id of each number.
    ids: BTreeMap<u64, String>,
}

impl Sender {
    async fn new(server: &Server, relay: &Relay) -> Self {
        let mut reader = server.wire.open(Via::Sse, &Ask::of(["other"])).await;
        reader.expect_type("hello").await;
        Self {
            wire: relay.wire.clone(),
            id: reader.session_id.clone().unwrap(),
            key: reader.session_key.clone().unwrap(),
            socket: None,
            ids: BTreeMap::new(),
        }
    }

    /// Returns the first number without a response.
    fn due(&self) -> u64 {
        self.ids.len() as u64
    }

    fn command(&self, number: u64) -> Value {
        json!({
            "type": "publish", "channel": "lobby", "data": number,
            "key": format!("{}:{number}", self.id), "ref": number,
        })
    }

    /// Records a response. Every response for the same number must contain the same id.
    fn answered(&mut self, number: u64, id: &Value) {
        let id = id.as_str().unwrap().to_owned();
        let known = self.ids.entry(number).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "another answer for {number}");
    }

    /// Makes one attempt by `POST /send`. Repeats the last answered number, as a client that lost the response does.
    async fn post(&mut self) -> Option<()> {
        let first = self.due().saturating_sub(1);
        let numbers = first..(self.due() + BATCH).min(COUNT);
        let commands: Vec<Value> = numbers.map(|number| self.command(number)).collect();
        let path = format!("/send?session={}", encode(&self.key));
        let request = self
            .wire
            .request("POST", &path)
            .body(json!(commands).to_string());
        let answer = self.wire.try_ask(request).await.ok()?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.take_replies(answer.json().as_array().unwrap());
        Some(())
    }

    /// Makes one attempt by GET, which clients with blocked POSTs use.
    async fn get(&mut self) -> Option<()> {
        let number = self.due();
        let path = format!(
            "/pub/lobby?session={}&key={}&data={number}",
            encode(&self.key),
            encode(&format!("{}:{number}", self.id)),
        );
        let answer = self
            .wire
            .try_ask(self.wire.request("GET", &path))
            .await
            .ok()?;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.answered(number, &answer.json()["id"]);
        Some(())
    }

    /// Sends commands over a WebSocket, which stays open until the network breaks it.
    async fn socket(&mut self) -> Option<()> {
        if self.socket.is_none() {
            let ask = Ask::of(["other"]).session(&self.key);
            self.socket = Some(self.wire.try_open(Via::Ws, &ask).await.ok()?);
        }
        let numbers = self.due()..(self.due() + BATCH).min(COUNT);
        let last = numbers.end - 1;
        let commands: Vec<Value> = numbers.map(|number| self.command(number)).collect();
        let mut socket = self.socket.take()?;
        for command in commands {
            socket.send_text(&command).await.ok()?;
        }
        while self.due() <= last {
            let frame = socket.frame().await.ok()?;
            if frame["type"] == "reply" {
                self.take_replies(&[frame]);
            }
        }
        self.socket = Some(socket);
        Some(())
    }

    fn take_replies(&mut self, replies: &[Value]) {
        for reply in replies {
            assert_eq!(reply["ok"], true, "{reply}");
            self.answered(reply["ref"].as_u64().unwrap(), &reply["id"]);
        }
    }
}

/// Publishes everything by these methods, through all faults of the network.
async fn story(ways: &[&str]) {
    let server = Server::start();
    let mut dice = Dice::new();
    let mut fates = dice.split();
    let relay = Relay::with(&server.wire, move || {
        let bytes = fates.below(4_000);
        fates.one_of(&[Fate::Cut(bytes), Fate::Reset(bytes), Fate::Swallow(bytes)])
    })
    .await;
    let mut reader = server.wire.open(Via::Ws, &Ask::of(["lobby"])).await;
    reader.expect_type("hello").await;
    let mut sender = Sender::new(&server, &relay).await;
    let mut failed = 0;
    let sending = async {
        while sender.due() < COUNT {
            let tried = match dice.one_of(ways) {
                "post" => tokio::time::timeout(ANSWER, sender.post()).await,
                "get" => tokio::time::timeout(ANSWER, sender.get()).await,
                _ => tokio::time::timeout(ANSWER, sender.socket()).await,
            };
            failed += u64::from(!matches!(tried, Ok(Some(()))));
        }
    };
    in_time("all is published", sending).await;
    assert!(failed > 10, "{failed} tries failed");
    let offsets: Vec<u64> = sender.ids.values().map(|id| parts(id).1).collect();
    assert!(offsets.is_sorted_by(|one, next| one < next), "{offsets:?}");
    let mut tally = Tally::default();
    for number in 0..COUNT {
        let event = reader.expect_told().await;
        assert_eq!(event["id"], json!(sender.ids[&number]));
        assert_eq!(event["from"], json!(sender.id));
        tally.take(&Told::Event(event));
    }
    let history = server.wire.get_json("/history/lobby?limit=1000").await;
    assert_eq!(
        history["frames"].as_array().unwrap().len() as u64,
        COUNT,
        "nothing twice"
    );
}

#[tokio::test]
async fn by_post_each_event_arrives_once() {
    story(&["post"]).await;
}

#[tokio::test]
async fn by_websocket_each_event_arrives_once() {
    story(&["ws"]).await;
}

#[tokio::test]
async fn by_get_each_event_arrives_once() {
    story(&["get"]).await;
}

#[tokio::test]
async fn by_changing_methods_each_event_arrives_once() {
    story(&["post", "ws", "get"]).await;
}
