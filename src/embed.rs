//! The hub as a library. An application builds it, nests its router into an axum app, and publishes and reads from
//! Rust.
//!
//! Has no rules of its own.

mod builder;
mod message;

use std::sync::Arc;

use axum::Router;
use serde::Serialize;

use crate::broker::{Limiters, Published};
use crate::http::{self, App};
use crate::hub::feed::{Feed, FeedStream};
use crate::hub::{Item, ReadLimit};
use crate::presence::Members;
use crate::protocol::cursor::Since;
use crate::protocol::{ByeReason, ChannelName, Data, Refusal};
use crate::server::socket::FastPath;
use crate::session::{SessionInfo, Sessions, Subject};

pub use builder::Builder;
pub use message::{History, Message};

/// One hub with its three transports. Cheap to clone.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio_stream::StreamExt as _;
/// use triway::{Data, Item};
///
/// let hub = triway::Hub::builder().build();
/// let mut feed = hub.feed(&["news"], triway::Since::Now)?;
/// hub.publish("news", Data::text("hello")).await?;
/// let Some(Item::Event(event)) = feed.next().await else { panic!("no event") };
/// assert_eq!(event.data, Data::text("hello"));
/// let app: axum::Router = axum::Router::new().nest("/rt", hub.router());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hub {
    app: Arc<App>,
}

impl Hub {
    /// Returns a builder with the defaults of an app: every `Host` is accepted unless
    /// [`HttpOptions::hosts`](crate::HttpOptions::hosts) is changed, and the chat page is not served.
    #[must_use]
    pub fn builder() -> Builder {
        let mut builder = Builder::default();
        builder.http.hosts = vec!["*".into()];
        builder.http.page = false;
        builder
    }

    /// Returns a router for the addresses of the hub. It can be nested under any prefix of an axum app with any state.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new().fallback_service(http::router(&self.app))
    }

    /// Returns the fast path of this hub for [`Options::reader`](crate::server::Options::reader). It handles plain GETs
    /// of readers, and plain POSTs to `/pub`, at less cost. Use it only if the router is at the root of the app.
    #[must_use]
    pub fn reader(&self) -> FastPath {
        http::reader(self.app.clone())
    }

    fn inner(&self) -> &Arc<Sessions> {
        &self.app.sessions
    }

    /// Publishes from the app itself. No rate limit applies, and the event has no `from`.
    ///
    /// # Errors
    /// `bad_channel`, `too_large`, `too_many_channels`.
    pub async fn publish(&self, channel: &str, data: Data) -> Result<Published, Refusal> {
        self.publish_message(Message::new(channel, data)).await
    }

    /// Publishes a value of any type as JSON.
    ///
    /// # Errors
    /// `bad_channel`, `bad_json`, `too_large`, `too_many_channels`.
    pub async fn publish_json(
        &self,
        channel: &str,
        value: &(impl Serialize + Sync),
    ) -> Result<Published, Refusal> {
        self.publish(channel, Data::value(value)?).await
    }

    /// Publishes from the app itself, with a name, a `from` or a key.
    ///
    /// # Errors
    /// `bad_channel`, `bad_name`, `bad_parameter` for the key, `key_reused`, `too_large`, `too_many_channels`.
    pub async fn publish_message(&self, message: Message) -> Result<Published, Refusal> {
        let (draft, key) = message.checked()?;
        let broker = self.inner().broker();
        broker.publish(draft, key, Limiters::default()).await
    }

    /// Returns a stream of the events and gaps of some channels. It never ends.
    ///
    /// # Errors
    /// `bad_channel`, `too_many_channels`.
    pub fn feed(&self, channels: &[&str], start: Since) -> Result<FeedStream, Refusal> {
        let names: Result<Vec<_>, Refusal> = channels
            .iter()
            .map(|name| Ok((ChannelName::new(name)?, start)))
            .collect();
        Feed::open(self.inner().hub(), &names?, None).map(FeedStream::from)
    }

    /// Returns at most `limit` events that a channel still holds, without waiting.
    ///
    /// # Errors
    /// `bad_channel`.
    pub fn history(&self, channel: &str, start: Since, limit: usize) -> Result<History, Refusal> {
        let portion = ReadLimit {
            events: limit,
            bytes: usize::MAX,
            of_frames: false,
        };
        let name = ChannelName::new(channel)?;
        let (page, cursor) = self.inner().hub().history(&name, start, portion);
        let gap = page.gap.into_iter().map(Item::Gap);
        Ok(History {
            items: gap
                .chain(page.events.into_iter().map(Item::Event))
                .collect(),
            cursor,
            more: page.more,
        })
    }

    /// Returns the sessions that are shown in a channel: their count, and the first thousand in the order of joining.
    ///
    /// # Errors
    /// `bad_channel`.
    pub fn members(&self, channel: &str) -> Result<Members, Refusal> {
        let name = ChannelName::new(channel)?;
        Ok(self.inner().presence().members(&name))
    }

    /// Returns the names of all channels that the hub holds, in no particular order. Includes those of inboxes (`@…`)
    /// and of presence (`$presence/…`).
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelName> {
        self.inner().hub().channel_names()
    }

    /// Returns the sessions that the hub remembers, in no particular order. A session without an open reader is
    /// remembered for a few seconds, or for an hour if it published with numbered keys.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.inner().list()
    }

    /// Ends the session with this id. Its readers receive a bye `expired`, and its session key is refused from now on.
    /// The client reconnects with its credential, and the hooks decide again. Returns whether the hub remembered the
    /// session.
    ///
    /// Other nodes that share the secret are not informed.
    pub fn close_session(&self, id: &str) -> bool {
        self.inner().close(id)
    }

    /// Ends all sessions of a user in the same way. Returns how many of them the hub remembered.
    ///
    /// Revoke the user's login first, because the clients reconnect at once. A request whose authorize hook is running
    /// at this moment is not ended.
    pub fn close_user(&self, user: &str) -> usize {
        self.inner().close_user(user)
    }

    /// Refuses the token with this id (`jti`), and every session key made from it. Its open readers end, and their clients
    /// do not reconnect. Returns how many sessions had open readers. For an API key, first remove it by
    /// [`ApiKeys::replace`](crate::ApiKeys::replace), which returns its id.
    pub fn revoke_credential(&self, id: &str) -> usize {
        let subject = Subject::Credential(id);
        self.inner().revoke(subject, ByeReason::Unauthorized).ended
    }

    /// Returns the metrics of the hub as OpenMetrics text, like `GET /metrics`.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        http::metrics_text(self.inner())
    }

    /// Ends all readers with a bye `drain`, after which they reconnect, and accepts no new ones. Call it when the app
    /// shuts down.
    pub fn drain(&self) {
        self.inner().begin_drain();
    }

    /// Returns whether [`drain`](Self::drain) was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner().drain().has_begun()
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}
