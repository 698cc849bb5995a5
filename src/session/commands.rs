//! The commands of a session over any wire: publish, presence, history, ping, leave. Knows no wire format.

use std::sync::Arc;

use super::{Publisher, Sessions};
use crate::hub::{ReadLimit, now_ms};
use crate::protocol::cursor::Since;
use crate::protocol::{
    ChannelName, Code, Command, CommandRequest, HistoryAnswer, Paged, PingAnswer, PresenceAnswer,
    Publish, PublishAnswer, Refusal, Reply, Rewritable, members_around_list, members_of,
};

/// Bytes of the replies to one request beyond which queries are no longer answered. This fits a few of the largest
/// pages.
const REPLIES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The cost of a command other than a publish, in publishes, and the bytes of its reply that cost as much as one
/// publish.
const COMMAND_COST: f64 = 0.1;
const REPLY_BYTES_PER_PUBLISH: f64 = 256.0 * 1024.0;

impl Sessions {
    /// Executes a command and returns its reply frame.
    pub async fn execute(&self, publisher: &Publisher, order: CommandRequest) -> Paged {
        let reference = order.reference.as_deref();
        let is_publish = is_publish(&order);
        let fields = match order.command {
            Ok(command) => self.fields(publisher, command).await,
            Err(refusal) => Err(self.refuse(publisher, order.refused_key, refusal).await),
        };
        let reply = match fields {
            Ok(fields) => Reply::answer(reference, fields),
            Err(refusal) => {
                self.hub.metrics().refusal(&refusal);
                Reply::refused(reference, &publisher.reply_refusal(refusal)).into()
            }
        };
        if !is_publish {
            self.charge_answer(publisher, reply.len());
        }
        reply
    }

    /// Charges a query, or a command other than a publish, by the size of its answer.
    pub fn charge_answer(&self, publisher: &Publisher, answer_bytes: usize) {
        let cost = COMMAND_COST + answer_bytes as f64 / REPLY_BYTES_PER_PUBLISH;
        self.broker.spend(publisher.limiters(), cost);
    }

