//! Presence, and messages for a single session, over each transport.

use std::time::Duration;

use serde_json::{Value, json};

use super::{command, events, over_each_transport};
use crate::support::{Ask, End, Reader, Server, Via, encode, until};

over_each_transport![
    presence_is_shown_and_told,
    an_unclean_end_is_told_after_the_grace,
    a_change_of_transport_is_no_leave,
    an_inbox_is_read_by_its_owner_alone,
];

/// Long enough that it does not end unintentionally, and short enough to wait for.
const GRACE: Duration = Duration::from_secs(2);

fn server() -> Server {
    Server::with(|builder| builder.presence.grace = GRACE)
}

/// Returns the members of a room, as reported over HTTP.
async fn members(server: &Server) -> Value {
    server.wire.get_json("/presence/room").await
}

async fn presence_is_shown_and_told(via: Via) {
    let server = server();
    let mut watcher = server.wire.open(via, &Ask::of(["$presence/room"])).await;
    watcher.expect_type("hello").await;
    assert_eq!(
        members(&server).await,
        json!({"channel": "room", "count": 0, "members": []})
    );

    let ask = Ask::of(["room"])
        .with("presence", 1)
        .with("info", json!({"name": "Ann"}));
    let mut ann = server.wire.open(via, &ask).await;
    ann.expect_type("hello").await;
    let id = ann.session_id.clone().unwrap();
    let join = events(&mut watcher, 1).await.remove(0);
    assert_eq!(
        (&join["name"], &join["channel"]),
        (&json!("join"), &json!("$presence/room"))
    );
    let told = json!({"id": id, "info": {"name": "Ann"}, "count": 1});
    assert!(holds(&join["data"], &told), "{join}");
    let listed = members(&server).await;
    assert_eq!(listed["count"], 1);
    assert!(
        holds(
            &listed["members"][0],
            &json!({"id": id, "info": {"name": "Ann"}})
        ),
        "{listed}"
    );
    assert!(listed["members"][0]["since"].is_u64());
    let asked = command(
        &server,
        &mut ann,
        json!({"type": "presence", "channel": "room"}),
    )
    .await;
    assert_eq!(
        (&asked["count"], &asked["members"]),
        (&listed["count"], &listed["members"])
    );

    // It announces that it leaves, so the leave appears at once, without the grace.
    command(&server, &mut ann, json!({"type": "leave"})).await;
    drop(ann);
    let began = std::time::Instant::now();
    let leave = events(&mut watcher, 1).await.remove(0);
    assert!(began.elapsed() < GRACE / 2, "{:?}", began.elapsed());
    assert_eq!(leave["name"], "leave");
    assert!(
        holds(&leave["data"], &json!({"id": id, "count": 0})),
        "{leave}"
    );
    assert_eq!(members(&server).await["count"], 0);
}

/// Returns whether an object contains all these members.
fn holds(object: &Value, expected: &Value) -> bool {
    let expected = expected.as_object().unwrap();
    expected.iter().all(|(name, value)| &object[name] == value)
}

/// Opens a watcher of the room's presence, and a reader that is shown in it.
async fn watched(server: &Server, via: Via, ask: &Ask) -> (Reader, Reader) {
    let mut watcher = server.wire.open(via, &Ask::of(["$presence/room"])).await;
    watcher.expect_type("hello").await;
    let mut ann = server.wire.open(via, ask).await;
    ann.expect_type("hello").await;
    (watcher, ann)
}

async fn an_unclean_end_is_told_after_the_grace(via: Via) {
    let server = server();
    let ask = Ask::of(["room"]).with("presence", 1);
    let (mut watcher, ann) = watched(&server, via, &ask).await;
    assert_eq!(events(&mut watcher, 1).await[0]["name"], "join");
    let left = std::time::Instant::now();
    drop(ann);
    let leave = events(&mut watcher, 1).await.remove(0);
    assert_eq!(leave["name"], "leave");
    // The grace of a poll began a little earlier, with its first response.
    assert!(left.elapsed() > GRACE / 2, "{:?}", left.elapsed());
}

async fn a_change_of_transport_is_no_leave(via: Via) {
    let server = server();
    let ask = Ask::of(["room"]).with("presence", 1);
    let (mut watcher, mut ann) = watched(&server, via, &ask).await;
    let mut now = via;
    let mut cursor = ann.cursor().to_owned();
    for _ in 0..3 {
        now = now.next();
        let ask = ask
            .clone()
            .since(&cursor)
            .session(ann.session_key.as_deref().unwrap());
        ann = server.wire.open(now, &ask).await;
        if now == Via::Poll {
            // A poll that continues from a cursor is held: it is attached as soon as it is counted.
            let held = until("the poll is held", async || {
                server.wire.publish_as("room", "", "", "x").await["reached"]["poll"] == 1
            });
            tokio::select! {
                () = held => {}
                end = async { while ann.frame().await.is_ok() {} } => panic!("{end:?}"),
            }
        } else {
            ann.expect_type("hello").await;
            cursor = ann.cursor().to_owned();
        }
    }
    let told = events(&mut watcher, 1).await;
    assert_eq!(told[0]["name"], "join");
    assert_eq!(members(&server).await["count"], 1);
    drop(ann);
    let told = events(&mut watcher, 1).await;
    assert_eq!(told[0]["name"], "leave", "no flap came before it");
}

async fn an_inbox_is_read_by_its_owner_alone(via: Via) {
    let server = Server::start();
    let mut ann = server.wire.open(via, &Ask::of(["@", "lobby"])).await;
    ann.expect_type("hello").await;
    let inbox = format!("@{}", ann.session_id.as_deref().unwrap());
    let mut ben = server.wire.open(via, &Ask::of(["lobby"])).await;
    ben.expect_type("hello").await;
    let ben_id = ben.session_id.clone().unwrap();
    let sent = json!({"type": "publish", "channel": inbox, "data": "psst"});
    assert_eq!(command(&server, &mut ben, sent).await["ok"], true);
    server.wire.publish("lobby", "aloud").await;
    let told = events(&mut ann, 2).await;
    assert_eq!(
        (&told[0]["data"], &told[0]["from"]),
        (&json!("psst"), &json!(ben_id))
    );
    assert_eq!(told[0]["channel"], inbox, "events carry the real name");
    assert_eq!(
        events(&mut ben, 1).await[0]["data"],
        "aloud",
        "and nobody else hears it"
    );

    // No other session may read it, at any address.
    let end = match server.wire.try_open(via, &Ask::of([inbox.as_str()])).await {
        Ok(mut reader) => reader.expect_end().await.1,
        Err(end) => end,
    };
    match (via, end) {
        (Via::Ws, End::Closed(3502, _)) => {}
        (Via::Sse | Via::Poll, End::Refused(403, problem)) => {
            assert_eq!(problem["code"], "forbidden")
        }
        (_, end) => panic!("{end:?}"),
    }
    let history = server
        .wire
        .get(&format!("/history/{}", encode(&inbox)))
        .await;
    assert_eq!(history.status, 403, "{}", history.text());
}
