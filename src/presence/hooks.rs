//! The hooks that an application sets for joins and leaves.
//!
//! They run without a lock of the presence state, so a hook may list members. They run one at a time, in order.

use std::fmt;
use std::sync::Arc;

use super::{Member, Presence};
use crate::protocol::ChannelName;

/// A hook that is called for each join, or for each leave.
pub(crate) type OnMember = Arc<dyn Fn(&ChannelName, &Member) + Send + Sync>;

/// The presence hooks of an application.
#[derive(Clone, Default)]
pub struct PresenceHooks {
    pub(crate) join: Option<OnMember>,
    pub(crate) leave: Option<OnMember>,
}

impl fmt::Debug for PresenceHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}

/// A change for which a hook is to be called.
#[derive(Debug)]
pub(super) enum Happened {
    Joined(ChannelName, Arc<Member>),
    Left(ChannelName, Arc<Member>),
}

impl Presence {
    /// Calls the hooks for all queued joins and leaves. Other threads wait until this is done, which bounds the queue
    /// by the number of threads.
    pub(super) fn call_hooks(&self) {
        if self.hooks.join.is_none() && self.hooks.leave.is_none() {
            return;
        }
        let _turn = self.turn.lock();
        loop {
            let next = self.shown.lock().happened.pop_front();
            let (hook, channel, member) = match next {
                Some(Happened::Joined(channel, member)) => (&self.hooks.join, channel, member),
                Some(Happened::Left(channel, member)) => (&self.hooks.leave, channel, member),
                None => return,
            };
            if let Some(hook) = hook {
                hook(&channel, &member);
            }
        }
    }
}
