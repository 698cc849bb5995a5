//! The channels of an attach once it is open: joined, left, and those in which it shows its session.
//!
//! Knows no pace and no turn.

use super::{Attach, Late};
use crate::cursor::Start;
use crate::feed::Replay;
use crate::presence::Here;
use crate::protocol::{ChannelName, Code, Owner, Refusal};
use crate::session::real_names;

impl Attach {
    pub(super) fn subscribe(
        &mut self,
        name: &ChannelName,
        start: Start,
    ) -> Result<Option<Replay>, Refusal> {
        self.grants.may_read(name, Some(&self.session.id))?;
        let joined = self.feed.channels().count();
        if self
            .sessions
            .options
            .session_channels
            .is_some_and(|most| joined >= most)
        {
            return Err(Refusal::new(
                Code::TooManyChannels,
                format!("{joined} channels in one session already"),
            ));
        }
        for real in real_names(name, &self.grants, &self.session.id) {
            let replay = self.feed.join(&real, start)?;
            if let Some(replay) = replay {
                self.late().waiting.push(replay);
            }
            self.show(&real);
        }
        Ok(self.late.as_mut().and_then(|late| late.waiting.pop()))
    }

    pub(super) fn unsubscribe(&mut self, name: &ChannelName) {
        for real in real_names(name, &self.grants, &self.session.id) {
            self.feed.leave(&real);
            let Some(late) = &mut self.late else { continue };
            let (gone, here) = std::mem::take(&mut late.here)
                .into_iter()
                .partition(|here| *here.channel() == real);
            late.here = here;
            Vec::into_iter(gone).for_each(Here::leave);
        }
    }

    /// Ends this attach's presence at once; the session's other attaches keep theirs.
    pub fn leave(&mut self) {
        if let Some(late) = &mut self.late {
            late.here.drain(..).for_each(Here::leave);
        }
    }

    /// The answer of a poll is given: another one may follow.
    pub fn answered(&mut self) {
        if let Some(late) = &mut self.late {
            late.here.iter_mut().for_each(Here::answered);
        }
    }

    fn shows(&self, name: &ChannelName) -> bool {
        self.opening().is_some_and(|opening| opening.presence) && name.owner() == Owner::Anyone
    }

    /// Whether showing itself in this channel would be told, and counts for its address.
    pub(super) fn is_newcomer(&self, name: &ChannelName) -> bool {
        let is_counted = self.crowd.is_some() && self.shows(name);
        is_counted && !self.sessions.presence.is_shown(name, &self.session.id)
    }

    pub(super) fn show(&mut self, name: &ChannelName) {
        let is_here = |late: &Late| late.here.iter().any(|here| here.channel() == name);
        let shown = self.late.as_deref().is_some_and(is_here);
        if self.shows(name) && !shown {
            if self.is_newcomer(name) {
                // A join is told like a publish, and made by a mere poll.
                self.sessions.broker.charge(self.meters());
            }
            let (id, user) = (&self.session.id, self.grants.user());
            let info = self.opening().and_then(|opening| opening.info.as_ref());
            let here = self.sessions.presence.join(name, id, user, info);
            self.late().here.push(here);
        }
    }
}
