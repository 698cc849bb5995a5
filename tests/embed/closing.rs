//! Sessions and users that the application closes.

use serde_json::Value;
use triway::{Code, Grants, Hub, Refusal};

use crate::client::{Socket, Stream, get, post, request, serve};

const ANN: &str = "Authorization: Bearer ann\r\n";

/// Returns a hub that accepts a user's name as a token.
fn hub() -> Hub {
    let builder = Hub::builder().authorize(|credentials| async move {
        let grants = |user: String| match &*user {
            "nobody" => Err(Refusal::new(Code::Unauthorized, "unknown token")),
            user => Grants::everything().with_user(user),
        };
        credentials.token.map(grants).transpose()
    });
    builder.anonymous(Some(Grants::everything())).build()
}

fn session(frame: &Value) -> (String, String) {
    let text = |name: &str| frame["session"][name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_closed_session_gets_a_bye_and_its_key_ends() {
    let hub = hub();
    let address = serve(&hub);
    let mut socket = Socket::open(address, "/ws/a").await;
    let (id, key) = session(&socket.frame("hello").await);
    let path = format!("/pub/a?session={key}");
    assert_eq!(post(address, &path, "x").await.status, 201);

    assert!(hub.close_session(&id));
    let bye = socket.frame("bye").await;
    assert_eq!(
        (&bye["code"], &bye["reconnect"]),
        (&3003.into(), &true.into())
    );
    let (status, code, _) = post(address, &path, "x").await.refusal();
    assert_eq!((status, &*code), (401, "session_expired"));
    // A reader begins a new session, as with every expired key.
    let poll = get(address, &format!("/poll/a?session={key}")).await.json();
    assert_ne!(session(&poll["frames"][0]).0, id);
    assert!(!hub.close_session("s-unknown"));
}

#[tokio::test]
async fn a_held_poll_of_a_closed_session_is_answered() {
    let hub = hub();
    let address = serve(&hub);
    let poll = request(address, "GET /poll/a", ANN, "").await.json();
    let (id, key) = session(&poll["frames"][0]);
    let cursor = poll["cursor"].as_str().unwrap();
    let path = format!("/poll/a?since={cursor}&session={key}&early=1");
    let mut held = Stream::open(address, &path, "").await;
    held.until("200 OK").await;
    assert!(hub.close_session(&id));
    assert!(held.until("bye").await.contains("\"code\":3003"));
}

#[tokio::test]
async fn a_closed_user_loses_every_reader_and_key() {
    let hub = hub();
    let address = serve(&hub);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = Stream::open(address, "/sse/a?format=full", ANN).await;
        stream.until("hello").await;
        streams.push(stream);
    }
    let poll = request(address, "GET /poll/a", ANN, "").await.json();
    let (_, key) = session(&poll["frames"][0]);
    let mut other = Stream::open(address, "/sse/a?format=full", "").await;
    other.until("hello").await;
    let users = hub.sessions();
    let ann = users
        .iter()
        .filter(|session| session.user.as_deref() == Some("ann"));
    assert_eq!(ann.count(), 3);

    assert_eq!(hub.close_user("ann"), 3);
    for stream in &mut streams {
        assert!(stream.until("bye").await.contains("\"code\":3003"));
    }
    // The key alone is refused: the user is not made anonymous silently.
    let path = format!("/poll/a?session={key}&wait=0");
    let (status, code, _) = get(address, &path).await.refusal();
    assert_eq!((status, &*code), (401, "unauthorized"));
    // With the credential, the hooks decide again.
    let poll = request(address, &format!("GET {path}"), ANN, "")
        .await
        .json();
    assert_eq!(poll["frames"][0]["session"]["user"], "ann", "{poll}");
    hub.publish("a", triway::Data::text("x")).await.unwrap();
    other.until("\"x\"").await;
}
