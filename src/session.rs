//! Sessions: one per client, with its grants, attachments, rate and numbered keys.
//!
//! The table of this node is bounded. A signed key makes a session known to every other node. Knows no wire format.

mod addresses;
mod attachment;
mod client;
mod commands;
mod control;
mod deadlines;
mod drain;
mod eviction;
mod hooks;
mod inbound;
mod publisher;
mod revocations;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::auth::{Claims, Grants, KEY_LIFETIME_S, Signer, encode_user, session_id};
use crate::broker::Broker;
use crate::hub::{HubState, now_ms};
use crate::presence::Presence;
use crate::protocol::cursor::Since;
use crate::protocol::peer::client_network;
use crate::protocol::{
    AttachRequest, Bye, ChannelName, Code, Limits, Owner, REFUSED_CHANNELS_MAX, Refusal,
    RefusedChannel, Transport,
};

use addresses::AddressBuckets;
use eviction::{DetachedSession, sessions_to_evict};

pub use attachment::{Attachment, CommandOutcome, Outgoing};
pub use client::Session;
pub use control::SessionInfo;
pub(crate) use deadlines::BURST_OVER_AFTER;
pub use drain::SessionDrain;
pub use hooks::{Access, Action, Hooks, Publishing};
pub(crate) use inbound::{InboundBudget, InboundPermit, UNCOUNTED_BYTES, full};
pub use publisher::Publisher;
use revocations::Revocations;
pub use revocations::Subject;

/// The limits and intervals of sessions.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The most channels of one session. `None` means no limit.
    pub session_channels: Option<usize>,
    /// The longest time between two pings.
    pub heartbeat: Duration,
    /// How long a poll is held.
    pub poll_wait: Duration,
    /// A reader that accepts no bytes for this long is closed. `None` means never.
    pub write_timeout: Option<Duration>,
    /// How long a session without an attachment and with nothing to remember is kept. Also the interval of the check
    /// for such sessions.
    pub sweep_idle: Duration,
    /// The most bytes of all request bodies and messages that are being received or processed. `None` means no limit.
    pub bodies_total: Option<usize>,
    /// The most sessions that are remembered without an attachment. Beyond this number, sessions that never used a
    /// numbered key are evicted first, then sessions of the address that has the most.
    pub resting_sessions: usize,
    /// The longest lifetime of a credential. A revocation is remembered for as long.
    pub token_max_age: Duration,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            session_channels: Some(100),
            heartbeat: Duration::from_secs(15),
            poll_wait: Duration::from_secs(25),
            write_timeout: Some(Duration::from_secs(30)),
            sweep_idle: Duration::from_secs(5),
            bodies_total: Some(64 * 1024 * 1024),
            resting_sessions: 50_000,
            token_max_age: Duration::from_secs(30 * 86_400),
        }
    }
}

/// The sessions of this node, with all that they need to read and to publish.
#[derive(Debug)]
pub struct Sessions {
    options: SessionOptions,
    hub: Arc<HubState>,
    broker: Arc<Broker>,
    presence: Arc<Presence>,
    signer: Signer,
    hooks: Hooks,
    drain: SessionDrain,
    revocations: Revocations,
    inbound: Arc<InboundBudget>,
    table: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    /// The rate limits of publishers without a session, by address.
    addresses: AddressBuckets,
    /// The rate limits that all anonymous sessions of an address share.
    crowds: AddressBuckets,
}

/// The grants of a request: from its own credential, or those of anonymous clients.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The request has a credential.
    Given(Arc<Grants>),
    /// The request has no credential. These are the grants of anonymous clients, if there are any.
    Absent(Option<Arc<Grants>>),
}

impl Credential {
    /// Returns an error if the grants have expired, by the hub's own clock.
    fn judge(&self) -> Result<(), Refusal> {
        match self {
            Self::Given(grants) | Self::Absent(Some(grants)) if grants.have_ended(now_s()) => {
                let detail = "the grants of this credential have expired";
                Err(Refusal::new(Code::Unauthorized, detail))
            }
            Self::Given(_) | Self::Absent(_) => Ok(()),
        }
    }
}

/// Returns whether a key that expires at `until_s` has more than half the lifetime that a new key would have.
fn is_fresh(until_s: u64, grants: &Grants, now_s: u64) -> bool {
    let left = until_s.saturating_sub(now_s);
    let of_new = Signer::expires_s(grants, now_s).saturating_sub(now_s);
    of_new < 2 * left
}

/// Returns seconds since 1970: the clock by which grants and keys expire.
fn now_s() -> u64 {
    now_ms() / 1_000
}

/// The channels of a request after the check of each one.
struct PermittedChannels {
    /// The permitted channels, under their real names.
    channels: Vec<(ChannelName, Since)>,
    refused: Vec<RefusedChannel>,
}

impl PermittedChannels {
    fn add(&mut self, name: &ChannelName, start: Since, grants: &Grants, id: &str) {
        if name.owner() == Owner::OwnInboxes {
            let names = real_names(name, grants, id).into_iter();
            self.channels.extend(names.map(|name| (name, start)));
        } else {
            self.channels.push((name.clone(), start));
        }
    }
}

