//! A hub inside an axum app: its own state, its own routes, the hub under `/rt`, and a clock that publishes.
//!
//! `cargo run --example embed`, then `curl -N localhost:3000/rt/sse/clock`.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use triway::Hub;
use triway::protocol::Data;

#[derive(Clone)]
struct App {
    hub: Hub,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".into());
    let hub = Hub::builder().build();
    tokio::spawn(tick(hub.clone()));

    let app = Router::new()
        .route("/", get(hello))
        .nest("/rt", hub.router())
        .with_state(App { hub: hub.clone() });
    let listener = triway::server::listen(address.parse()?)?;
    println!("listening on http://{}", listener.local_addr()?);

    // Our own accept loop and drain; `axum::serve` works too, with fewer limits.
    let shutdown = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let on_drain = move || hub.drain();
    triway::server::serve(
        listener,
        app,
        triway::server::Options::default(),
        shutdown,
        on_drain,
    )
    .await?;
    Ok(())
}

/// An ordinary route beside the hub, that publishes.
async fn hello(State(app): State<App>) -> String {
    match app.hub.publish("visits", Data::text("somebody came")).await {
        Ok(published) => format!("published as {}\n", published.id),
        Err(refusal) => format!("{refusal}\n"),
    }
}

async fn tick(hub: Hub) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for count in 0_u64.. {
        ticks.tick().await;
        if hub
            .publish("clock", Data::text(&format!("tick {count}")))
            .await
            .is_err()
        {
            return;
        }
    }
}
