//! One open reader of a session: its feed, its deadlines, its presence, and how it ends.
//!
//! Yields `Outgoing` items. How they are encoded, and for which wire, is left to the transports.

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

/// The next item to send to a reader.
#[derive(Debug)]
pub enum Outgoing {
    /// Events and gaps.
    Batch(Batch),
    /// A ping, which states how much was sent.
    Ping(Ping),
    /// The reply to a command whose work is now complete.
    Reply(String),
    /// The hold time of a poll is over.
    Held(Cursor),
    /// The end of the attachment.
    Bye(Bye),
}

/// The outcome of a command.
#[derive(Debug)]
pub enum CommandOutcome {
    /// The reply is ready.
    Now(Paged),
    /// A replay begins. Its reply is a later [`Outgoing`].
    Later,
}

/// One open reader.
#[derive(Debug)]
pub struct Attachment {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    grants: Arc<Grants>,
    /// The rate limit that the other anonymous sessions of its address share with it.
    crowd: Option<SharedTokenBucket>,
    line: Arc<AttachmentHandle>,
    feed: Feed,
    /// The request. The fields that each delivery needs are copied out of it, so it is dropped once nothing else needs
    /// it.
    attach_request: Option<Box<AttachRequest>>,
    transport: Transport,
    format: Format,
    echo: bool,
    /// The place of the credential in its request, for the refusals of its commands.
    credential: Option<CredentialPlace>,
    /// Bytes of data beyond which nothing is replayed.
    replay: Option<u32>,
    /// Whether the backlog was larger than that when the attachment was opened.
    is_behind: bool,
    /// The nonce of a poll.
    nonce: Nonce,
    /// Until when a poll with the same head may reuse this attachment: as long as its session key is valid. Without a
    /// key, as long as a key that was signed now would be valid. `None` if it may not be reused.
    returns_until: Option<Instant>,
    /// Whether the request continued where another attachment of the same session stopped.
    goes_on: bool,
    /// Whether it is parked between two polls: for others, it has left its channels and its presence.
    is_resting: bool,
    metrics: ReaderMetrics,
    pace: Deadlines,
    /// Events and gaps that were sent since hello.
    sent_count: u64,
    /// Whether the last batch before a shutdown was returned, so that a bye is next.
    is_parting: bool,
    is_settled: bool,
    /// Work besides the feed. Most readers have none.
    late: Option<Box<PendingWork>>,
}

/// Work that an attachment may have besides its feed.
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
        // The token is long, and no longer needed.
        request.token = None;
        let has_key = request.session.take().is_some();
        let is_cursor = |(_, start): &(ChannelName, Since)| matches!(start, Since::At(_));
        let is_behind = request.replay.is_some_and(|most| feed.skip_backlog(most));
        // An attachment that continues another one gets no hello, and only a hello reports that nothing was replayed.
        let goes_on =
            channels.iter().all(is_cursor) && (known_until_s.is_some() || !has_key) && !is_behind;
        let keyed_until_s = known_until_s.filter(|_| goes_on);
        let returns_until_s = (!is_behind && refused.is_empty())
            .then(|| resumes_until_s(&request, &channels, &grants, has_key, keyed_until_s))
            .flatten();
        // A bare WebSocket publishes to its only channel. Nothing else needs the names as the request gave them.
        if (request.transport, request.format) != (Transport::Ws, Format::Data) {
            let refused = refused.into_iter().map(|refused| Err(Box::new(refused)));
            request.channels = refused.collect();
        }
        let line = session.attach(feed.waker(), grants.shared_credential_id());
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

    /// Shows the session in its channels if its request wants that.
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

    /// Returns the reader's request, as long as it is still needed.
    #[must_use]
    pub fn attach_request(&self) -> Option<&AttachRequest> {
        self.attach_request.as_deref()
    }

    /// Frees what is no longer needed once hello is written. Only presence still needs parts of the request.
    pub(crate) fn forget_opening(&mut self) {
        self.attach_request
            .take_if(|attach_request| attach_request.presence == ShownIn::Nowhere);
        if let Some(attach_request) = &mut self.attach_request {
            attach_request.channels = Vec::new();
        }
    }

    /// Returns the format of the frames.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns the sessions of this node.
    #[must_use]
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Returns the cursor up to which everything was returned.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.feed.cursor()
    }

    /// Returns the cursor before the first [`Outgoing`].
    #[must_use]
    pub fn start(&self) -> Cursor {
        self.feed.starts().0
    }

    /// Returns whether the request continued where another attachment of the same session stopped.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Returns the publisher of commands on this attachment.
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

    /// Returns how long this session must wait before it publishes again. A WebSocket is not read until then.
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

    /// Returns whether a replay is under way. No other command runs before the reply to it.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.replay.is_some())
    }

    fn pending(&mut self) -> &mut PendingWork {
        self.late.get_or_insert_default()
    }

    /// Returns the next item if one is ready. Otherwise registers the waker.
    pub fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        self.is_settled = false;
        if self.feed.waker().is_called()
            && let Some(reason) = self.line.end.get()
        {
            return Poll::Ready(self.bye(*reason));
        }
        // The only read of the clock per delivery.
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

    /// Returns whether nothing follows the last item for now. The next item wakes the task, so the caller need not poll
    /// again before.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.is_settled
    }

    /// Removes the reader's own events from a batch if it wants no echo, and counts the rest. Returns `None` if nothing
    /// remains.
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

    /// Returns whether this node is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.sessions.drain.has_begun()
    }

    /// Returns the bye for a reason that arises outside of the attachment, such as a silent peer.
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

    /// Executes a command.
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
