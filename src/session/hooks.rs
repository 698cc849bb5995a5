//! The hooks by which an application decides about channels and publishes.
//!
//! They run after the check of the grants, so a hook can only remove permissions. Knows no wire format.

use std::fmt;
use std::sync::Arc;

use super::{Sessions, now_s};
use crate::auth::{ChannelRules, Grants};
use crate::protocol::{
    AttachRequest, ChannelName, Data, EventName, Owner, Publish, Refusal, ShownIn,
};

/// An action of a client in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read the channel: its events, its history, and its members.
    Read,
    /// Publish to the channel.
    Publish,
    /// Be shown as a member of the channel.
    Join,
}

impl Action {
    /// Returns the action as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Join => "join",
        }
    }
}

/// The argument of an access hook: a client, an action and a channel.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The action.
    pub action: Action,
    /// The channel. For a read of `$presence/NAME` it is `NAME`.
    pub channel: &'a ChannelName,
    /// The user id of the client's grants.
    pub user: Option<&'a str>,
    /// The id of the client's session. `None` for a publish or a query without a session.
    pub session: Option<&'a str>,
}

/// The argument of a publish hook: an event before it is published.
#[derive(Clone, Copy, Debug)]
pub struct Publishing<'a> {
    /// The channel.
    pub channel: &'a ChannelName,
    /// The name of the event.
    pub name: &'a EventName,
    /// The data of the event.
    pub data: &'a Data,
    /// The user id of the publisher's grants.
    pub user: Option<&'a str>,
    /// The id of the publisher's session.
    pub session: Option<&'a str>,
}

/// Allows an access or refuses it.
pub(crate) type OnAccess = Arc<dyn Fn(&Access<'_>) -> Result<(), Refusal> + Send + Sync>;
/// Allows a publish or refuses it.
pub(crate) type OnPublish = Arc<dyn Fn(&Publishing<'_>) -> Result<(), Refusal> + Send + Sync>;

/// The channel rules and the hooks of an application. A hook can only remove what rules and grants allow.
#[derive(Clone, Default)]
pub struct Hooks {
    pub(crate) rules: ChannelRules,
    /// Whether credentials are judged. Then a session key that is not valid is refused, and does not begin an anonymous
    /// session.
    pub(crate) has_credentials: bool,
    pub(crate) access: Option<OnAccess>,
    pub(crate) publish: Option<OnPublish>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}

impl Sessions {
    /// Returns whether each request to read must be checked again.
    pub(crate) fn judges_access(&self) -> bool {
        self.hooks.access.is_some()
    }

    /// Returns whether a channel may show its members.
    pub(super) fn shows_members(&self, channel: &ChannelName) -> bool {
        self.hooks.rules.shows_members(channel.as_str())
    }

    /// Checks whether a session with these grants may read a channel now.
    ///
    /// # Errors
    /// `forbidden`, `session_expired`, and the refusals of the access hook.
    pub(super) fn may_read(
        &self,
        grants: &Grants,
        channel: &ChannelName,
        session: Option<&str>,
    ) -> Result<(), Refusal> {
        self.check_revoked(grants)?;
        grants.may_read(&self.hooks.rules, channel, session, now_s())?;
        match channel.owner() {
            // Only the owner of an inbox reads it.
            Owner::OwnInboxes | Owner::Inbox(_) | Owner::Hub => Ok(()),
            Owner::Anyone => self.ask(Action::Read, grants, channel, session),
            Owner::Presence(of) if self.judges_access() => {
                self.ask(Action::Read, grants, &ChannelName::new(of)?, session)
            }
            Owner::Presence(_) => Ok(()),
        }
    }

    /// Checks whether a request may open a channel: read it, and be shown in it if the request wants that.
    ///
    /// # Errors
    /// `forbidden`, `session_expired`, and the refusals of the access hook.
    pub(super) fn may_open(
        &self,
        attach_request: &AttachRequest,
        grants: &Grants,
        name: &ChannelName,
        id: &str,
    ) -> Result<(), Refusal> {
        self.may_read(grants, name, Some(id))?;
        if !self.judges_access() || !shows(attach_request, name) || !self.shows_members(name) {
            return Ok(());
        }
        self.may_join(grants, name, id)
    }

    /// Checks whether a session may be shown in a channel.
    ///
    /// # Errors
    /// The refusals of the access hook.
    pub(super) fn may_join(
        &self,
        grants: &Grants,
        channel: &ChannelName,
        session: &str,
    ) -> Result<(), Refusal> {
        self.ask(Action::Join, grants, channel, Some(session))
    }

    /// Checks whether this may be published with these grants now.
    ///
    /// # Errors
    /// `forbidden`, `bad_channel`, `session_expired`, and the refusals of the hooks.
    pub(super) fn may_publish(
        &self,
        grants: &Grants,
        publish: &Publish,
        session: Option<&str>,
    ) -> Result<(), Refusal> {
        grants.may_publish(&self.hooks.rules, &publish.channel, now_s())?;
        self.ask(Action::Publish, grants, &publish.channel, session)?;
        self.hooks.publish.as_ref().map_or(Ok(()), |hook| {
            hook(&Publishing {
                channel: &publish.channel,
                name: &publish.name,
                data: &publish.data,
                user: grants.user(),
                session,
            })
        })
    }

    fn ask(
        &self,
        action: Action,
        grants: &Grants,
        channel: &ChannelName,
        session: Option<&str>,
    ) -> Result<(), Refusal> {
        self.hooks.access.as_ref().map_or(Ok(()), |hook| {
            hook(&Access {
                action,
                channel,
                user: grants.user(),
                session,
            })
        })
    }
}

/// Returns whether a request wants its session to be shown in this one of its channels.
fn shows(attach_request: &AttachRequest, name: &ChannelName) -> bool {
    let reads = |companion: &ChannelName| {
        let mut asked = attach_request.channels.iter().flatten();
        asked.any(|(asked, _)| asked == companion)
    };
    name.owner() == Owner::Anyone
        && match attach_request.presence {
            ShownIn::Nowhere => false,
            ShownIn::Everywhere => true,
            ShownIn::Watched => reads(&name.presence()),
        }
}
