//! Sessions and presence.

use serde_json::json;
use triway::auth::Grants;

use super::{session, socket};
use crate::support::{Ask, Server, Via, until};

#[tokio::test]
async fn must_session_1_an_unknown_key_begins_anew_on_reading_alone() {
    let server = Server::start();
    let (id, key) = session(&server).await;
    for (sent, is_same) in [(key.as_str(), true), ("nonsense", false)] {
        let path = format!("/poll/a?session={sent}");
        let answer = server.wire.get_json(&path).await;
        let told = answer["frames"][0]["session"]["id"].as_str().unwrap();
        assert_eq!(told == id, is_same, "{sent}");
    }
    let refused = server.wire.post("/pub/a?session=nonsense", "", "x").await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (401, &json!("session_expired"))
    );
}

#[tokio::test]
async fn must_session_2_a_credential_decides_and_is_of_the_same_user() {
    let listener = triway::server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let wire = crate::support::Wire::at(listener.local_addr().unwrap());
    let hub = triway::Hub::builder()
        .authorize(|asked| async move {
            let user = asked
                .token
                .map(|token| Grants::everything().with_user(&token));
            user.transpose()
        })
        .build();
    let options = triway::server::Options::default();
    let shutdown = std::future::pending();
    let serving = tokio::spawn(triway::server::serve(
        listener,
        hub.router(),
        options,
        shutdown,
        || {},
    ));
    let as_user = |user: &str, path: &str| {
        let request = wire
            .request("GET", path)
            .header("authorization", format!("Bearer {user}"));
        wire.ask(request)
    };
    let hello = as_user("ann", "/poll/a").await.json()["frames"][0].clone();
    let path = format!(
        "/poll/a?session={}",
        hello["session"]["key"].as_str().unwrap()
    );
    assert_eq!(as_user("ann", &path).await.status, 200);
    assert_eq!(as_user("bob", &path).await.json()["code"], "forbidden");
    assert_eq!(
        wire.get(&path).await.status,
        200,
        "the key alone carries its grants"
    );
    assert_eq!(wire.get("/poll/a").await.json()["code"], "unauthorized");
    serving.abort();
}

#[tokio::test]
async fn must_session_3_a_fifth_attach_ends_the_oldest() {
    let server = Server::start();
    let mut oldest = socket(&server, &Ask::of(["a"])).await;
    let key = oldest.session_key.clone().unwrap();
    let mut others = Vec::new();
    for via in [Via::Ws, Via::Sse, Via::Ws, Via::Sse] {
        let ask = Ask::of(["a"]).with("format", "full").session(&key);
        let mut reader = server.wire.open(via, &ask).await;
        reader.expect_type("hello").await;
        others.push(reader);
    }
    let (frames, _) = oldest.expect_end().await;
    assert_eq!(frames.last().unwrap()["code"], 3504);
    server.wire.publish("a", "x").await;
    for reader in &mut others {
        assert_eq!(reader.expect_type("event").await["data"], "x");
    }
}

#[tokio::test]
async fn must_presence_1_and_2_who_is_here_is_told_and_who_leaves_too() {
    let server = Server::start();
    let watch = Ask::of(["$presence/a"]);
    let mut watcher = socket(&server, &watch).await;
    let ask = Ask::of(["a"])
        .with("presence", 1)
        .with("info", r#"{"name":"Ann"}"#);
    let mut ann = socket(&server, &ask).await;
    let id = ann.session_id.clone().unwrap();
    let join = watcher.expect_type("event").await;
    assert_eq!(join["name"], "join");
    let told = json!({"id":id,"user":null,"info":{"name":"Ann"},"count":1});
    assert_eq!(join["data"], told);
    let members = server.wire.get_json("/presence/a").await;
    assert_eq!(
        (&members["count"], &members["members"][0]["id"]),
        (&json!(1), &json!(id))
    );
    ann.send(&json!({"type":"leave","ref":1})).await;
    assert_eq!(watcher.expect_type("event").await["name"], "leave");
    assert_eq!(server.wire.get_json("/presence/a").await["count"], 0);
}

#[tokio::test]
async fn must_presence_3_a_cut_is_told_after_the_grace() {
    let server =
        Server::with(|builder| builder.presence.grace = std::time::Duration::from_millis(300));
    let ask = Ask::of(["a"]).with("format", "full").with("presence", 1);
    let mut stream = server.wire.open(Via::Sse, &ask).await;
    stream.expect_type("hello").await;
    let key = stream.session_key.clone().unwrap();
    drop(stream);
    let mut back = server.wire.open(Via::Ws, &ask.session(&key)).await;
    back.expect_type("hello").await;
    let told = async || {
        let history = server.wire.get_json("/history/$presence%2Fa").await;
        let names = history["frames"].as_array().unwrap().iter();
        names
            .map(|frame| frame["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(told().await, ["join"]);
    drop(back);
    until("the leave", async || told().await == ["join", "leave"]).await;
}
