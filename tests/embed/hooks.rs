//! The hooks of an application, and how their refusals reach a client on each transport.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use triway::{Action, Code, Data, Grants, Hub, Refusal};

use crate::client::{Socket, Stream, get, post, serve};

/// Returns a hub whose channel `closed` no client may read, publish to or join.
fn hub() -> Hub {
    let refuse = |detail: &'static str| Err(Refusal::new(Code::Forbidden, detail));
    let builder =
        Hub::builder().on_access(
            move |access| match (access.channel.as_str(), access.action) {
                ("closed", Action::Read) => refuse("not for you to read"),
                ("closed", Action::Publish) => refuse("not for you to write"),
                ("quiet", Action::Join) => refuse("nobody is shown here"),
                _ => Ok(()),
            },
        );
    let builder = builder.on_publish(move |publishing| match publishing.data.json::<String>() {
        Ok(text) if text.contains("spam") => refuse("no spam"),
        _ => Ok(()),
    });
    builder.build()
}

fn forbidden(detail: &str) -> (u16, String, String) {
    (403, "forbidden".to_owned(), detail.to_owned())
}

#[tokio::test]
async fn a_refused_read_is_told_on_each_transport() {
    let hub = hub();
    let address = serve(&hub);
    for path in [
        "/sse/closed",
        "/poll/closed",
        "/history/closed",
        "/presence/closed",
    ] {
        let answer = get(address, path).await;
        assert_eq!(answer.refusal(), forbidden("not for you to read"), "{path}");
    }
    // The same through the router, which serves requests that the fast path does not serve.
    let body = r#"{"channels":["closed"]}"#;
    let answer = post(address, "/poll", body).await;
    assert_eq!(answer.refusal(), forbidden("not for you to read"));
    let bye = Socket::open(address, "/ws/closed").await.frame("bye").await;
    assert_eq!(bye["code"], 3502);
    assert_eq!(bye["error"]["detail"], "not for you to read");
}

#[tokio::test]
async fn one_refused_channel_of_several_is_named() {
    let hub = hub();
    let address = serve(&hub);
    let mut socket = Socket::open(address, "/ws/open,closed").await;
    let refused = socket.frame("refused").await;
    assert_eq!(refused["channels"][0]["channel"], "closed");
    assert_eq!(refused["channels"][0]["error"]["code"], "forbidden");
    for channel in ["closed", "$presence/closed"] {
        let reply = socket
            .command(json!({"type": "subscribe", "channel": channel}))
            .await;
        assert_eq!(reply["error"]["detail"], "not for you to read", "{channel}");
    }
    let reply = socket
        .command(json!({"type": "subscribe", "channel": "other"}))
        .await;
    assert_eq!(reply["ok"], true);
}

#[tokio::test]
async fn a_refused_publish_is_told_on_each_way() {
    let hub = hub();
    let address = serve(&hub);
    let answer = post(address, "/pub/closed", "hi").await;
    assert_eq!(answer.refusal(), forbidden("not for you to write"));
    let answer = post(address, "/pub/open", "buy spam").await;
    assert_eq!(answer.refusal(), forbidden("no spam"));
    let command = |data: &str| json!({"type": "publish", "channel": "open", "data": data});
    let commands = json!([command("spam"), command("hi")]);
    let replies = post(address, "/send", &commands.to_string()).await.json();
    assert_eq!(replies[0]["error"]["detail"], "no spam");
    assert_eq!(replies[1]["ok"], true);
    let mut socket = Socket::open(address, "/ws/open").await;
    let reply = socket.command(command("spam")).await;
    assert_eq!(reply["error"]["detail"], "no spam");
    assert!(!reply["error"]["hint"].as_str().unwrap().is_empty());
    // The hook is not called for the application itself.
    hub.publish("closed", Data::text("spam")).await.unwrap();
}

#[tokio::test]
async fn a_refused_join_refuses_the_channel() {
    let hub = hub();
    let address = serve(&hub);
    for path in ["/sse/quiet?presence=1", "/poll/quiet?presence=1"] {
        let answer = get(address, path).await;
        assert_eq!(
            answer.refusal(),
            forbidden("nobody is shown here"),
            "{path}"
        );
    }
    let mut socket = Socket::open(address, "/ws/quiet?presence=watched").await;
    socket.frame("hello").await;
    let companion = json!({"type": "subscribe", "channel": "$presence/quiet"});
    let reply = socket.command(companion).await;
    assert_eq!(reply["error"]["detail"], "nobody is shown here");
    assert_eq!(hub.members("quiet").unwrap().count, 0);
}

#[tokio::test]
async fn joins_and_leaves_are_told_in_their_order() {
    let (told, other) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
    let hub_in_hook: Arc<Mutex<Option<Hub>>> = other;
    let joined = (told.clone(), hub_in_hook.clone());
    let left = told.clone();
    let hub = Hub::builder()
        .on_join(move |channel, member| {
            // A hook may query the members.
            let hub = joined.1.lock();
            let count = hub
                .as_ref()
                .unwrap()
                .members(channel.as_str())
                .unwrap()
                .count;
            joined
                .0
                .lock()
                .push(format!("{} joins, {count}", member.id()));
        })
        .on_leave(move |_, member| left.lock().push(format!("{} leaves", member.id())))
        .build();
    *hub_in_hook.lock() = Some(hub.clone());
    let address = serve(&hub);
    let mut socket = Socket::open(address, "/ws/lobby?presence=1").await;
    let hello = socket.frame("hello").await;
    let id = hello["session"]["id"].as_str().unwrap();
    assert_eq!(socket.command(json!({"type": "leave"})).await["ok"], true);
    assert_eq!(
        *told.lock(),
        [format!("{id} joins, 1"), format!("{id} leaves")]
    );
    *hub_in_hook.lock() = None;
}

#[tokio::test]
async fn polls_of_one_connection_are_asked_about_each_time() {
    let is_open = Arc::new(Mutex::new(true));
    let known = is_open.clone();
    let hub = Hub::builder()
        .on_access(move |_| match *known.lock() {
            true => Ok(()),
            false => Err(Refusal::new(Code::Forbidden, "closed by now")),
        })
        .build();
    let address = serve(&hub);
    let key = get(address, "/poll/a").await.json()["frames"][0]["session"]["key"].clone();
    let key = key.as_str().unwrap().to_owned();
    let cursor = hub.publish("a", Data::text("x")).await.unwrap().id;
    let path = format!("/poll/a?since={cursor}&session={key}&wait=0");
    let mut wire = Stream::open(address, &path, "").await;
    wire.until("frames").await;
    *is_open.lock() = false;
    wire.send(&path).await;
    assert!(wire.until("closed by now").await.contains("403"));
}

#[tokio::test]
async fn grants_without_a_credential_do_not_depend_on_the_order_of_calls() {
    let nobody = |_| async { Ok(None) };
    let open = || Some(Grants::everything());
    let before = Hub::builder().anonymous(open()).authorize(nobody).build();
    let after = Hub::builder().authorize(nobody).anonymous(open()).build();
    for hub in [before, after] {
        assert_eq!(post(serve(&hub), "/pub/a", "x").await.status, 201);
    }
    let closed = Hub::builder().authorize(nobody).build();
    assert_eq!(post(serve(&closed), "/pub/a", "x").await.status, 401);
}
