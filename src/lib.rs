//! One broadcast hub, three transports: WebSocket, Server-Sent Events and HTTP long polling.
//!
//! A [`Hub`] holds channels of events. Browsers read them over whichever transport their network allows, and switch
//! transports without losing an event. This crate puts a hub into your own axum app.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use triway::{Data, Hub, server};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let hub = Hub::builder().build();
//!     let app = Router::new()
//!         .route("/", get(|| async { "my app" }))
//!         .nest("/rt", hub.router());
//!     hub.publish("news", Data::text("hello")).await?;
//!
//!     // Then: curl -N 'localhost:3000/rt/sse/news?since=all'
//!     let listener = server::listen("127.0.0.1:3000".parse()?)?;
//!     let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
//!     let on_drain = move || hub.drain();
//!     server::serve(listener, app, server::Options::default(), stop, on_drain).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Serve
//!
//! [`server::serve`] accepts connections within limits (heads, bodies, idle time, connections of one address) and ends
//! with a drain: readers receive a bye and reconnect, and connections that do not end in time are cut. If the hub is the
//! whole app, give [`Hub::reader`] to [`server::Options`]; polls and streams then cost less. `axum::serve` works too, without limits and
//! without a drain.
//!
//! # Nest
//!
//! [`Hub::router`] is an axum router for any prefix and any state. It serves the browser client too:
//! `import { connect } from '/rt/client.mjs'`, then `connect('/rt')`. Pages of other origins must be named in
//! [`HttpOptions::origins`]:
//!
//! ```
//! # #[tokio::main] async fn main() {
//! let hub = triway::Hub::builder()
//!     .with(|builder| {
//!         builder.http.origins = vec!["https://app.example.com".into()];
//!         builder.hub.history_events = Some(10_000);
//!     })
//!     .build();
//! # }
//! ```
//!
//! # Authorize
//!
//! [`Builder::authorize`] turns the credentials of a request, a token or a cookie, into [`Grants`]: a user id, and the
//! channels to read and to publish to. [`Builder::on_access`] then decides about each channel and [`Action`], and
//! [`Builder::on_publish`] about each event. A hook refuses with a [`Refusal`]; its code, detail and hint reach the client
//! on every transport. [`Hub::close_session`] and [`Hub::close_user`] end what is already open.
//!
//! ```
//! # #[tokio::main] async fn main() {
//! use triway::{Action, Code, Grants, Hub, Refusal};
//!
//! let hub = Hub::builder()
//!     .authorize(|credentials| async move {
//!         match credentials.token.as_deref() {
//!             Some("token of ann") => Grants::everything().with_user("ann").map(Some),
//!             Some(_) => Err(Refusal::new(Code::Unauthorized, "unknown token")),
//!             None => Ok(None),
//!         }
//!     })
//!     .anonymous(Some(Grants::everything()))
//!     .on_access(|access| match (access.action, access.user) {
//!         (Action::Publish, None) => Err(Refusal::new(Code::Forbidden, "log in to publish")),
//!         _ => Ok(()),
//!     })
//!     .build();
//! # }
//! ```
//!
//! # Publish
//!
//! [`Hub::publish`] publishes text, JSON or bytes, [`Hub::publish_json`] any value that serializes, and
//! [`Hub::publish_message`] a [`Message`] with a name, a `from` or an idempotency key.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), triway::Refusal> {
//! use triway::{Data, Hub, Message};
//!
//! let hub = Hub::builder().build();
//! hub.publish_json("orders", &["tea", "milk"]).await?;
//! let message = Message::new("orders", Data::text("paid")).name("state").from("ann").key("order-7-paid");
//! let published = hub.publish_message(message).await?;
//! println!("{} reached {:?}", published.id, published.reached);
//! # Ok(())
//! # }
//! ```
//!
//! # Read
//!
//! [`Hub::feed`] is a stream of events and gaps; [`Hub::history`] is what a channel still holds. [`Hub::channels`],
//! [`Hub::members`], [`Hub::sessions`] and [`Hub::metrics_text`] show what is there. [`Builder::on_join`] and
//! [`Builder::on_leave`] tell of members as they come and go.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tokio_stream::StreamExt as _;
//! use triway::{Hub, Item, Since};
//!
//! let hub = Hub::builder().build();
//! hub.publish_json("orders", &["tea", "milk"]).await?;
//! let mut feed = hub.feed(&["orders"], Since::All)?;
//! if let Some(Item::Event(event)) = feed.next().await {
//!     let lines: Vec<String> = event.data.json()?;
//!     assert_eq!(lines, ["tea", "milk"]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | brings |
//! | --- | --- | --- |
//! | `cli` | yes | the program `triway` and what it needs. For the library alone: `default-features = false` |
//!
//! `examples/embed.rs` is an app with a login. What goes over the wire is in `docs/protocol.md` of the repository.

mod auth;
mod broker;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
mod config;
mod embed;
mod fanout;
mod http;
mod hub;
mod metrics;
mod presence;
mod protocol;
pub mod server;
mod session;
mod transport;

#[cfg(feature = "jwt")]
pub use auth::jwt::{BadKey, JwtOptions, KeySet, SkippedKey};
pub use auth::{
    ApiKey, ApiKeys, Audience, BadRule, ChannelPattern, ChannelRule, ChannelRules, Grants, KeyHash,
    KeyScope, Reach,
};
pub use broker::{BrokerOptions, Published, Rate};
pub use embed::{Builder, History, Hub, Message};
#[cfg(feature = "jwt")]
pub use http::JwtVerifier;
pub use http::{Credentials, HttpOptions};
pub use hub::feed::FeedStream as Feed;
pub use hub::{HubOptions, Item};
pub use metrics::Metrics;
pub use presence::{Member, Members, PresenceOptions};
pub use protocol::cursor::{BadCursor, Cursor, Epoch, Since};
pub use protocol::peer::Peer;
pub use protocol::{ChannelName, Code, Data, Event, EventName, Gap, GapReason, Reached, Refusal};
pub use session::{Access, Action, Publishing, SessionInfo, SessionOptions};

/// What the tests and benchmarks of this repository need of the inside. Not part of the public API: it may change in any
/// release.
#[doc(hidden)]
pub mod internal {
    pub use crate::auth::{Signer, is_session_id, session_id};
    pub use crate::hub::feed::Feed;
    pub use crate::hub::log::{Bounds, Log};
    pub use crate::hub::{HubState, now_ms};
    pub use crate::protocol::peer::ConnectionGuard;
    pub use crate::protocol::{
        BATCH_BYTES_MAX, BATCH_EVENTS_MAX, ByeReason, CHANNEL_BYTES_MAX, Command,
        DATA_BYTES_CEILING, DATA_DEPTH_MAX, Draft, Frame, GET_PUBLISH_BYTES_MAX, Hello,
        HelloSession, INFO_BYTES_MAX, KEY_BYTES_MAX, Ledger, NAME_BYTES_MAX, NONCE_BYTES_MAX,
        PollAnswer, parse_command,
    };
}

/// The Rust of the README, compiled with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
