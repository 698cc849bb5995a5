//! Builds a hub from its options and hooks, bottom-up.

use std::sync::Arc;

use super::Hub;
use crate::auth::{ApiKeys, ChannelRules, Grants, Signer};
use crate::broker::Broker;
use crate::fanout::Fanouts;
#[cfg(feature = "jwt")]
use crate::http::JwtVerifier;
use crate::http::{self, App, Authenticator, BodyReader, Credentials};
use crate::hub;
use crate::metrics::Metrics;
use crate::presence::{Member, Presence};
use crate::protocol::cursor::Epoch;
use crate::protocol::{ChannelName, Refusal};
use crate::server::socket::WriteConfig;
use crate::session::{Access, Publishing, Sessions};
use crate::transport::WriteWatch;
use crate::{broker, presence, session};

/// Options and hooks of a hub. Every option has a default.
#[derive(Default)]
pub struct Builder {
    /// The bounds of the hub's memory.
    pub hub: hub::HubOptions,
    /// The limits on the size and rate of publishes.
    pub broker: broker::BrokerOptions,
    /// The grace period of presence.
    pub presence: presence::PresenceOptions,
    /// The limits and times of sessions.
    pub session: session::SessionOptions,
    /// The allowed origins and hosts, and how credentials arrive.
    pub http: http::HttpOptions,
    secret: Option<Vec<u8>>,
    metrics: Metrics,
    authenticator: Authenticator,
    /// Replaces the option once the hub is built, so that no other call can reset it.
    anonymous: Option<Option<Arc<Grants>>>,
    access: session::Hooks,
    presence_hooks: presence::PresenceHooks,
}

impl Builder {
    /// Sets the hook that checks the credentials of each request. It returns grants, `None` if the request has no
    /// credential, or a refusal. Without a hook, every client may do everything. With one, requests without a
    /// credential may do nothing unless [`anonymous`](Self::anonymous) allows it.
    ///
    /// ```
    /// use triway::{Code, Grants, Hub, Refusal};
    /// let hub = Hub::builder().authorize(|credentials| async move {
    ///     match credentials.token.as_deref() {
    ///         None => Ok(None),
    ///         Some("secret of ann") => Grants::everything().with_user("ann").map(Some),
    ///         Some(_) => Err(Refusal::new(Code::Unauthorized, "unknown token")),
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn authorize<F>(mut self, hook: impl Fn(Credentials) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Grants>, Refusal>> + Send + 'static,
    {
        self.authenticator.hook = Some(Arc::new(move |asked| Box::pin(hook(asked))));
        self
    }

    /// Accepts these API keys of back ends, besides other credentials.
    #[must_use]
    pub fn api_keys(mut self, keys: ApiKeys) -> Self {
        self.authenticator.api_keys = Some(keys);
        self
    }

    /// Accepts the JSON Web Tokens that this verifier accepts, besides other credentials.
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn jwt(mut self, verifier: Arc<JwtVerifier>) -> Self {
        self.authenticator.jwt = Some(verifier);
        self
    }

    /// Decides by these rules who may read and publish. Without a rule, a channel requires a grant.
    #[must_use]
    pub fn channel_rules(mut self, rules: ChannelRules) -> Self {
        self.access.rules = rules;
        self
    }

    /// Calls `hook` for each channel that a client reads, publishes to or joins. It runs after the check of the grants,
    /// so it can only restrict them. It must not block; look up what it needs in [`authorize`](Self::authorize).
    ///
    /// A reader is checked when it opens a channel. To end an open one, call [`Hub::close_session`] or
    /// [`Hub::close_user`]. Calls of [`Hub`] itself are not checked.
    ///
    /// ```
    /// use triway::{Action, Code, Hub, Refusal};
    /// let builder = Hub::builder().on_access(|access| match (access.action, access.user) {
    ///     (Action::Publish, None) => Err(Refusal::new(Code::Forbidden, "log in to publish")),
    ///     _ => Ok(()),
    /// });
    /// ```
    #[must_use]
    pub fn on_access(
        mut self,
        hook: impl Fn(&Access<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.access.access = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` for each event that a client publishes, before it gets its id. An error refuses the event. The hook
    /// must not block. Events that [`Hub`] itself publishes are not checked.
    #[must_use]
    pub fn on_publish(
        mut self,
        hook: impl Fn(&Publishing<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        self.access.publish = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` for each session that joins the presence of a channel. Hooks run one at a time, in the order of
    /// joins and leaves, and must not block.
    #[must_use]
    pub fn on_join(mut self, hook: impl Fn(&ChannelName, &Member) + Send + Sync + 'static) -> Self {
        self.presence_hooks.join = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` for each session that leaves the presence of a channel, or that does not return within the grace
    /// period.
    #[must_use]
    pub fn on_leave(
        mut self,
        hook: impl Fn(&ChannelName, &Member) + Send + Sync + 'static,
    ) -> Self {
        self.presence_hooks.leave = Some(Arc::new(hook));
        self
    }

    /// Sets what requests without credentials may do; `None` means nothing. The order of this call and
    /// [`authorize`](Self::authorize) does not matter.
    #[must_use]
    pub fn anonymous(mut self, grants: Option<Grants>) -> Self {
        self.anonymous = Some(grants.map(Arc::new));
        self
    }

    /// Sets the secret that signs session keys. Nodes that share it accept each other's session keys. The default is
    /// random.
    #[must_use]
    pub fn secret(mut self, secret: &[u8]) -> Self {
        self.secret = Some(secret.to_vec());
        self
    }

    /// Sets the metrics of the hub. Give a clone to [`server::Options`](crate::server::Options) to count both in one
    /// place.
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
    /// Panics outside of a tokio runtime.
    #[must_use]
    pub fn build(mut self) -> Hub {
        if let Some(anonymous) = self.anonymous.take() {
            self.http.anonymous = anonymous;
        } else if self.authenticator.is_set() {
            // Channel rules may open channels to anyone. Nothing else is open to a client without a credential.
            let opens = self.access.rules.are_open();
            self.http.anonymous = opens.then(|| Arc::new(Grants::nothing()));
        }
        let hub = hub::HubState::new(self.hub, Epoch::from_random(random()), self.metrics);
        hub.start();
        let broker = Broker::new(hub.clone(), self.broker);
        let presence = Presence::new(self.presence, broker.clone(), self.presence_hooks);
        presence.start();
        let secret = self.secret.unwrap_or_else(|| {
            [random(), random(), random(), random()]
                .map(u64::to_le_bytes)
                .concat()
        });
        let signer = Signer::new(&secret);
        self.access.has_credentials = self.authenticator.is_set();
        let sessions = Sessions::new(self.session, broker, hub, presence, signer, self.access);
        sessions.start();
        let fanouts = Fanouts::new(sessions.hub());
        let metrics = sessions.hub().metrics();
        let watch = WriteWatch::new(sessions.options().write_timeout, metrics.slow_byes());
        Hub {
            app: Arc::new(App {
                write_config: Arc::new(WriteConfig::new(&sessions, &fanouts, &watch)),
                bodies: BodyReader::new(sessions.inbound().clone()),
                options: self.http,
                authenticator: self.authenticator,
                strangers: Arc::default(),
                sessions,
            }),
        }
    }
}

fn random() -> u64 {
    getrandom::u64().expect("the system gives random bytes")
}
