//! One open reader of a session: its feed, its pace, its presence, and how it ends.
//!
//! Gives turns; how a turn is written, and on which wire, is the transports' business.

mod channels;
mod deadlines;
mod delegation;
mod first_frames;
mod refused;
mod resume;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use self::channels::name_refused;
use self::resume::resumes_until_s;
use super::addresses::SharedTokenBucket;
use super::client::AttachmentHandle;
use super::deadlines::{Deadlines, random};
use super::{PermittedChannels, Publisher, Session, Sessions};
use crate::auth::Grants;
use crate::broker::Limiters;
use crate::hub::Items;
use crate::hub::feed::{Batch, Feed, Item, Replay};
use crate::metrics::ReaderMetrics;
use crate::presence::PresenceGuard;
use crate::protocol::cursor::{Cursor, Since};
use crate::protocol::{
    AttachRequest, Bye, ByeReason, ChannelName, Command, CommandRequest, CredentialPlace,
    EmptyAnswer, Format, Nonce, Paged, Ping, Refusal, Reply, ShownIn, SubscribeAnswer, Transport,
};

/// What a reader is to be told next.
#[derive(Debug)]
pub enum Outgoing {
    /// Events and gaps.
    Batch(Batch),
    /// A sign of life, which says how much was sent.
    Ping(Ping),
    /// The reply to a command that took a while.
    Reply(String),
    /// The hold of a poll is over.
    Held(Cursor),
    /// The end.
    Bye(Bye),
}

/// What a command led to.
#[derive(Debug)]
pub enum CommandOutcome {
    /// This reply.
    Now(Paged),
    /// A replay; its reply is one of the next turns.
    Later,
}

/// One open reader.
#[derive(Debug)]
pub struct Attachment {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    grants: Arc<Grants>,
    /// What the other anonymous sessions of its address share with it.
    crowd: Option<SharedTokenBucket>,
    line: Arc<AttachmentHandle>,
    feed: Feed,
    /// What each delivery needs of it is kept beside it; gone where the rest is not needed again.
    attach_request: Option<Box<AttachRequest>>,
    transport: Transport,
    format: Format,
    echo: bool,
    /// Where its request carried a credential, for refusals of its commands.
    credential: Option<CredentialPlace>,
    /// Bytes of data beyond which nothing is replayed.
    replay: Option<u32>,
    /// Whether that was so at the opening.
    is_behind: bool,
    /// That of a poll.
    nonce: Nonce,
    /// Until when a poll with the same head may reuse this attach: as long as its session key is good, or, without a
    /// key, as long as one signed now would be. `None` where it may not.
    returns_until: Option<Instant>,
    /// Whether the request went on from where another attach of the same session was.
    goes_on: bool,
    /// Whether it left all that others see of it, between two polls.
    is_resting: bool,
    metrics: ReaderMetrics,
    pace: Deadlines,
    /// Events and gaps that were sent since hello.
    sent_count: u64,
    /// Whether a last batch was handed out since the node goes down, so that a bye is next.
    is_parting: bool,
    is_settled: bool,
    /// Absent where there is none of it, as with most readers.
    late: Option<Box<PendingWork>>,
}

/// What an attach may have beside its feed.
#[derive(Debug, Default)]
struct PendingWork {
    here: Vec<PresenceGuard>,
    replay: Option<(Replay, Option<Box<RawValue>>, ChannelName)>,
    /// Further inboxes of a `subscribe` to `@`.
    waiting: Vec<Replay>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.session.detach(&self.line);
    }
}

