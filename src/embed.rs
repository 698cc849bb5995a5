//! The hub as a library: built in a few lines, nested into any axum app, published to and read from Rust.
//!
//! Puts the levels together bottom-up; holds no rule of its own.

use std::sync::Arc;

use axum::Router;

use crate::auth::{Grants, Signer};
use crate::broker::{Broker, Key, Meters, Published};
use crate::fanout::Pumps;
use crate::http::{self, App, Asked, Authorize, Strangers};
use crate::hub;
use crate::hub::feed::{Feed, FeedStream};
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::protocol::cursor::{Epoch, Start};
use crate::protocol::{ChannelName, Data, Draft, EventName, Refusal};
use crate::server::socket::{Reader, Terms};
use crate::session::Sessions;
use crate::transport::WriteWatch;
use crate::{broker, presence, session};

/// One hub with its three transports. Cheap to clone.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio_stream::StreamExt as _;
/// use triway::hub::feed::Item;
/// use triway::protocol::Data;
///
/// let hub = triway::Hub::builder().build();
/// let mut feed = hub.feed(&["news"], triway::protocol::cursor::Start::Now)?;
/// hub.publish("news", Data::text("hello")).await?;
/// let Some(Item::Event(event)) = feed.next().await else { panic!("no event") };
/// assert_eq!(event.data, Data::text("hello"));
/// let app: axum::Router = axum::Router::new().nest("/rt", hub.router());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hub {
    app: Arc<Built>,
}

struct Built {
    sessions: Arc<Sessions>,
    pumps: Arc<Pumps>,
    watch: Arc<WriteWatch>,
    http: http::Options,
    authorize: Option<Authorize>,
    strangers: Arc<Strangers>,
}

/// What a hub is made of; every part has its defaults.
#[derive(Default)]
pub struct Builder {
    /// The bounds of memory.
    pub hub: hub::Options,
    /// The bounds of publishing.
    pub broker: broker::Options,
    /// How presence is judged.
    pub presence: presence::Options,
    /// The bounds and paces of sessions.
    pub session: session::Options,
    /// Who may ask.
    pub http: http::Options,
    secret: Option<Vec<u8>>,
    metrics: Metrics,
    authorize: Option<Authorize>,
}

impl Hub {
    /// Begins a hub. Inside somebody's app the app answers for the `Host`, so that any is taken unless
    /// `http.hosts` names some.
    #[must_use]
    pub fn builder() -> Builder {
        let mut builder = Builder::default();
        builder.http.hosts = vec!["*".into()];
        builder.http.page = false;
        builder
    }

    /// The addresses of the contract, to be nested under any prefix of an app with any state.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new().fallback_service(http::router(self.surface()))
    }

    /// The same reading addresses for [`Options::reader`](crate::server::Options::reader), where the router stands at
    /// the root of a server of ours: plain GETs are answered there at less cost.
    #[must_use]
    pub fn reader(&self) -> Reader {
        http::reader(self.surface())
    }

    fn surface(&self) -> App {
        App {
            sessions: self.app.sessions.clone(),
            terms: Arc::new(Terms::new(
                &self.app.sessions,
                &self.app.pumps,
                &self.app.watch,
            )),
            bodies: http::Bodies::new(self.app.sessions.inbound().clone()),
            options: self.app.http.clone(),
            authorize: self.app.authorize.clone(),
            strangers: self.app.strangers.clone(),
        }
    }

    /// Publishes from the app itself: without a rate, and with no `from`.
    ///
    /// # Errors
    /// `bad_channel`, `too_large`, `too_many_channels`.
    pub async fn publish(&self, channel: &str, data: Data) -> Result<Published, Refusal> {
        self.publish_named(channel, "message", data).await
    }

    /// Publishes from the app itself, under an event name.
    ///
    /// # Errors
    /// `bad_channel`, `bad_name`, `too_large`, `too_many_channels`.
    pub async fn publish_named(
        &self,
        channel: &str,
        name: &str,
        data: Data,
    ) -> Result<Published, Refusal> {
        let draft = Draft {
            channel: ChannelName::new(channel)?,
            name: EventName::new(name)?,
            sent_bytes: data.counted(data.len()),
            data,
            from: None,
            session: None,
        };
        self.app
            .sessions
            .broker()
            .publish(draft, Key::None, Meters::default())
            .await
    }

    /// Reads channels from the app itself, as a stream of events and gaps.
    ///
    /// # Errors
    /// `bad_channel`, `too_many_channels`.
    pub fn feed(&self, channels: &[&str], start: Start) -> Result<FeedStream, Refusal> {
        let names: Result<Vec<_>, Refusal> = channels
            .iter()
            .map(|name| Ok((ChannelName::new(name)?, start)))
            .collect();
        Feed::open(self.app.sessions.hub(), &names?, None).map(FeedStream::from)
    }

    /// Tells all readers to come back elsewhere, and takes no new ones. Call it when the app goes down.
    pub fn drain(&self) {
        self.app.sessions.begin_drain();
    }

    /// Whether the hub goes down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.app.sessions.drain().has_begun()
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}

impl Builder {
    /// Judges credentials: gets the token and the headers of a request, gives grants, `None` where the request
    /// brought no credential, or a refusal. Without a hook everybody may do everything.
    #[must_use]
    pub fn authorize<F>(mut self, hook: impl Fn(Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Grants>, Refusal>> + Send + 'static,
    {
        self.authorize = Some(Arc::new(move |asked| Box::pin(hook(asked))));
        // Whoever checks credentials means that those without get nothing, unless said otherwise.
        self.http.anonymous = None;
        self
    }

    /// What requests without credentials may do.
    #[must_use]
    pub fn anonymous(mut self, grants: Option<Grants>) -> Self {
        self.http.anonymous = grants.map(Arc::new);
        self
    }

    /// The secret that signs session keys; nodes that share it know each other's sessions. Random by default.
    #[must_use]
    pub fn secret(mut self, secret: &[u8]) -> Self {
        self.secret = Some(secret.to_vec());
        self
    }

    /// Counts into these metrics, which a server may share.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Changes some of the options.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Builds the hub and starts its tasks.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn build(self) -> Hub {
        let hub = hub::Hub::new(self.hub, Epoch::from_random(random()), self.metrics);
        hub.start();
        let broker = Broker::new(hub.clone(), self.broker);
        let presence = Presence::new(self.presence, broker.clone());
        presence.start();
        let secret = self.secret.unwrap_or_else(|| {
            [random(), random(), random(), random()]
                .map(u64::to_le_bytes)
                .concat()
        });
        let sessions = Sessions::new(self.session, broker, hub, presence, Signer::new(&secret));
        sessions.start();
        Hub {
            app: Arc::new(Built {
                pumps: Pumps::new(sessions.hub()),
                watch: WriteWatch::new(
                    sessions.options().write_timeout,
                    sessions.hub().metrics().slow_byes(),
                ),
                sessions,
                http: self.http,
                authorize: self.authorize,
                strangers: Arc::default(),
            }),
        }
    }
}

fn random() -> u64 {
    getrandom::u64().expect("the system gives random bytes")
}