    /// Checks that a query is within the rate limit.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn may_ask_now(&self, publisher: &Publisher) -> Result<(), Refusal> {
        self.broker.may_spend(publisher.limiters())
    }

    /// Checks that all commands are publishes that this back end may do, so that all of them are executed, or none.
    ///
    /// # Errors
    /// `forbidden` unless an API key publishes; the refusal of the first command that cannot be executed, which the detail
    /// names by its position.
    pub fn check_atomic(
        &self,
        publisher: &Publisher,
        orders: &[CommandRequest],
    ) -> Result<(), Refusal> {
        if !publisher.is_server() {
            let detail = "only an API key may publish several events at once (`atomic`)";
            return Err(Refusal::new(Code::Forbidden, detail));
        }
        for (index, order) in orders.iter().enumerate() {
            let checked = match &order.command {
                Ok(Command::Publish(publish)) => self.may_publish_all(publisher, publish),
                Ok(_) => Err(Refusal::new(
                    Code::BadCommand,
                    "an atomic request accepts publishes only",
                )),
                Err(refusal) => Err(refusal.clone()),
            };
            checked.map_err(|refusal| {
                let detail = format!("command {index}: {}", refusal.detail).into();
                Refusal { detail, ..refusal }
            })?;
        }
        Ok(())
    }

    fn may_publish_all(&self, publisher: &Publisher, publish: &Publish) -> Result<(), Refusal> {
        self.may_publish(&publisher.grants, publish, publisher.session_id())?;
        self.broker.check_size(publish.sent_bytes)
    }

    /// Executes the commands of one `POST /send` in order. A temporary refusal stops the rest: they get the same
    /// refusal, so the client sends them again in order. A query whose answer no longer fits is refused alone, because
    /// each of a thousand queries could have an answer of a megabyte.
    pub async fn execute_all(
        &self,
        publisher: &Publisher,
        orders: Vec<CommandRequest>,
    ) -> Vec<Paged> {
        let mut replies = Vec::with_capacity(orders.len());
        let mut bytes = 0;
        let mut stopped: Option<Refusal> = None;
        // A ping shows that an event stream's client is alive, even if its commands are refused. A WebSocket shows it
        // by its bytes. A session that never sent a ping needs none to stay open.
        let is_ping = |order: &CommandRequest| matches!(order.command, Ok(Command::Ping));
        if orders.iter().any(is_ping) || self.was_heard(publisher) {
            self.heard(publisher);
        }
        for order in orders {
            let reference = order.reference.as_deref();
            let is_publish = is_publish(&order);
            if stopped.is_none() && !is_publish && !is_ping(&order) {
                stopped = self.may_ask_now(publisher).err();
            }
            let result = match (&stopped, order.command) {
                (Some(refusal), _) => Err(refusal.clone()),
                (None, Ok(Command::History { .. } | Command::Presence { .. }))
                    if bytes > REPLIES_BYTES_MAX =>
                {
                    Err(Refusal::new(
                        Code::TooLarge,
                        "the previous replies fill this answer; send the command again",
                    ))
                }
                (None, Ok(command)) => self.fields(publisher, command).await,
                (None, Err(refusal)) => {
                    Err(self.refuse(publisher, order.refused_key, refusal).await)
                }
            };
            let (reply, refusal) = match result {
                Ok(fields) => (Reply::answer(reference, fields), None),
                Err(refusal) => {
                    let told = publisher.reply_refusal(refusal.clone());
                    (Reply::refused(reference, &told).into(), Some(refusal))
                }
            };
            bytes += reply.len();
            if !is_publish && stopped.is_none() {
                self.charge_answer(publisher, reply.len());
            }
            if is_publish && refusal.is_some() && stopped.is_none() {
                // A refused publish costs less, but not nothing.
                stopped = self.may_ask_now(publisher).err();
            }
            replies.push(reply);
            if let Some(refusal) = refusal {
                self.hub.metrics().refusal(&refusal);
                if refusal.is_passing() || refusal.code == Code::KeyOutOfOrder {
                    stopped = Some(refusal);
                }
            }
        }
        replies
    }

    async fn fields(&self, publisher: &Publisher, command: Command) -> Result<Paged, Refusal> {
        match command {
            Command::Publish(publish) => {
                let published = self.publish(publisher, publish).await?;
                let answer = PublishAnswer {
                    id: published.id,
                    channel: None,
                    reached: published.reached,
                };
                Ok(members_of(&answer).into())
            }
            Command::Presence { channel } => self.presence_fields(publisher, &channel),
            Command::History {
                channel,
                start,
                limit,
                bytes,
            } => {
                let portion = ReadLimit {
                    events: limit,
                    bytes,
                    of_frames: false,
                };
                self.history_fields(publisher, &channel, start, portion)
            }
            Command::Ping => Ok(members_of(&PingAnswer { time_ms: now_ms() }).into()),
            Command::Leave => {
                self.leave(publisher);
                Ok(Paged::default())
            }
            Command::Subscribe { .. } | Command::Unsubscribe { .. } => Err(Refusal::new(
                Code::BadCommand,
                "subscribe and unsubscribe need a WebSocket; reconnect with the new list of channels",
            )),
        }
    }

    /// Returns the members of a channel, as JSON object fields.
    ///
    /// # Errors
    /// `forbidden` if the channel may not be read.
    pub fn presence_fields(
        &self,
        publisher: &Publisher,
        channel: &ChannelName,
    ) -> Result<Paged, Refusal> {
        self.may_ask(publisher, channel)?;
        if !self.shows_members(channel) {
            let detail = format!("`{channel}` does not show its members");
            return Err(Refusal::new(Code::Forbidden, detail));
        }
        let here = self.presence.members(channel);
        let (before, after) = members_around_list(&PresenceAnswer {
            channel: here.channel.into(),
            count: here.count,
            members: Vec::new(),
        });
        let mut fields = Paged::from(before);
        let members = here.members.into_iter();
        fields.worded(
            members
                .map(|member| member as Arc<dyn Rewritable>)
                .collect(),
        );
        fields.words(after);
        Ok(fields)
    }

    /// Returns a page of history, as JSON object fields.
    ///
    /// # Errors
    /// `forbidden` if the channel may not be read.
    pub fn history_fields(
        &self,
        publisher: &Publisher,
        channel: &ChannelName,
        start: Since,
        portion: ReadLimit,
    ) -> Result<Paged, Refusal> {
        self.may_ask(publisher, channel)?;
        let (page, cursor, reading) = self.hub.history_read(channel, start, portion);
        let (before, after) = members_around_list(&HistoryAnswer {
            channel: channel.clone(),
            frames: Vec::new(),
            cursor,
            more: page.more,
        });
        let mut fields = Paged::from(before);
        if let Some(gap) = &page.gap {
            let comma = if page.events.is_empty() { "" } else { "," };
            fields.words(gap.json() + comma);
        }
        if let Some(reading) = reading {
            fields.range(Arc::new(reading), &page.events);
        }
        // Events that were encoded for this page stay cached and count as memory.
        self.hub.shrink();
        fields.words(after);
        Ok(fields)
    }
}

/// Returns whether the command is a publish, which has its own charge.
fn is_publish(order: &CommandRequest) -> bool {
    matches!(order.command, Ok(Command::Publish(_)))
}
