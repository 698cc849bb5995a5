//! The origin of a publish or command: a session or an address, with its grants.
//!
//! Knows the meaning of a key. The broker decides whether a publish with this key has an effect.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::addresses::SharedTokenBucket;
use super::{Credential, Session, Sessions};
use crate::auth::{Grants, is_session_id};
use crate::broker::{Key, Limiters, Published, Scope};
use crate::protocol::{ChannelName, Code, CredentialPlace, Draft, Owner, Publish, Refusal};

/// The origin of a publish or command.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(super) session: Option<Arc<Session>>,
    /// The rate limit that others of its address share with it, if they do.
    pub(super) address: Option<SharedTokenBucket>,
    pub(super) grants: Arc<Grants>,
    /// The nonce of the request, which the refusals of its commands repeat.
    pub(super) nonce: Option<Box<str>>,
    pub(super) credential: Option<CredentialPlace>,
}

impl Sessions {
    /// Returns the publisher of a request with this session key and this credential, from this address.
    ///
    /// # Errors
    /// `session_expired` for a key that is unknown or expired; `unauthorized` and `forbidden`.
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
            // On an open listener every client is the application's back end, so there is no user to name.
            let grants = match credential {
                Credential::Given(_) => grants.clone(),
                Credential::Absent(_) => Arc::new(Grants::clone(grants).as_server()),
            };
            self.check_revoked(&grants)?;
            return Ok(Publisher {
                session: None,
                // A back end publishes without a rate limit.
                address: (!grants.is_server()).then(|| self.addresses.bucket(address)),
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
        let grants = self.grants_of(claims, credential)?;
        self.check_revoked(&grants)?;
        Ok(Publisher {
            session: Some(self.session(&id, &grants, address)),
            address: self.charge_address(&grants, credential, address),
            grants,
            nonce: None,
            credential: None,
        })
    }

    /// Publishes an event.
    ///
    /// # Errors
    /// `forbidden`, and the refusals of [`publish`](crate::broker::Broker::publish).
    pub async fn publish(
        &self,
        publisher: &Publisher,
        publish: Publish,
    ) -> Result<Published, Refusal> {
        // The body may have arrived long after the credential was judged.
        self.check_revoked(&publisher.grants)?;
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

    /// Refuses a publish that did not reach the broker. A final refusal is the answer to its numbered key.
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

    /// Returns the rate limit that the anonymous sessions of an address share. A client with a credential is
    /// accountable for it and shares none. A loopback address belongs to a proxy or to a single client, and shares none
    /// either.
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

    /// Checks whether this client may query a channel.
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

    /// Returns whether a session ever sent a ping over HTTP.
    pub(super) fn was_heard(&self, publisher: &Publisher) -> bool {
        let session = publisher.session.as_deref();
        session.is_some_and(|session| session.state.lock().heard.is_some())
    }

    /// Records that a session sent a ping over HTTP.
    pub fn heard(&self, publisher: &Publisher) {
        if let Some(session) = &publisher.session {
            session.state.lock().heard = Some(Instant::now());
        }
    }

    /// Ends the presence of a session at once, unless it has other attachments.
    pub fn leave(&self, publisher: &Publisher) {
        if let Some(session) = &publisher.session {
            self.presence.leave(&session.id);
        }
    }
}

impl Publisher {
    /// Returns whether it is a back end with an API key.
    pub(super) fn is_server(&self) -> bool {
        self.grants.is_server()
    }

    /// Returns the same publisher on behalf of a user, who is shown as `from`.
    ///
    /// # Errors
    /// `forbidden` unless an API key publishes; `unauthorized` for a text that is no user id.
    pub fn on_behalf_of(mut self, user: &str) -> Result<Self, Refusal> {
        if !self.grants.is_server() {
            let detail = "only an API key may publish on behalf of a user (`from`)";
            return Err(Refusal::new(Code::Forbidden, detail));
        }
        self.grants = Arc::new(Grants::clone(&self.grants).with_user(user)?);
        Ok(self)
    }

    /// Returns the same publisher for a request with this nonce and its credential at this place.
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

    /// Returns the refusal of one of its commands.
    pub(super) fn reply_refusal(&self, refusal: Refusal) -> Refusal {
        refusal.answering(self.nonce.clone(), self.credential)
    }

    /// Returns the limiters that it is charged to: a session's own and its address's, or only the address's.
    pub(super) fn limiters(&self) -> Limiters<'_> {
        match &self.session {
            _ if self.grants.is_server() => Limiters {
                own: None,
                address: None,
            },
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

    /// Returns the id of the session, if a session publishes.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_deref().map(|session| &*session.id)
    }

    /// Returns the kind of this key: `SESSIONID:N` is a number in the session's own sequence.
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
