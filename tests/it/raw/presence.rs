//! Presence over the wire: which members are announced and listed, and when a member is gone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::exact_bytes::{Server, Wire, eventually, get, session_of};
use super::ws_client::{FIN, PING, PONG, Ws, close, frame};

const GRACE: Duration = Duration::from_millis(600);

fn server() -> Server {
    Server::with(|builder, _| builder.presence.grace = GRACE)
}

/// A reader of one channel's presence events. It prints them as `join s1 1`, with the info of the member.
struct Witness(Ws);

impl Witness {
    async fn of(server: &Server, channel: &str) -> Self {
        let mut ws = Ws::open(server, &format!("/ws/$presence/{channel}")).await;
        assert_eq!(ws.json().await["type"], "hello");
        Self(ws)
    }

    async fn told(&mut self) -> String {
        let event = self.0.json().await;
        let data = &event["data"];
        assert!(event.get("from").is_none(), "the hub's own: {event}");
        format!(
            "{} {} {}",
            event["name"].as_str().unwrap(),
            data["info"].as_str().unwrap_or("-"),
            data["count"]
        )
    }

    /// Asserts that no presence event arrives within this time.
    async fn told_nothing_for(&mut self, time: Duration) {
        let waited = tokio::time::timeout(time, self.0.json()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
}

async fn count(server: &Server, channel: &str) -> u64 {
    server.get(&format!("/presence/{channel}")).await.json()["count"]
        .as_u64()
        .unwrap()
}

async fn open(server: &Server, who: &str) -> Ws {
    let mut ws = Ws::open(server, &format!("/ws/room?presence=1&info=%22{who}%22")).await;
    assert_eq!(ws.json().await["type"], "hello");
    ws
}

#[tokio::test]
async fn joins_are_announced_and_members_listed_with_their_info() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    let ann = open(&server, "ann").await;
    assert_eq!(witness.told().await, "join ann 1");
    let mut sse = server
        .send(get("/sse/room?presence=1&info=%22bob%22"))
        .await;
    sse.head().await;
    assert_eq!(witness.told().await, "join bob 2");
    let quiet = Ws::open(&server, "/ws/room").await;
    let listed = server.get("/presence/room").await.json();
    assert_eq!(
        (&listed["channel"], &listed["count"]),
        (&json!("room"), &json!(2))
    );
    let infos: Vec<&Value> = listed["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            assert!(
                member["id"].as_str().unwrap().starts_with('s')
                    && member["since"].as_u64().is_some(),
                "{member}"
            );
            &member["info"]
        })
        .collect();
    assert_eq!(
        infos,
        ["ann", "bob"],
        "the eldest first, and only who wants to be seen"
    );
    drop((ann, quiet, sse));
    let mut gone = [witness.told().await, witness.told().await];
    gone.sort();
    assert!(
        gone[0].starts_with("leave ann") && gone[1].starts_with("leave bob"),
        "{gone:?}"
    );
    let history = server.get("/history/room").await.json();
    assert_eq!(
        history["frames"],
        json!([]),
        "the channel's own history holds none of it"
    );
}

#[tokio::test]
async fn a_clean_close_is_announced_at_once_and_a_reset_after_the_grace() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    for (code, at_once) in [
        (Some(1000), true),
        (Some(1001), true),
        (Some(3000), false),
        (None, false),
    ] {
        let mut ws = open(&server, "ann").await;
        assert_eq!(witness.told().await, "join ann 1");
        let began = Instant::now();
        match code {
            Some(code) => ws.send(close(code, "")).await,
            None => ws.wire.reset(),
        }
        assert_eq!(witness.told().await, "leave ann 0");
        assert_eq!(
            began.elapsed() < GRACE / 2,
            at_once,
            "{code:?}: {:?}",
            began.elapsed()
        );
        assert!(
            at_once || began.elapsed() >= GRACE,
            "{code:?}: {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_change_of_transport_announces_no_leave() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    let mut ws = Ws::open(&server, "/ws/room?presence=1&info=%22ann%22").await;
    let (_, key) = session_of(&ws.json().await);
    assert_eq!(witness.told().await, "join ann 1");
    let parameters = format!("presence=1&info=%22ann%22&session={key}");
    // First make before break: to SSE and then to polls. Then the connection breaks first, and WS follows within the
    // grace period.
    let mut sse = server.send(get(&format!("/sse/room?{parameters}"))).await;
    sse.head().await;
    ws.send(close(1000, "")).await;
    ws.until_close().await;
    let first = server.get(&format!("/poll/room?{parameters}")).await.json();
    sse.reset();
    let mut cursor = first["cursor"].as_str().unwrap().to_owned();
    let began = Instant::now();
    while began.elapsed() < GRACE * 2 {
        let poll = server
            .get(&format!("/poll/room?{parameters}&since={cursor}&wait=0.1"))
            .await
            .json();
        cursor = poll["cursor"].as_str().unwrap().to_owned();
        tokio::time::sleep(GRACE / 4).await;
    }
    let mut back = Ws::open(&server, &format!("/ws/room?{parameters}")).await;
    back.json().await;
    witness.told_nothing_for(GRACE * 2).await;
    assert_eq!(count(&server, "room").await, 1);
    back.send(close(1000, "")).await;
    assert_eq!(witness.told().await, "leave ann 0");
}

#[tokio::test]
async fn a_beacon_ends_presence_at_once() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    let mut sse = server
        .send(get("/sse/room?presence=1&info=%22ann%22&format=full"))
        .await;
    sse.head().await;
    let (_, key) = session_of(&sse.block_json().await);
    assert_eq!(witness.told().await, "join ann 1");
    let began = Instant::now();
    // In the form of navigator.sendBeacon: text/plain, without further headers.
    let answer = server
        .post(
            &format!("/send?session={key}"),
            "text/plain;charset=UTF-8",
            r#"[{"type":"leave"}]"#,
        )
        .await;
    assert_eq!(answer.json()[0]["ok"], true);
    drop(sse);
    assert_eq!(witness.told().await, "leave ann 0");
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
    witness.told_nothing_for(GRACE * 2).await;
}

