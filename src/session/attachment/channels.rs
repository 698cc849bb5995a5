//! The channels of an open attachment: those it joins and leaves, and those in which its session is present.
//!
//! This file does not know deadlines or outgoing items.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Attachment, PendingWork};
use crate::hub::feed::{Feed, Replay};
use crate::presence::PresenceGuard;
use crate::protocol::cursor::Since;
use crate::protocol::{
    AskedChannel, AttachRequest, ChannelName, Code, Owner, Refusal, RefusedChannel, ShownIn,
};
use crate::session::real_names;

/// Adds the channels that the hub has no room for to those that are already refused, in the order of the request. If
/// one inbox of `@` cannot be read, none of its inboxes is read.
///
/// # Errors
/// Returns the first refusal if no channel remains.
pub(super) fn name_refused(
    feed: &mut Feed,
    attach_request: &AttachRequest,
    missing: Vec<(ChannelName, Refusal)>,
    mut refused: Vec<RefusedChannel>,
) -> Result<Vec<RefusedChannel>, Refusal> {
    if !missing.is_empty() {
        let mut asked: HashMap<&str, usize> = HashMap::new();
        for (index, channel) in attach_request.channels.iter().enumerate() {
            asked.insert(name_of(channel), index);
        }
        for (name, refusal) in missing {
            if asked.contains_key(name.as_str()) {
                refused.push(RefusedChannel::new(name.as_str(), refusal));
                continue;
            }
            // The request does not name this channel, so it is one of the reader's own inboxes.
            let inboxes: Vec<ChannelName> = feed.channels().cloned().collect();
            let own = |name: &ChannelName| !asked.contains_key(name.as_str());
            inboxes.iter().filter(|name| own(name)).for_each(|name| {
                feed.leave(name);
            });
            if !refused.iter().any(|refused| refused.channel == "@") {
                refused.push(RefusedChannel::new("@", refusal));
            }
        }
        refused.sort_by_key(|refused| asked.get(&*refused.channel).copied());
    }
    if feed.channels().next().is_none() {
        return Err(RefusedChannel::whole(refused));
    }
    let metrics = feed.hub().metrics();
    refused
        .iter()
        .for_each(|refused| metrics.refusal(&refused.refusal));
    Ok(refused)
}

fn name_of(channel: &AskedChannel) -> &str {
    match channel {
        Ok((name, _)) => name.as_str(),
        Err(refused) => &refused.channel,
    }
}

impl Attachment {
    pub(super) fn subscribe(
        &mut self,
        name: &ChannelName,
        start: Since,
    ) -> Result<Option<Replay>, Refusal> {
        self.may_subscribe(name)?;
        let joined = self.feed.channels().filter(|name| !name.is_inbox());
        let joined = joined.count();
        if !name.is_inbox()
            && self
                .sessions
                .options
                .session_channels
                .is_some_and(|most| joined >= most)
        {
            return Err(Refusal::new(
                Code::TooManyChannels,
                format!("the session already reads {joined} channels"),
            ));
        }
        for real in real_names(name, &self.grants, &self.session.id) {
            let replay = self.feed.join(&real, start)?;
            if let Some(replay) = replay {
                self.pending().waiting.push(replay);
            }
            self.show(&real);
            self.show_watched(&real);
        }
        Ok(self.late.as_mut().and_then(|late| late.waiting.pop()))
    }

    /// Whether it may read a channel, and be shown where that shows it.
    fn may_subscribe(&self, name: &ChannelName) -> Result<(), Refusal> {
        let (sessions, id) = (&self.sessions, &*self.session.id);
        sessions.may_read(&self.grants, name, Some(id))?;
        if self.shows(name) {
            return sessions.may_join(&self.grants, name, id);
        }
        match (self.shown(), name.owner()) {
            (ShownIn::Watched, Owner::Presence(of)) => {
                let of = ChannelName::new(of)?;
                if self.reads(&of) {
                    sessions.may_join(&self.grants, &of, id)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn unsubscribe(&mut self, name: &ChannelName) {
        for real in real_names(name, &self.grants, &self.session.id) {
            self.feed.leave(&real);
            self.hide(&real);
            if let (ShownIn::Watched, Owner::Presence(of)) = (self.shown(), real.owner())
                && let Ok(of) = ChannelName::new(of)
            {
                self.hide(&of);
            }
        }
    }

    /// Ends this attachment's presence in one channel.
    fn hide(&mut self, name: &ChannelName) {
        let Some(late) = &mut self.late else { return };
        let (gone, here) = std::mem::take(&mut late.here)
            .into_iter()
            .partition(|here| here.channel() == name);
        late.here = here;
        Vec::into_iter(gone).for_each(PresenceGuard::leave);
    }

    /// Joins the presence of a channel that the session reads, once the session watches its companion channel.
    fn show_watched(&mut self, companion: &ChannelName) {
        let (ShownIn::Watched, Owner::Presence(of)) = (self.shown(), companion.owner()) else {
            return;
        };
        if let Ok(of) = ChannelName::new(of)
            && self.reads(&of)
        {
            self.show(&of);
        }
    }

    pub(super) fn shown(&self) -> ShownIn {
        self.attach_request()
            .map_or(ShownIn::Nowhere, |attach_request| attach_request.presence)
    }

    fn reads(&self, name: &ChannelName) -> bool {
        self.feed.channels().any(|joined| joined == name)
    }

    /// Ends this attachment's presence at once. The session's other attachments keep theirs.
    pub fn leave(&mut self) {
        if let Some(late) = &mut self.late {
            late.here.drain(..).for_each(PresenceGuard::leave);
        }
    }

    /// Notes that the response to a poll is sent. Another poll may follow.
    pub fn answered(&mut self) {
        if let Some(late) = &mut self.late {
            late.here.iter_mut().for_each(PresenceGuard::answered);
        }
    }

    fn shows(&self, name: &ChannelName) -> bool {
        name.owner() == Owner::Anyone
            && self.sessions.shows_members(name)
            && match self.shown() {
                ShownIn::Nowhere => false,
                ShownIn::Everywhere => true,
                ShownIn::Watched => self.reads(&name.presence()),
            }
    }

    /// Returns whether presence in this channel would be announced and is charged to the client's address.
    pub(super) fn is_newcomer(&self, name: &ChannelName) -> bool {
        let is_counted = self.crowd.is_some() && self.shows(name);
        is_counted && !self.sessions.presence.is_shown(name, &self.session.id)
    }

    pub(super) fn show(&mut self, name: &ChannelName) {
        let is_here = |late: &PendingWork| late.here.iter().any(|here| here.channel() == name);
        let shown = self.late.as_deref().is_some_and(is_here);
        if self.shows(name) && !shown {
            if self.is_newcomer(name) {
                // A join is announced like a publish, and a mere poll can cause it.
                self.sessions.broker.charge(self.limiters());
            }
            let (id, user) = (&self.session.id, self.grants.user());
            let granted = self
                .grants
                .info()
                .map(|info| Bytes::copy_from_slice(info.as_bytes()));
            let asked = self
                .attach_request()
                .and_then(|request| request.info.as_ref());
            let info = granted.as_ref().or(asked);
            let here = self.sessions.presence.join(name, id, user, info);
            self.pending().here.push(here);
        }
    }
}
