//! A client that publishes through a network that breaks: by whichever way, and however often it must try again,
//! each of its events is there once, and in its order.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Ask, Dice, Fate, Reader, Relay, Server, Tally, Told, Via, Wire, encode, in_time, parts,
};

/// Events that one client publishes.
const COUNT: u64 = 400;
/// How long the client waits for an answer before it tries another way.
const ANSWER: Duration = Duration::from_millis(250);
/// Commands of one request, at most.
const BATCH: u64 = 6;

/// A session that publishes numbers under numbered keys.
struct Sender {
    wire: Wire,
    id: String,
    key: String,
    socket: Option<Reader>,
    /// The id that each number was given.
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

    /// The first number that has no answer yet.
    fn due(&self) -> u64 {
        self.ids.len() as u64
    }

    fn command(&self, number: u64) -> Value {
        json!({
            "type": "publish", "channel": "lobby", "data": number,
            "key": format!("{}:{number}", self.id), "ref": number,
        })
    }

    /// Takes an answer. The same number is always given the same id.
    fn answered(&mut self, number: u64, id: &Value) {
        let id = id.as_str().unwrap().to_owned();
        let known = self.ids.entry(number).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "another answer for {number}");
    }

    /// One try by `POST /send`. Repeats the last number that was answered, as a client does that lost the answer.
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

    /// One try by a GET, for those whose POSTs are blocked.
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

    /// Commands over a WebSocket, which stays open as long as the network lets it.
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

/// Publishes everything, by the ways that `choose` gives, through whatever breaks.
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
async fn by_post_each_event_is_there_once() {
    story(&["post"]).await;
}

#[tokio::test]
async fn by_web_socket_each_event_is_there_once() {
    story(&["ws"]).await;
}

#[tokio::test]
async fn by_get_each_event_is_there_once() {
    story(&["get"]).await;
}

#[tokio::test]
async fn by_changing_ways_each_event_is_there_once() {
    story(&["post", "ws", "get"]).await;
}