#[tokio::test]
async fn a_half_open_peer_is_gone_after_two_heartbeats_and_the_grace() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    // An open and silent connection: the client reads and answers nothing, and its socket stays open.
    let began = Instant::now();
    let mut ws = Ws::open(&server, "/ws/room?presence=1&info=%22ann%22&heartbeat=1").await;
    ws.json().await;
    // An event stream whose client confirms once that it is alive, and never again.
    let mut sse = server
        .send(get(
            "/sse/room?presence=1&info=%22bob%22&heartbeat=1&format=full",
        ))
        .await;
    sse.head().await;
    let (_, key) = session_of(&sse.block_json().await);
    server
        .post(
            &format!("/send?session={key}"),
            "text/plain",
            r#"[{"type":"ping"}]"#,
        )
        .await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(witness.told().await);
        keep_alive(&mut witness).await;
    }
    assert!(
        told[0].starts_with("join") && told[1].starts_with("join"),
        "{told:?}"
    );
    assert!(
        told[2].starts_with("leave")
            && told[3]
                == format!(
                    "leave {} 0",
                    if told[2].contains("ann") {
                        "bob"
                    } else {
                        "ann"
                    }
                ),
        "{told:?}"
    );
    let most = Duration::from_secs(3) + GRACE + Duration::from_secs(1);
    assert!(began.elapsed() < most, "{:?}", began.elapsed());
    sse.until("\"code\":3005").await;
}

async fn keep_alive(witness: &mut Witness) {
    witness.0.send(frame(FIN | PONG, b"")).await;
}

#[tokio::test]
async fn a_stream_without_pings_is_present_while_its_socket_is_open() {
    let server = server();
    let mut sse = server.send(get("/sse/room?presence=1&heartbeat=1")).await;
    sse.head().await;
    for _ in 0..4 {
        sse.until(": ping").await;
    }
    assert_eq!(
        count(&server, "room").await,
        1,
        "curl never says that it lives"
    );
}

#[tokio::test]
async fn presence_follows_subscribe_and_unsubscribe() {
    let server = server();
    let mut witness = Witness::of(&server, "other").await;
    let mut ws = open(&server, "ann").await;
    assert_eq!(
        ws.command(json!({"type": "subscribe", "channel": "other"}))
            .await["ok"],
        true
    );
    assert_eq!(witness.told().await, "join ann 1");
    assert_eq!(
        ws.command(json!({"type": "presence", "channel": "other"}))
            .await["count"],
        1
    );
    assert_eq!(
        ws.command(json!({"type": "unsubscribe", "channel": "other"}))
            .await["ok"],
        true
    );
    assert_eq!(witness.told().await, "leave ann 0");
    assert_eq!(ws.command(json!({"type": "leave"})).await["ok"], true);
    assert_eq!(count(&server, "room").await, 0);
    assert_eq!(
        ws.command(json!({"type": "ping"})).await["ok"],
        true,
        "it reads on, unseen"
    );
}

#[tokio::test]
async fn must_presence_4_a_session_is_present_where_it_reads_presence() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    let mut ws = Ws::open(&server, "/ws/other,room?presence=watched&info=%22ann%22").await;
    assert_eq!(ws.json().await["type"], "hello");
    for round in 0..2 {
        assert_eq!(count(&server, "room").await, 0, "round {round}");
        let watch = json!({"type": "subscribe", "channel": "$presence/room"});
        ws.command(watch).await;
        assert_eq!(witness.told().await, "join ann 1");
        assert_eq!(count(&server, "other").await, 0);
        let ignore = json!({"type": "unsubscribe", "channel": "$presence/room"});
        assert_eq!(ws.command(ignore).await["ok"], true);
        assert_eq!(witness.told().await, "leave ann 0");
    }
    // A reader may subscribe to the channel after its presence channel, and unsubscribe from it earlier.
    let mut late = Ws::open(
        &server,
        "/ws/$presence%2Froom,other?presence=watched&info=%22bob%22",
    )
    .await;
    assert_eq!(late.json().await["type"], "hello");
    late.command(json!({"type": "subscribe", "channel": "room"}))
        .await;
    assert_eq!(witness.told().await, "join bob 1");
    late.command(json!({"type": "unsubscribe", "channel": "room"}))
        .await;
    assert_eq!(witness.told().await, "leave bob 0");
    let mut sse = server
        .send(get(
            "/sse/$presence%2Froom,room?presence=watched&info=%22eve%22",
        ))
        .await;
    sse.head().await;
    assert_eq!(witness.told().await, "join eve 1");
}

