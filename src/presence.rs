//! Presence: a fold over joins and leaves, published on the presence channel `$presence/NAME`.
//!
//! Opt-in. A guard represents one attachment, and a grace period covers the time until the next. Knows no wire.

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
use hooks::Happened;
use member::{Entry, MemberNotice};

pub use hooks::PresenceHooks;
pub use member::{Member, Members};

/// Members of one channel beyond which only their count is published. Each join would otherwise go to all of them.
const TOLD_MEMBERS_MAX: usize = 200;
/// Members listed by `GET /presence`.
const LISTED_MEMBERS_MAX: usize = 1_000;
/// Graces that run at one time, some 40 MiB; beyond it the oldest end early. Each poll that shows its session and
/// does not come again leaves one for each of its channels.
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
    /// Held while a join or leave is published, to publish them in the order in which they happened.
    shown: Mutex<ShownMember>,
    hooks: PresenceHooks,
    /// Held while hooks run, to run them in the order of the changes. Never locked under `shown`.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct ShownMember {
    members: HashMap<ChannelName, HashMap<Arc<str>, Entry>>,
    /// Members whose grace runs, or ran, each once, by its end.
    leaving: BinaryHeap<Reverse<(Instant, ChannelName, Arc<str>)>>,
    /// Large channels whose count must be published.
    counts: HashSet<ChannelName>,
    /// The channels in which each session is shown.
    places: HashMap<Arc<str>, Vec<ChannelName>>,
    /// Joins and leaves whose hooks have not been called yet.
    happened: VecDeque<Happened>,
    /// Memberships begun, so that a guard of an earlier one is told from those of the present one.
    memberships: u64,
}

/// Represents one attachment of one member. Dropping it starts the grace period.
#[derive(Debug)]
pub struct PresenceGuard {
    presence: Arc<Presence>,
    channel: ChannelName,
    id: Arc<str>,
    membership: u64,
    /// When it began.
    since: Instant,
    /// Whether it stands for a poll that was answered, so that another may follow.
    polled: bool,
    /// Whether it ends without a grace.
    clean: bool,
}

impl PresenceGuard {
    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// As a poll that was answered: the time until the next one is no leave, even when an attach closes meanwhile that
    /// was there before. One that opened later took over from the polls.
    pub fn answered(&mut self) {
        self.polled = true;
    }

    /// Ends this guard without a grace: unless another attach lives, the member is gone at once.
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
        let known = shown
            .members
            .get_mut(channel)
            .and_then(|members| members.get_mut(id));
        let membership = if let Some(member) = known {
            member.attaches += 1;
            member.grace_ends = None;
            member.left = false;
            member.membership
        } else {
            shown.memberships += 1;
            let member = Entry::new(shown.memberships, id, user, info);
            let (membership, told) = (member.membership, member.told());
            if self.hooks.join.is_some() {
                let joined = Happened::Joined(channel.clone(), member.member.clone());
                shown.happened.push_back(joined);
            }
            shown
                .members
                .entry(channel.clone())
                .or_default()
                .insert(id.clone(), member);
            shown
                .places
                .entry(id.clone())
                .or_default()
                .push(channel.clone());
            self.tell(&mut shown, channel, "join", told);
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

    /// A session said that it leaves: it is gone at once where no more than its present attach lives, else with
    /// its last one.
    pub fn leave(&self, id: &str) {
        let mut shown = self.shown.lock();
        for channel in shown.places.get(id).cloned().unwrap_or_default() {
            let member = shown
                .members
                .get_mut(&channel)
                .and_then(|members| members.get_mut(id));
            let Some(member) = member else { continue };
            member.left = true;
            if member.attaches <= 1 {
                self.remove(&mut shown, &channel, id);
            }
        }
        drop(shown);
        self.call_hooks();
    }

    /// Reports whether a session is shown in a channel or within its grace period.
    #[must_use]
    pub fn is_shown(&self, channel: &ChannelName, id: &str) -> bool {
        let shown = self.shown.lock();
        let members = shown.members.get(channel);
        members.is_some_and(|members| members.contains_key(id))
    }

    /// Returns the members of a channel.
    #[must_use]
    pub fn members(&self, channel: &ChannelName) -> Members {
        let shown = self.shown.lock();
        let members = shown.members.get(channel).into_iter();
        let mut members: Vec<&Entry> = members.flat_map(HashMap::values).collect();
        let count = members.len();
        // Sort by the order of joining: two members may join in one millisecond.
        let age = |member: &&Entry| member.membership;
        if count > LISTED_MEMBERS_MAX {
            members.select_nth_unstable_by_key(LISTED_MEMBERS_MAX, age);
            members.truncate(LISTED_MEMBERS_MAX);
        }
        members.sort_unstable_by_key(age);
        let members = members.into_iter().map(|member| member.member.clone());
        Members {
            channel: channel.to_string(),
            count,
            members: members.collect(),
        }
    }

    fn detach(&self, here: &PresenceGuard) {
        self.detach_shown(&mut self.shown.lock(), here);
        self.call_hooks();
    }

    fn detach_shown(&self, shown: &mut ShownMember, here: &PresenceGuard) {
        let (channel, id) = (&here.channel, &here.id);
        let member = shown
            .members
            .get_mut(channel)
            .and_then(|members| members.get_mut(id));
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

    /// Ends the first queued grace period, unless it has moved beyond `now` or its member has returned.
    fn end_first_grace(&self, shown: &mut ShownMember, now: Instant) {
        let Some(Reverse((_, channel, id))) = shown.leaving.pop() else {
            return;
        };
        let member = shown
            .members
            .get_mut(&channel)
            .and_then(|members| members.get_mut(&id));
        let Some(member) = member else { return };
        match member.grace_ends {
            Some(ends) if ends <= now => self.remove(shown, &channel, &id),
            Some(ends) => shown.leaving.push(Reverse((ends, channel, id))),
            None => member.is_queued = false,
        }
    }

    fn tell_counts(&self) {
        let mut shown = self.shown.lock();
        for channel in std::mem::take(&mut shown.counts) {
            let count = shown.members.get(&channel).map_or(0, HashMap::len);
            self.post(&channel, "count", &PresenceCount { count });
        }
    }

    fn remove(&self, shown: &mut ShownMember, channel: &ChannelName, id: &str) {
        let removed = shown
            .members
            .get_mut(channel)
            .and_then(|members| members.remove_entry(id));
        let Some((id, member)) = removed else { return };
        if let Some(places) = shown.places.get_mut(&id) {
            places.retain(|name| name != channel);
            if places.is_empty() {
                shown.places.remove(&id);
            }
        }
        if self.hooks.leave.is_some() {
            let left = Happened::Left(channel.clone(), member.member.clone());
            shown.happened.push_back(left);
        }
        self.tell(shown, channel, "leave", member.told());
        if shown.members.get(channel).is_some_and(HashMap::is_empty) {
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
        told.count = shown.members.get(channel).map_or(0, HashMap::len);
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
