//! Presence: the sessions that are shown in a channel. Publishes their joins and leaves on `$presence/NAME`.
//!
//! Presence is opt-in. A guard represents one attachment, and a grace period covers the time until the next one. Knows
//! no wire.

mod channel_members;
mod hooks;
mod member;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::protocol::{ChannelName, Data, Draft, EventName, PresenceCount};
use channel_members::ChannelMembers;
use hooks::Happened;
use member::{Entry, MemberNotice};

pub use hooks::PresenceHooks;
pub use member::{Member, Members};

/// The most members of a channel whose joins and leaves are published one by one. A larger channel publishes only its
/// count, because each join would be delivered to every member.
const TOLD_MEMBERS_MAX: usize = 200;
/// The most members that `GET /presence` lists.
const LISTED_MEMBERS_MAX: usize = 1_000;
/// The most grace periods that run at once, which is about 40 MiB of memory. Beyond it, the oldest ones end early. A
/// poll that shows its session and is not followed by another poll leaves one grace period for each of its channels.
const LEAVING_MAX: usize = 100_000;
/// The interval at which grace periods are checked.
const TICK: Duration = Duration::from_millis(100);
/// The interval at which the count of a large channel is published.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// The options of presence.
#[derive(Clone, Debug)]
pub struct PresenceOptions {
    /// How long a member stays after its last attachment ended without a leave.
    pub grace: Duration,
}

impl Default for PresenceOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
        }
    }
}

/// The members of all channels of this node.
#[derive(Debug)]
pub struct Presence {
    options: PresenceOptions,
    broker: Arc<Broker>,
    /// Held while a join or leave is published, so that they are published in the order in which they happened.
    shown: Mutex<ShownMember>,
    hooks: PresenceHooks,
    /// Held while hooks run, so that they run in the order of the changes. Never locked while `shown` is held.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct ShownMember {
    members: HashMap<ChannelName, ChannelMembers>,
    /// The members whose grace period runs or has run, by the end that was known when they were queued. Each membership
    /// is queued at most once at a time.
    leaving: BinaryHeap<Reverse<(Instant, ChannelName, Arc<str>)>>,
    /// Large channels whose count must be published.
    counts: HashSet<ChannelName>,
    /// The channels in which each session is shown.
    places: HashMap<Arc<str>, Vec<ChannelName>>,
    /// Joins and leaves whose hooks have not been called yet.
    happened: VecDeque<Happened>,
    /// The number of memberships so far. It numbers each membership, so that a guard of an earlier one changes nothing
    /// in a later one.
    memberships: u64,
}

impl ShownMember {
    /// Returns a session that is shown in a channel.
    fn session(&mut self, channel: &ChannelName, id: &str) -> Option<&mut Entry> {
        self.members.get_mut(channel)?.session_mut(id)
    }

    fn count(&self, channel: &ChannelName) -> usize {
        self.members.get(channel).map_or(0, ChannelMembers::count)
    }
}

/// Represents one attachment of one member. Dropping it starts the grace period.
#[derive(Debug)]
pub struct PresenceGuard {
    presence: Arc<Presence>,
    channel: ChannelName,
    id: Arc<str>,
    membership: u64,
    /// When the guard was created.
    since: Instant,
    /// Whether it represents a poll that was answered, which another poll may follow.
    polled: bool,
    /// Whether it ends without a grace period.
    clean: bool,
}

impl PresenceGuard {
    /// Returns the channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Marks the guard as that of an answered poll. The time until the next poll is no leave, even if an attachment
    /// that was already open closes in the meantime. An attachment that opens later replaces the polls.
    pub fn answered(&mut self) {
        self.polled = true;
    }

    /// Ends the guard without a grace period. The member leaves at once unless another attachment is open or another
    /// poll may follow.
    pub fn leave(mut self) {
        self.clean = true;
    }
}