#[tokio::test]
async fn a_large_room_announces_its_count_and_lists_a_thousand() {
    let server = server();
    let mut all: Vec<Wire> = Vec::new();
    for number in 0..230 {
        let mut wire = server
            .send(get(&format!("/sse/room?presence=1&info={number}")))
            .await;
        wire.head().await;
        all.push(wire);
    }
    let told = server.get("/poll/$presence/room?since=all").await.json();
    let names: Vec<&str> = told["frames"].as_array().unwrap()[1..]
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.iter().filter(|name| **name == "join").count(), 200);
    eventually("a count of all", async || {
        let last = server
            .get("/history/$presence/room?since=last:1")
            .await
            .json();
        last["frames"][0]["name"] == "count" && last["frames"][0]["data"] == json!({"count": 230})
    })
    .await;
    let listed = server.get("/presence/room").await.json();
    assert_eq!(
        (
            &listed["count"],
            listed["members"].as_array().unwrap().len()
        ),
        (&json!(230), 230)
    );
    all.truncate(100);
    eventually("the room empties", async || {
        count(&server, "room").await == 100
    })
    .await;
}

#[tokio::test]
async fn info_is_bounded_and_stays_plain_data() {
    let server = server();
    let info = |bytes: usize| format!("/poll/room?presence=1&info=%22{}%22", "x".repeat(bytes - 2));
    assert_eq!(server.get(&info(1_024)).await.status, 200);
    super::refusals::assert_refused(&server.get(&info(1_025)).await, 400, "bad_parameter");
    let hostile = "{%22a%22:%22%3Cscript%3E%5Cn%22,%22a%22:1e400}";
    assert_eq!(
        server
            .get(&format!("/poll/hostile?presence=1&info={hostile}"))
            .await
            .status,
        200
    );
    let listed = server.get("/presence/hostile").await;
    assert!(
        listed
            .text()
            .contains(r#""info":{"a":"<script>\n","a":1e400}"#),
        "kept as it was sent: {}",
        listed.text()
    );
    let mut ping = Ws::open(&server, "/ws/room?presence=1&info=null").await;
    assert_eq!(ping.json().await["type"], "hello");
    ping.send(frame(FIN | PING, b"")).await;
}

#[tokio::test]
async fn unread_presence_channels_make_room_for_channels_that_are_read() {
    let server = Server::with(|builder, _| {
        builder.hub.hub_channels = Some(300);
        builder.presence.grace = GRACE;
    });
    let names = |who: usize| {
        let names: Vec<String> = (0..100).map(|number| format!("r{who}.{number}")).collect();
        names.join(",")
    };
    let mut witness = Witness::of(&server, "r0.0").await;
    // A hundred channels each, and as many presence channels: twice the number that fits.
    let mut all = Vec::new();
    for who in 0..2 {
        let target = format!("/ws/{}?presence=1&info={who}", names(who));
        all.push(Ws::open(&server, &target).await);
        assert_eq!(all[who].json().await["type"], "hello", "not refused");
    }
    assert_eq!(witness.told().await, "join - 1", "who is read is kept");
    let mut third = Ws::open(&server, "/ws/last?presence=1").await;
    assert_eq!(third.json().await["type"], "hello");
    for number in 0..96 {
        let subscribe = json!({"type": "subscribe", "channel": format!("l{number}")});
        assert_eq!(third.command(subscribe).await["ok"], true, "{number}");
    }
    let channels = async || server.metric("triway_channels").await;
    assert!(channels().await <= 300.0, "{}", channels().await);
    // A member that could not be announced is listed nevertheless.
    for channel in ["r0.99", "r1.99", "l95"] {
        assert_eq!(count(&server, channel).await, 1, "{channel}");
    }
    all.truncate(1);
    eventually("gone after the grace", async || {
        count(&server, "r1.99").await == 0
    })
    .await;
    assert_eq!(count(&server, "r0.99").await, 1);
}

#[tokio::test]
async fn a_close_soon_after_the_last_poll_is_announced_at_once() {
    let server = server();
    let mut witness = Witness::of(&server, "room").await;
    let polled = server.get("/poll/room?presence=1&info=%22ann%22").await;
    let (_, key) = session_of(&polled.json()["frames"][0]);
    assert_eq!(witness.told().await, "join ann 1");
    let target = format!("/ws/room?presence=1&info=%22ann%22&session={key}");
    let mut ws = Ws::open(&server, &target).await;
    assert_eq!(ws.json().await["type"], "hello");
    let began = Instant::now();
    ws.send(close(1000, "")).await;
    assert_eq!(witness.told().await, "leave ann 0");
    assert!(began.elapsed() < GRACE / 2, "{:?}", began.elapsed());
}