impl Attachment {
    pub(super) fn new(
        sessions: &Arc<Sessions>,
        session: Arc<Session>,
        grants: Arc<Grants>,
        crowd: Option<SharedTokenBucket>,
        mut request: Box<AttachRequest>,
        allowed: PermittedChannels,
        known_until_s: Option<u64>,
    ) -> Result<Self, Refusal> {
        let PermittedChannels { channels, refused } = allowed;
        let (mut feed, missing) =
            Feed::open_some(&sessions.hub, &channels, Some(request.transport));
        let refused = name_refused(&mut feed, &request, missing, refused)?;
        let metrics = sessions.hub.metrics().reader(request.transport);
        let hub_metrics = sessions.hub.metrics();
        if let Some(why) = &request.why {
            hub_metrics.fallback(request.transport, why);
        }
        // It is long, and no longer needed.
        request.token = None;
        let has_key = request.session.take().is_some();
        let is_cursor = |(_, start): &(ChannelName, Since)| matches!(start, Since::At(_));
        let is_behind = request.replay.is_some_and(|most| feed.skip_backlog(most));
        // One that goes on gets no hello, which alone says that nothing was replayed.
        let goes_on =
            channels.iter().all(is_cursor) && (known_until_s.is_some() || !has_key) && !is_behind;
        let keyed_until_s = known_until_s.filter(|_| goes_on);
        let returns_until_s = (!is_behind && refused.is_empty())
            .then(|| resumes_until_s(&request, &channels, &grants, has_key, keyed_until_s))
            .flatten();
        // A bare WebSocket publishes to the one that it has; nobody else asks for the names as they were given.
        if (request.transport, request.format) != (Transport::Ws, Format::Data) {
            let refused = refused.into_iter().map(|refused| Err(Box::new(refused)));
            request.channels = refused.collect();
        }
        let line = session.attach(feed.waker());
        let pace = Deadlines::new(&request, sessions.options.heartbeat, grants.expires_s());
        let is_poll = request.transport == Transport::Poll;
        let nonce = request.nonce.as_ref().filter(|_| is_poll);
        let nonce = nonce.map_or_else(Nonce::default, |nonce| Nonce::new(nonce));
        let mut attach = Self {
            sessions: sessions.clone(),
            session,
            grants,
            crowd,
            line,
            feed,
            transport: request.transport,
            format: request.format,
            echo: request.echo,
            credential: None,
            replay: request.replay,
            is_behind,
            attach_request: Some(request),
            nonce,
            returns_until: returns_until_s.and_then(|until_s| pace.at_second(until_s)),
            goes_on,
            is_resting: false,
            metrics,
            pace,
            sent_count: 0,
            is_parting: false,
            is_settled: false,
            late: None,
        };
        attach.appear()?;
        Ok(attach)
    }

    /// Shows the session in its channels, where it wants to be shown.
    fn appear(&mut self) -> Result<(), Refusal> {
        if self.shown() == ShownIn::Nowhere {
            return Ok(());
        }
        let names: Vec<ChannelName> = self.feed.channels().cloned().collect();
        if names.iter().any(|name| self.is_newcomer(name)) {
            self.sessions.broker.may_charge(self.limiters())?;
        }
        names.iter().for_each(|name| self.show(name));
        Ok(())
    }

    /// What the reader asked for.
    #[must_use]
    pub fn attach_request(&self) -> Option<&AttachRequest> {
        self.attach_request.as_deref()
    }

    /// Hello is written: of what was asked for nothing more is needed, but for who is to be shown where.
    pub(crate) fn forget_opening(&mut self) {
        self.attach_request
            .take_if(|attach_request| attach_request.presence == ShownIn::Nowhere);
        if let Some(attach_request) = &mut self.attach_request {
            attach_request.channels = Vec::new();
        }
    }