impl Presence {
    /// Creates a presence that publishes through this broker.
    #[must_use]
    pub fn new(options: PresenceOptions, broker: Arc<Broker>, hooks: PresenceHooks) -> Arc<Self> {
        Arc::new(Self {
            options,
            broker,
            shown: Mutex::default(),
            hooks,
            turn: Mutex::default(),
        })
    }

    /// Starts the task that ends grace periods and publishes counts. It ends when the presence is dropped.
    pub fn start(self: &Arc<Self>) {
        let presence = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            let mut counted = Instant::now();
            loop {
                let now = ticks.tick().await;
                let Some(presence) = presence.upgrade() else {
                    return;
                };
                presence.end_graces(now);
                if now - counted >= COUNT_EVERY {
                    counted = now;
                    presence.tell_counts();
                }
            }
        });
    }

    /// Shows a session in a channel until the returned guard and those of its other attachments are dropped.
    pub fn join(
        self: &Arc<Self>,
        channel: &ChannelName,
        id: &Arc<str>,
        user: Option<&str>,
        info: Option<&Bytes>,
    ) -> PresenceGuard {
        let mut shown = self.shown.lock();
        let membership = if let Some(member) = shown.session(channel, id) {
            member.attaches += 1;
            member.grace_ends = None;
            member.left = false;
            member.membership
        } else {
            shown.memberships += 1;
            let membership = shown.memberships;
            let entry = Entry::new(membership, id, user, info);
            let members = shown.members.entry(channel.clone()).or_default();
            let joined = members.add(id.clone(), entry);
            let places = shown.places.entry(id.clone()).or_default();
            places.push(channel.clone());
            if let Some(member) = joined {
                self.tell(&mut shown, channel, "join", MemberNotice::of(&member));
                if self.hooks.join.is_some() {
                    let joined = Happened::Joined(channel.clone(), member);
                    shown.happened.push_back(joined);
                }
            }
            membership
        };
        drop(shown);
        self.call_hooks();
        PresenceGuard {
            presence: self.clone(),
            channel: channel.clone(),
            id: id.clone(),
            membership,
            since: Instant::now(),
            polled: false,
            clean: false,
        }
    }

    /// Ends the presence of a session that sent `leave`. In each channel, the session leaves at once if at most one of
    /// its attachments is open there. Otherwise, it leaves with the last one.
    pub fn leave(&self, id: &str) {
        let mut shown = self.shown.lock();
        for channel in shown.places.get(id).cloned().unwrap_or_default() {
            let Some(member) = shown.session(&channel, id) else {
                continue;
            };
            member.left = true;
            if member.attaches <= 1 {
                self.remove(&mut shown, &channel, id);
            }
        }
        drop(shown);
        self.call_hooks();
    }

    /// Returns whether a session is shown in a channel, or is within its grace period there.
    #[must_use]
    pub fn is_shown(&self, channel: &ChannelName, id: &str) -> bool {
        let shown = self.shown.lock();
        let members = shown.members.get(channel);
        members.is_some_and(|members| members.contains(id))
    }

    /// Returns the members of a channel: their count, and the first thousand in the order of joining.
    #[must_use]
    pub fn members(&self, channel: &ChannelName) -> Members {
        let shown = self.shown.lock();
        let members = shown.members.get(channel);
        Members {
            channel: channel.to_string(),
            count: members.map_or(0, ChannelMembers::count),
            members: members.map_or_else(Vec::new, |members| members.list(LISTED_MEMBERS_MAX)),
        }
    }

    fn detach(&self, here: &PresenceGuard) {
        self.detach_shown(&mut self.shown.lock(), here);
        self.call_hooks();
    }

    fn detach_shown(&self, shown: &mut ShownMember, here: &PresenceGuard) {
        let (channel, id) = (&here.channel, &here.id);
        let member = shown.session(channel, id);
        let Some(member) = member.filter(|member| member.membership == here.membership) else {
            return;
        };
        let now = Instant::now();
        let grace_ends = now + self.options.grace;
        if here.polled && !here.clean {
            member.polled = Some(now);
        }
        member.attaches -= 1;
        if member.attaches > 0 {
            return;
        }
        let polled = member.polled.filter(|polled| *polled >= here.since);
        let polls_on = polled
            .map(|polled| polled + self.options.grace)
            .filter(|until| *until > now);
        let ends = if here.clean {
            polls_on
        } else {
            Some(grace_ends)
        };
        match ends.filter(|_| !member.left && !self.options.grace.is_zero()) {
            Some(ends) => {
                member.grace_ends = Some(ends);
                if !std::mem::replace(&mut member.is_queued, true) {
                    let leaving = (ends, channel.clone(), id.clone());
                    shown.leaving.push(Reverse(leaving));
                }
                if shown.leaving.len() > LEAVING_MAX {
                    self.end_first_grace(shown, Instant::now() + self.options.grace);
                }
            }
            None => self.remove(shown, channel, id),
        }
    }

    fn end_graces(&self, now: Instant) {
        let mut shown = self.shown.lock();
        let due = |shown: &ShownMember| {
            shown
                .leaving
                .peek()
                .is_some_and(|Reverse((ends, ..))| *ends <= now)
        };
        while due(&shown) {
            self.end_first_grace(&mut shown, now);
        }
        drop(shown);
        self.call_hooks();
    }

    /// Handles the first entry of the queue: removes the member if its grace period is over at `now`. If the period
    /// ends later, queues the member again.
    fn end_first_grace(&self, shown: &mut ShownMember, now: Instant) {
        let Some(Reverse((_, channel, id))) = shown.leaving.pop() else {
            return;
        };
        let Some(member) = shown.session(&channel, &id) else {
            return;
        };
        match member.grace_ends {
            Some(ends) if ends <= now => self.remove(shown, &channel, &id),
            Some(ends) => shown.leaving.push(Reverse((ends, channel, id))),
            None => member.is_queued = false,
        }
    }

    fn tell_counts(&self) {
        let mut shown = self.shown.lock();
        for channel in std::mem::take(&mut shown.counts) {
            let count = shown.count(&channel);
            self.post(&channel, "count", &PresenceCount { count });
        }
    }

    fn remove(&self, shown: &mut ShownMember, channel: &ChannelName, id: &str) {
        let members = shown.members.get_mut(channel);
        let Some((id, left)) = members.and_then(|members| members.remove(id)) else {
            return;
        };
        if let Some(places) = shown.places.get_mut(&id) {
            places.retain(|name| name != channel);
            if places.is_empty() {
                shown.places.remove(&id);
            }
        }
        if let Some(member) = left {
            self.tell(shown, channel, "leave", MemberNotice::of(&member));
            if self.hooks.leave.is_some() {
                let left = Happened::Left(channel.clone(), member);
                shown.happened.push_back(left);
            }
        }
        if shown
            .members
            .get(channel)
            .is_some_and(ChannelMembers::is_empty)
        {
            shown.members.remove(channel);
        }
    }

    fn tell(
        &self,
        shown: &mut ShownMember,
        channel: &ChannelName,
        name: &'static str,
        mut told: MemberNotice,
    ) {
        told.count = shown.count(channel);
        if told.count > TOLD_MEMBERS_MAX {
            shown.counts.insert(channel.clone());
        } else {
            self.post(channel, name, &told);
        }
    }

    fn post(&self, channel: &ChannelName, name: &'static str, told: &impl Serialize) {
        let json = serde_json::to_vec(told).expect("texts and numbers serialise");
        self.broker.post(Draft {
            channel: channel.presence(),
            name: EventName::of_hub(name),
            data: Data::Json(json.into_boxed_slice().into()),
            from: None,
            session: None,
            sent_bytes: 0,
        });
    }
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        self.presence.detach(self);
    }
}

#[cfg(test)]
mod tests;
