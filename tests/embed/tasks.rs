//! The tasks of a hub end with it.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_stream::StreamExt as _;
use triway::{Data, Hub, Since};

use crate::client::in_time;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_hub_ends_its_tasks() {
    let before = tasks();
    let hub = Hub::builder().build();
    let router: axum::Router = hub.router();
    let reader = hub.reader();
    let mut feed = hub.feed(&["a"], Since::Now).unwrap();
    hub.publish("a", Data::text("x")).await.unwrap();
    assert!(in_time(feed.next()).await.is_some());
    let running = tasks();
    assert!(running > before, "a hub has tasks");
    drop(hub);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(
        tasks(),
        running,
        "the router, the reader and the feed hold it"
    );
    drop((router, reader, feed));
    // Each task checks its hub at its own interval, every few seconds.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn a_router_and_its_hub_are_one() {
    let hub = Hub::builder().build();
    let before = tasks();
    let routers: Vec<axum::Router> = (0..10).map(|_| hub.router()).collect();
    assert_eq!(tasks(), before, "a router has no tasks of its own");
    drop(routers);
}
