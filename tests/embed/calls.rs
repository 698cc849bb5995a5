//! Publishing and reading from the application itself.

use serde::{Deserialize, Serialize};
use tokio_stream::StreamExt as _;
use triway::{Code, Data, Hub, Item, Message, Since};

use crate::client::{Socket, get, in_time, serve};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    lines: Vec<String>,
}

fn order() -> Order {
    let lines = vec!["tea".to_owned()];
    Order { id: 7, lines }
}

#[tokio::test]
async fn a_value_goes_through_a_channel() {
    let hub = Hub::builder().build();
    let mut feed = hub.feed(&["orders"], Since::Now).unwrap();
    let published = hub.publish_json("orders", &order()).await.unwrap();
    let Some(Item::Event(event)) = in_time(feed.next()).await else {
        panic!("no event")
    };
    assert_eq!(event.id, published.id);
    assert_eq!(event.data.json::<Order>().unwrap(), order());
    assert!(event.data.json::<Vec<u32>>().is_err());
}

#[tokio::test]
async fn a_message_has_a_name_a_from_and_a_key() {
    let hub = Hub::builder().build();
    let message = || {
        let message = Message::new("news", Data::text("hi"));
        message.name("greeting").from("ann").key("k1")
    };
    let first = hub.publish_message(message()).await.unwrap();
    let again = hub.publish_message(message()).await.unwrap();
    assert_eq!(first.id, again.id);
    let other = Message::new("news", Data::text("other")).key("k1");
    let refusal = hub.publish_message(other).await.unwrap_err();
    assert_eq!(refusal.code, Code::KeyReused);
    let history = hub.history("news", Since::All, 10).unwrap();
    let [Item::Event(event)] = &*history.items else {
        panic!("{history:?}")
    };
    assert_eq!(
        (event.name.as_str(), event.from.as_deref()),
        ("greeting", Some("ann"))
    );
    let bad = hub.publish_message(Message::new("news", Data::text("")).name("open"));
    assert_eq!(bad.await.unwrap_err().code, Code::BadName);
}

#[tokio::test]
async fn a_key_of_the_app_is_none_of_its_clients() {
    let hub = Hub::builder().build();
    let address = serve(&hub);
    let message = Message::new("a", Data::text("of the app")).key("k1");
    hub.publish_message(message).await.unwrap();
    let lines = "Idempotency-Key: k1\r\n";
    let answer = crate::client::request(address, "POST /pub/a", lines, "of a client").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(hub.history("a", Since::All, 10).unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_page_of_history_says_whether_there_is_more() {
    let hub = Hub::builder().build();
    for number in 0..3 {
        hub.publish_json("a", &number).await.unwrap();
    }
    let page = hub.history("a", Since::All, 2).unwrap();
    assert!(page.more && page.items.len() == 2);
    let rest = hub.history("a", Since::At(page.cursor), 2).unwrap();
    assert!(!rest.more && rest.items.len() == 1);
    let none = hub.history("never", Since::All, 2).unwrap();
    assert!(none.items.is_empty());
    let refusal = hub.history("a,b", Since::All, 2).unwrap_err();
    assert_eq!(refusal.code, Code::BadChannel);
}

#[tokio::test]
async fn channels_members_and_sessions_are_listed() {
    let hub = Hub::builder().build();
    let address = serve(&hub);
    let mut socket = Socket::open(address, "/ws/lobby?presence=1&info=%7B%22n%22:1%7D").await;
    let hello = socket.frame("hello").await;
    let id = hello["session"]["id"].as_str().unwrap();

    let mut channels: Vec<String> = hub.channels().iter().map(ToString::to_string).collect();
    channels.sort();
    assert_eq!(channels, ["$presence/lobby", "lobby"]);
    let members = hub.members("lobby").unwrap();
    assert_eq!(members.count, 1);
    assert_eq!(members.members[0].id(), id);
    assert_eq!(members.members[0].info().unwrap(), "{\"n\":1}");
    let sessions = hub.sessions();
    assert_eq!((&*sessions[0].id, sessions[0].readers), (id, 1));
}

#[tokio::test]
async fn metrics_are_the_text_of_the_address() {
    let hub = Hub::builder().build();
    let address = serve(&hub);
    hub.publish("a", Data::text("x")).await.unwrap();
    let text = hub.metrics_text();
    assert!(text.contains("triway_published_total 1"), "{text}");
    assert_eq!(text, get(address, "/metrics").await.body);
}