    /// How frames are written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sessions of this node.
    #[must_use]
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Everything up to here was handed out.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.feed.cursor()
    }

    /// The cursor before the first turn.
    #[must_use]
    pub fn start(&self) -> Cursor {
        self.feed.starts().0
    }

    /// Whether the request went on from where another attach of the same session was.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Who commands on this attach.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher {
            session: Some(self.session.clone()),
            address: self.crowd.clone(),
            grants: self.grants.clone(),
            nonce: None,
            credential: self.credential,
        }
    }

    /// How long this session must rest before it publishes again; a WebSocket is read no further until then.
    #[must_use]
    pub fn rest(&self) -> Option<Duration> {
        self.sessions.broker.wait(self.limiters())
    }

    fn limiters(&self) -> Limiters<'_> {
        Limiters {
            own: Some(&self.session.bucket),
            address: self.crowd.as_deref(),
        }
    }

    /// Whether a replay is on its way, before whose reply no other command is acted on.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.replay.is_some())
    }

    fn pending(&mut self) -> &mut PendingWork {
        self.late.get_or_insert_default()
    }

    /// The next turn, where it is time for one, else registers the waker.
    pub fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        self.is_settled = false;
        if self.feed.waker().is_called()
            && let Some(reason) = self.line.end.get()
        {
            return Poll::Ready(self.bye(*reason));
        }
        // The one look at the clock of a delivery.
        let now = Instant::now();
        if let Some(turn) = self.urgent_outgoing(now) {
            return Poll::Ready(turn);
        }
        if self.is_replaying() {
            return Poll::Ready(self.replay_outgoing());
        }
        if self.pace.probe_is_due(now) {
            return Poll::Ready(self.ping());
        }
        while let Poll::Ready(batch) = self.feed.poll_next(cx) {
            self.is_parting = self.sessions.drain.has_begun();
            if let Some(batch) = self.heard_by(batch) {
                self.pace.sent(now);
                self.is_settled =
                    !self.is_parting && !self.feed.is_behind() && self.pace.is_armed(now);
                return Poll::Ready(Outgoing::Batch(batch));
            }
        }
        self.deadline_outgoing(now)
            .map_or(Poll::Pending, Poll::Ready)
    }

    /// Whether the turn that was given last is all that there is for now: whatever comes next wakes the task, so that
    /// nobody need ask again before.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.is_settled
    }

    /// What is left of a batch for this reader, counted; `None` where it is nothing.
    fn heard_by(&mut self, mut batch: Batch) -> Option<Batch> {
        if !self.echo {
            let own = |item: &Item| match item {
                Item::Event(event) => event.session.as_deref() == Some(&*self.session.id),
                Item::Gap(_) => false,
            };
            if batch.items.iter().any(own) {
                let heard = batch.items.into_iter().filter(|item| !own(item));
                batch.items = Items::Own(heard.collect());
            }
        }
        self.count(&batch.items);
        (!batch.items.is_empty()).then_some(batch)
    }

    fn count(&mut self, items: &[Item]) {
        self.sent_count += items.len() as u64;
        let mut events = 0;
        for item in items {
            match item {
                Item::Event(_) => events += 1,
                Item::Gap(gap) => self.sessions.hub.metrics().gap(self.transport, gap.reason),
            }
        }
        self.metrics.delivered(events);
    }

    /// Whether this node is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.sessions.drain.has_begun()
    }

    /// The end, for a reason that is known outside of the attach, such as a peer that is silent.
    #[must_use]
    pub fn bye(&self, reason: ByeReason) -> Outgoing {
        self.sessions.hub.metrics().bye(reason.facts().1);
        let after_ms =
            (reason == ByeReason::Drain).then(|| super::SessionDrain::after_ms(random()));
        Outgoing::Bye(Bye {
            after_ms,
            id: Some(self.cursor()),
            ..Bye::new(reason)
        })
    }

    fn replay_outgoing(&mut self) -> Outgoing {
        let Some((replay, reference, channel)) = self.pending().replay.take() else {
            return Outgoing::Reply(Reply::short(None, &EmptyAnswer {}));
        };
        let page = self.feed.replay(&replay);
        let mut items: Vec<Item> = page.gap.into_iter().map(Item::Gap).collect();
        items.extend(page.events.into_iter().map(Item::Event));
        if page.more {
            self.pending().replay = Some((replay, reference.clone(), channel.clone()));
        } else if let Some(next) = self.pending().waiting.pop() {
            self.pending().replay = Some((next, reference.clone(), channel.clone()));
        }
        let done = !self.is_replaying();
        let (cursor, more) = (self.cursor(), !done);
        match self.heard_by(Batch {
            items: Items::Own(items),
            cursor,
            more,
        }) {
            Some(batch) => {
                if done {
                    self.pending().replay = Some((Replay::mark_read(), reference, channel));
                }
                Outgoing::Batch(batch)
            }
            None if done => Outgoing::Reply(subscribed(reference.as_deref(), &channel)),
            None => self.replay_outgoing(),
        }
    }

    /// Acts on a command.
    pub async fn command(&mut self, order: CommandRequest) -> CommandOutcome {
        let CommandRequest {
            reference,
            command,
            refused_key,
        } = order;
        if matches!(
            command,
            Ok(Command::Subscribe { .. } | Command::Unsubscribe { .. } | Command::Leave)
        ) {
            self.sessions.charge_answer(&self.publisher(), 0);
        }
        let command = match command {
            Ok(Command::Subscribe { channel, start }) => {
                return match self.subscribe(&channel, start) {
                    Ok(Some(replay)) => {
                        self.pending().replay = Some((replay, reference, channel));
                        CommandOutcome::Later
                    }
                    Ok(None) => {
                        CommandOutcome::Now(subscribed(reference.as_deref(), &channel).into())
                    }
                    Err(refusal) => {
                        let refusal = refusal.answering(None, self.credential);
                        CommandOutcome::Now(Reply::refused(reference.as_deref(), &refusal).into())
                    }
                };
            }
            Ok(Command::Unsubscribe { channel }) => {
                self.unsubscribe(&channel);
                return CommandOutcome::Now(subscribed(reference.as_deref(), &channel).into());
            }
            Ok(Command::Leave) => {
                self.leave();
                return CommandOutcome::Now(
                    Reply::short(reference.as_deref(), &EmptyAnswer {}).into(),
                );
            }
            command => command,
        };
        let publisher = self.publisher();
        CommandOutcome::Now(
            self.sessions
                .execute(
                    &publisher,
                    CommandRequest {
                        reference,
                        command,
                        refused_key,
                    },
                )
                .await,
        )
    }
}

fn subscribed(reference: Option<&RawValue>, channel: &ChannelName) -> String {
    let channel = channel.clone();
    Reply::short(reference, &SubscribeAnswer { channel })
}
