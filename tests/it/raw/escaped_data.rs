//! The sizes in hello. Data within them passes over every publishing address, even if JSON escaping enlarges it
//! greatly.

use serde_json::{Value, json};

use super::exact_bytes::{Server, get, session_of};
use super::refusals::assert_refused;
use super::ws_client::{BINARY, FIN, Ws, frame, text};

/// Returns a text whose every byte takes six bytes in JSON.
fn controls(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

fn publish(data: &str) -> Value {
    json!({"type": "publish", "channel": "a", "data": data})
}

/// Publishes a text over every address that accepts a body. Returns for each address its name, and the outcome:
/// accepted, or the code of the refusal.
async fn by_every_entry(server: &Server, ws: &mut Ws, data: &str) -> Vec<(&'static str, String)> {
    let said = |reply: &Value| match reply["ok"] == true {
        true => "ok".to_owned(),
        false => reply["error"]["code"].as_str().unwrap().to_owned(),
    };
    let mut outcomes = vec![("ws text", said(&ws.command(publish(data)).await))];
    ws.send(frame(FIN | BINARY, publish(data).to_string().as_bytes()))
        .await;
    outcomes.push(("ws binary", said(&ws.json().await)));
    let behind = [
        &br#"{"type":"publish","channel":"a"}"#[..],
        b"\n",
        data.as_bytes(),
    ];
    ws.send(frame(FIN | BINARY, &behind.concat())).await;
    outcomes.push(("ws bytes", said(&ws.json().await)));
    let commands = json!([publish(data)]).to_string();
    let replies = server.post("/send", "text/plain", commands).await;
    outcomes.push(("send", said(&replies.json()[0])));
    let string = json!(data).to_string();
    for (name, kind, body) in [
        ("json", "application/json", string.as_bytes()),
        ("text", "text/plain", data.as_bytes()),
        ("bytes", "image/png", data.as_bytes()),
    ] {
        let answer = server.post("/pub/a", kind, body).await;
        let taken = answer.status == 201;
        outcomes.push((name, if taken { "ok".into() } else { answer.code() }));
    }
    outcomes
}

#[tokio::test]
async fn hello_states_the_limits_on_every_transport() {
    let server = Server::with(|builder, _| {
        builder.broker.max_data = 1_000;
        builder.session.session_channels = None;
    });
    let expected = json!({
        "data": 1_000, "message": 14_192, "body": 1_054_576, "commands": 1_000, "address": 4_096, "info": 1_024,
    });
    let ws = Ws::open(&server, "/ws/a").await.json().await;
    let mut sse = server.send(get("/sse/a?format=full")).await;
    sse.head().await;
    let poll = server.get("/poll/a").await.json();
    for hello in [ws, sse.block_json().await, poll["frames"][0].clone()] {
        assert_eq!(hello["limits"], expected, "{hello}");
    }
    let usual = Ws::open(&Server::start(), "/ws/a").await.json().await;
    assert_eq!(
        usual["limits"],
        json!({
            "data": 65_536, "message": 401_408, "body": 1_441_792, "commands": 1_000, "address": 4_096,
            "info": 1_024, "channels": 100,
        })
    );
}

#[tokio::test]
async fn data_within_the_limit_passes_everywhere_however_much_escaping_enlarges_it() {
    const BYTES: usize = 64 * 1024;
    let server = Server::start();
    let mut ws = Ws::open(&server, "/ws/b").await;
    ws.json().await;
    let mut readers = [
        server.send(get("/sse/a?format=full")).await,
        server.send(get("/sse/a?format=data")).await,
    ];
    for reader in &mut readers {
        reader.head().await;
    }
    let most = controls(BYTES);
    for (entry, outcome) in by_every_entry(&server, &mut ws, &most).await {
        assert_eq!(outcome, "ok", "{entry}");
    }
    let more = controls(BYTES + 1);
    for (entry, outcome) in by_every_entry(&server, &mut ws, &more).await {
        assert_eq!(outcome, "too_large", "{entry}");
    }
    // Every transport and format delivers it.
    let escaped = json!(most).to_string();
    readers[0].until(&escaped).await;
    readers[1].until(&most).await;
    let history = server.get("/history/a?limit=1").await.json();
    assert_eq!(history["frames"][0]["data"], most.as_str());
    let mut reader = Ws::open(&server, "/ws/a?since=all").await;
    reader.json().await;
    assert_eq!(reader.json().await["data"], most.as_str());
    let polled = server.get("/poll/a?since=all").await.json();
    assert_eq!(polled["frames"][1]["data"], most.as_str());
}

#[tokio::test]
async fn a_bare_socket_accepts_the_same_size_as_any_other_address() {
    let server = Server::with(|builder, _| builder.broker.max_data = 1_000);
    let mut bare = Ws::open(&server, "/ws/a?format=data").await;
    bare.send(text(&controls(1_000))).await;
    assert_eq!(bare.frame().await.payload, controls(1_000).as_bytes());
    bare.send(text(&controls(1_001))).await;
    assert_eq!(bare.until_close().await.0, Some(1_009));
}

#[tokio::test]
async fn a_raised_limit_of_data_holds_for_escaped_texts_too() {
    // Escaped, it is larger than the part of an oversized body that is read, and larger than the limit on all bodies
    // together.
    const BYTES: usize = 3 * 1024 * 1024;
    let server = Server::with(|builder, _| {
        builder.broker.max_data = BYTES;
        builder.session.bodies_total = Some(1024 * 1024);
    });
    let mut ws = Ws::open(&server, "/ws/b").await;
    let hello = ws.json().await;
    assert_eq!(hello["limits"]["data"], BYTES);
    for (entry, outcome) in by_every_entry(&server, &mut ws, &controls(BYTES)).await {
        assert_eq!(outcome, "ok", "{entry}");
    }
    for (entry, outcome) in by_every_entry(&server, &mut ws, &controls(BYTES + 1)).await {
        assert_eq!(outcome, "too_large", "{entry}");
    }
}

#[tokio::test]
async fn a_get_publishes_data_up_to_the_length_of_its_address() {
    let server = Server::start();
    let hello = server.get("/poll/a").await.json()["frames"][0].clone();
    let (id, key) = session_of(&hello);
    let most = hello["limits"]["address"].as_u64().unwrap() as usize;
    let target = |data: &str, number| {
        let data = data.replace('\u{1}', "%01");
        format!("/pub/a?session={key}&key={id}:{number}&data={data}")
    };
    let room = (most - target("", 1).len()) / 3;
    let answer = server.get(&target(&controls(room), 1)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let answer = server.get(&target(&controls(room + 1), 2)).await;
    assert_refused(&answer, 413, "too_large");
    let history = server.get("/history/a").await.json();
    assert_eq!(history["frames"][0]["data"], controls(room).as_str());
}