impl Sessions {
    /// Returns an empty table.
    #[must_use]
    pub fn new(
        options: SessionOptions,
        broker: Arc<Broker>,
        hub: Arc<HubState>,
        presence: Arc<Presence>,
        signer: Signer,
        hooks: Hooks,
    ) -> Arc<Self> {
        let inbound = InboundBudget::new(options.bodies_total);
        Arc::new(Self {
            options,
            inbound,
            hub,
            broker,
            presence,
            signer,
            hooks,
            drain: SessionDrain::default(),
            revocations: Revocations::default(),
            table: Mutex::default(),
            addresses: AddressBuckets::default(),
            crowds: AddressBuckets::default(),
        })
    }

    /// Starts the task that removes sessions which are over. The task ends when the table is dropped.
    pub fn start(self: &Arc<Self>) {
        let sessions = Arc::downgrade(self);
        let mut ticks = tokio::time::interval(self.options.sweep_idle);
        tokio::spawn(async move {
            loop {
                let now = ticks.tick().await;
                let Some(sessions) = sessions.upgrade() else {
                    return;
                };
                sessions.sweep(now);
            }
        });
    }

    /// Returns the limits and intervals.
    #[must_use]
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// Returns the sizes that hello states.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::new(
            self.broker.options().max_data,
            self.options.session_channels,
        )
    }

    /// Returns the hub.
    #[must_use]
    pub fn hub(&self) -> &Arc<HubState> {
        &self.hub
    }

    /// Returns the broker.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Returns the budget of unfinished bodies and messages.
    pub(crate) fn inbound(&self) -> &Arc<InboundBudget> {
        &self.inbound
    }

    /// Returns the members that each channel shows.
    #[must_use]
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// Returns the number of remembered sessions.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.lock().len()
    }

    /// Returns whether this node is shutting down.
    #[must_use]
    pub fn drain(&self) -> &SessionDrain {
        &self.drain
    }

    /// Ends all attachments with a bye, and accepts no new ones.
    pub fn begin_drain(&self) {
        self.drain.begin();
        let sessions: Vec<Arc<Session>> = self.table.lock().values().cloned().collect();
        for session in sessions {
            session
                .state
                .lock()
                .lines
                .iter()
                .for_each(|line| line.feed_waker.notify());
        }
    }

    /// Opens a reader for a client at this address.
    ///
    /// # Errors
    /// `unauthorized`; `rate_limited` for sessions that are shown in presence; `draining`. If no channel can be opened,
    /// the refusal of the first one.
    pub fn open(
        self: &Arc<Self>,
        attach_request: AttachRequest,
        credential: &Credential,
        address: Option<IpAddr>,
    ) -> Result<Attachment, Refusal> {
        // A poll that arrives now is still answered, with the events that are ready and a bye.
        if self.drain.has_begun() && attach_request.transport != Transport::Poll {
            return Err(Refusal::new(Code::Draining, "this node is shutting down"));
        }
        credential.judge()?;
        let key = attach_request.session.as_deref();
        let claims = key.map_or(Ok(None), |key| self.resumed(key, credential))?;
        let key_until_s = claims.as_ref().map(|claims| claims.expires);
        let (id, grants) = match (claims, credential) {
            (Some(claims), credential) => (claims.id.clone(), self.grants_of(claims, credential)?),
            (None, Credential::Given(grants) | Credential::Absent(Some(grants))) => {
                (new_id(), grants.clone())
            }
            (None, Credential::Absent(None)) => {
                return Err(Refusal::new(
                    Code::Unauthorized,
                    "the request has no valid token",
                ));
            }
        };
        self.check_revoked(&grants)?;
        // A reader whose key has passed half its life, or whose credential now lives longer, gets a hello with a new key.
        let known_until_s = key_until_s.filter(|until_s| is_fresh(*until_s, &grants, now_s()));
        let allowed = self.allowed(&attach_request, &grants, &id)?;
        let session = self.session(&id, &grants, address);
        let crowd = self.charge_address(&grants, credential, address);
        let attachment = Attachment::new(
            self,
            session,
            grants.clone(),
            crowd,
            Box::new(attach_request),
            allowed,
            known_until_s,
        )?;
        // A revocation since the first check did not find this reader.
        self.check_revoked(&grants)?;
        Ok(attachment)
    }

    /// Returns the grants of a session's request. A credential in the request takes precedence, and must belong to the
    /// same user.
    fn grants_of(&self, claims: Claims, credential: &Credential) -> Result<Arc<Grants>, Refusal> {
        match credential {
            Credential::Given(grants) if !grants.is_of_same_client(&claims.grants) => {
                Err(Refusal::new(
                    Code::Forbidden,
                    "the session and the token belong to different users",
                ))
            }
            Credential::Given(grants) => Ok(grants.clone()),
            Credential::Absent(_) if claims.is_unknown() => {
                let detail = "this node does not have the grants of this session key; send the credential again";
                Err(Refusal::new(Code::SessionExpired, detail))
            }
            // A session without a credential has what such clients may do now. Its key may be older than the rules.
            Credential::Absent(anonymous)
                if self.hooks.has_credentials
                    && claims.grants.is_anonymous()
                    && claims.grants.user().is_none() =>
            {
                let detail = "the request has no valid token";
                let refusal = || Refusal::new(Code::Unauthorized, detail);
                anonymous.clone().ok_or_else(refusal)
            }
            Credential::Absent(Some(grants)) if **grants == claims.grants => Ok(grants.clone()),
            Credential::Absent(_) => Ok(Arc::new(claims.grants)),
        }
    }

    /// Returns the channels of a request under their real names, and the refused ones.
    fn allowed(
        &self,
        attach_request: &AttachRequest,
        grants: &Grants,
        id: &str,
    ) -> Result<PermittedChannels, Refusal> {
        let most = self.options.session_channels.unwrap_or(usize::MAX);
        let mut allowed = PermittedChannels {
            channels: Vec::with_capacity(attach_request.channels.len().min(most) + 1),
            refused: Vec::new(),
        };
        let mut opened = 0;
        for channel in &attach_request.channels {
            let judged = match channel {
                Ok((name, start)) if opened < most || name.is_inbox() => {
                    let granted = self.may_open(attach_request, grants, name, id);
                    granted
                        .map(|()| (name, *start))
                        .map_err(|refusal| RefusedChannel::new(name.as_str(), refusal))
                }
                Ok((name, _)) => {
                    let detail = format!("more than {most} channels in one session");
                    let refusal = Refusal::new(Code::TooManyChannels, detail);
                    Err(RefusedChannel::new(name.as_str(), refusal))
                }
                Err(refused) => Err((**refused).clone()),
            };
            match judged {
                Ok((name, start)) => {
                    opened += usize::from(!name.is_inbox());
                    allowed.add(name, start, grants, id);
                }
                Err(refused) => allowed.refused.push(refused),
            }
            if allowed.refused.len() > REFUSED_CHANNELS_MAX {
                return Err(allowed.refused.remove(0).refusal);
            }
        }
        if allowed.channels.is_empty() {
            return Err(RefusedChannel::whole(allowed.refused));
        }
        if allowed.channels.len() > 1 {
            // `@` and `@ID` in one request name the same inbox twice.
            let mut seen = HashSet::new();
            let channels = &mut allowed.channels;
            channels.retain(|(name, _)| seen.insert(name.clone()));
        }
        Ok(allowed)
    }

    /// Returns the session of this id, and remembers it from now on.
    fn session(&self, id: &Arc<str>, grants: &Grants, address: Option<IpAddr>) -> Arc<Session> {
        let mut table = self.table.lock();
        let session = table.entry(id.clone()).or_insert_with(|| {
            Arc::new(Session {
                id: id.clone(),
                user: grants.shared_user(),
                network: address.map(client_network),
                bucket: Mutex::default(),
                sequence: OnceLock::new(),
                state: Mutex::default(),
            })
        });
        session.state.lock().idle_since = Some(Instant::now());
        session.clone()
    }

    /// Removes sessions with nothing to remember, and sessions that were silent for the whole lifetime of a key.
    fn sweep(&self, now: Instant) {
        const KEY_LIFETIME: Duration = Duration::from_secs(KEY_LIFETIME_S);
        let mut table = self.table.lock();
        // A request that holds its session may be about to use one of its numbers.
        let is_held = |session: &Arc<Session>| Arc::strong_count(session) > 1;
        table.retain(|_, session| {
            is_held(session) || !session.is_over(now, self.options.sweep_idle, KEY_LIFETIME)
        });
        if table.len() > self.options.resting_sessions {
            let resting: Vec<DetachedSession> = table
                .values()
                .filter(|session| !is_held(session))
                .filter_map(|session| session.detached())
                .collect();
            let over = resting.len().saturating_sub(self.options.resting_sessions);
            sessions_to_evict(resting, over)
                .iter()
                .for_each(|id| drop(table.remove(id)));
        }
        drop(table);
        self.addresses.sweep(now);
        self.crowds.sweep(now);
    }
}

fn real_names(name: &ChannelName, grants: &Grants, id: &str) -> Vec<ChannelName> {
    match name.owner() {
        Owner::OwnInboxes => std::iter::once(id)
            .map(Cow::Borrowed)
            .chain(grants.user().map(encode_user))
            .map(|id| ChannelName::inbox(&id))
            .collect(),
        _ => vec![name.clone()],
    }
}

/// The number of ids for which one call of the kernel provides random bytes.
const IDS_AT_ONCE: usize = 32;

thread_local! {
    static RANDOM: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
}

fn new_id() -> Arc<str> {
    let random = RANDOM.with_borrow_mut(|left| {
        if left.is_empty() {
            left.resize(IDS_AT_ONCE, [0; 16]);
            let bytes = left.as_flattened_mut();
            getrandom::fill(bytes).expect("the system gives random bytes");
        }
        left.pop()
    });
    session_id(random.expect("it was filled"))
}

/// Ends an attachment because of a refusal.
impl From<Refusal> for Bye {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal)
    }
}
