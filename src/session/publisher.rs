//! Who publishes or commands: by a session, or by an address, and under which grants.
//!
//! Knows how a key is meant; whether it acts is the broker's business.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::addresses::SharedTokenBucket;
use super::{Credential, Session, Sessions};
use crate::auth::{Grants, is_session_id};
use crate::broker::{Key, Limiters, Published, Scope};
use crate::protocol::{ChannelName, Code, CredentialPlace, Draft, Owner, Publish, Refusal};

/// Who publishes or commands.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(super) session: Option<Arc<Session>>,
    /// What others of its address share with it, where they do.
    pub(super) address: Option<SharedTokenBucket>,
    pub(super) grants: Arc<Grants>,
    /// What refusals of its commands repeat of the request.
    pub(super) nonce: Option<Box<str>>,
    pub(super) credential: Option<CredentialPlace>,
}

impl Sessions {
    /// Who publishes by a request with this session key and this credential, from this address.
    ///
    /// # Errors
    /// `session_expired` for a key that is unknown or over; `unauthorized` and `forbidden`.
    pub fn publisher(
        &self,
        key: Option<&str>,
        credential: &Credential,
        address: Option<IpAddr>,
    ) -> Result<Publisher, Refusal> {
        credential.judge()?;
        let Some(key) = key else {
            let (Credential::Given(grants) | Credential::Absent(Some(grants))) = credential else {
                return Err(Refusal::new(
                    Code::Unauthorized,
                    "the request has no valid token",
                ));
            };
            // On an open listener everybody is the application's back end: there is nobody to name.
            let grants = match credential {
                Credential::Given(_) => grants.clone(),
                Credential::Absent(_) => Arc::new(Grants::clone(grants).as_server()),
            };
            return Ok(Publisher {
                session: None,
                address: Some(self.addresses.bucket(address)),
                grants,
                nonce: None,
                credential: None,
            });
        };
        let claims = self.claims(key);
        let claims = claims.ok_or_else(|| {
            Refusal::new(
                Code::SessionExpired,
                "the session key is unknown or expired",
            )
        })?;
        let id = claims.id.clone();
        let grants = Self::grants_of(claims, credential)?;
        Ok(Publisher {
            session: Some(self.session(&id, &grants, address)),
            address: self.charge_address(&grants, credential, address),
            grants,
            nonce: None,
            credential: None,
        })
    }

    /// Publishes.
    ///
    /// # Errors
    /// `forbidden`, and the refusals of [`publish`](crate::broker::Broker::publish).
    pub async fn publish(
        &self,
        publisher: &Publisher,
        publish: Publish,
    ) -> Result<Published, Refusal> {
        let session_id = publisher.session_id();
        if let Err(refusal) = self.may_publish(&publisher.grants, &publish, session_id) {
            self.charge_answer(publisher, 0);
            return Err(self.refuse(publisher, publish.key, refusal).await);
        }
        let session = publisher.session.as_deref();
        let draft = Draft {
            channel: publish.channel,
            name: publish.name,
            data: publish.data,
            from: match session {
                Some(session) => publisher.grants.from(&session.id),
                None => publisher.grants.shared_user(),
            },
            session: session.map(|session| session.id.clone()),
            sent_bytes: publish.sent_bytes,
        };
        let key = publisher.key(publish.key)?;
        self.broker.publish(draft, key, publisher.limiters()).await
    }

    /// Refuses a publish that never came to the broker: a final refusal is the answer to its numbered key.
    pub async fn refuse(
        &self,
        publisher: &Publisher,
        key: Option<String>,
        refusal: Refusal,
    ) -> Refusal {
        match publisher.key(key) {
            Ok(key) => self.broker.refuse(key, refusal).await,
            Err(_) => refusal,
        }
    }

    /// What the anonymous sessions of an address share. Whoever brought a credential answers for it, and on loopback
    /// stands a proxy, or nobody else.
    pub(super) fn charge_address(
        &self,
        grants: &Grants,
        credential: &Credential,
        address: Option<IpAddr>,
    ) -> Option<SharedTokenBucket> {
        let is_anonymous = matches!(credential, Credential::Absent(_)) && grants.user().is_none();
        let address = address.filter(|address| is_anonymous && !address.is_loopback())?;
        Some(self.crowds.bucket(Some(address)))
    }

    /// Whether this client may ask about one channel.
    pub(super) fn may_ask(
        &self,
        publisher: &Publisher,
        channel: &ChannelName,
    ) -> Result<(), Refusal> {
        if channel.owner() == Owner::OwnInboxes {
            let detail = "`@` alone can only be read; use `@` with an id";
            return Err(Refusal::bad_channel(detail));
        }
        self.may_read(&publisher.grants, channel, publisher.session_id())
    }

    /// Whether a session ever said over HTTP that it lives.
    pub(super) fn was_heard(&self, publisher: &Publisher) -> bool {
        let session = publisher.session.as_deref();
        session.is_some_and(|session| session.state.lock().heard.is_some())
    }

    /// A session said over HTTP that it lives.
    pub fn heard(&self, publisher: &Publisher) {
        if let Some(session) = &publisher.session {
            session.state.lock().heard = Some(Instant::now());
        }
    }

    /// Ends the presence of a session at once, unless it has other attaches.
    pub fn leave(&self, publisher: &Publisher) {
        if let Some(session) = &publisher.session {
            self.presence.leave(&session.id);
        }
    }
}

impl Publisher {
    /// The same by a request with this nonce, which carried its credential at this place.
    #[must_use]
    pub fn with_echo(
        mut self,
        nonce: Option<Box<str>>,
        credential: Option<CredentialPlace>,
    ) -> Self {
        self.nonce = nonce;
        self.credential = credential;
        self
    }

    /// The refusal of one of its commands.
    pub(super) fn reply_refusal(&self, refusal: Refusal) -> Refusal {
        refusal.answering(self.nonce.clone(), self.credential)
    }

    /// What it is charged to: a session its own bucket and its address's, anybody else the address's alone.
    pub(super) fn limiters(&self) -> Limiters<'_> {
        match &self.session {
            Some(session) => Limiters {
                own: Some(&session.bucket),
                address: self.address.as_deref(),
            },
            None => Limiters {
                own: self.address.as_deref(),
                address: None,
            },
        }
    }

    /// The session's id, where one publishes.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_deref().map(|session| &*session.id)
    }

    /// What kind of key this is: `SESSIONID:N` is a number in the session's own sequence.
    fn key(&self, key: Option<String>) -> Result<Key<'_>, Refusal> {
        let Some(key) = key else { return Ok(Key::None) };
        let numbered = key.split_once(':').filter(|(id, _)| is_session_id(id));
        let Some((id, number)) = numbered else {
            let scope = match (&self.session, self.grants.user()) {
                (_, Some(user)) => Scope::User(Arc::from(user)),
                (Some(session), None) => Scope::Session(session.id.clone()),
                (None, None) => Scope::Anyone,
            };
            return Ok(Key::Scoped(scope, key));
        };
        match (&self.session, number.parse()) {
            (_, Err(_)) => Err(Refusal::bad_parameter(
                "a numbered key must end with a whole number",
            )),
            (Some(session), Ok(number)) if &*session.id == id => Ok(Key::Sequenced(
                session.sequence.get_or_init(Box::default),
                number,
            )),
            _ => Err(Refusal::new(
                Code::Unauthorized,
                "a numbered key needs the session key of that session",
            )),
        }
    }
}
