//! The broker: the only writer of the hub. Checks size, rate and key, then appends.
//!
//! Readers never use it. Knows no session table and no wire.

mod keys;
mod rate;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::hub::HubState;
use crate::protocol::cursor::Cursor;
use crate::protocol::{Code, Draft, Reached, Refusal};

pub use keys::{Key, Scope, Sequence};
pub use rate::{Limiters, Rate, TokenBucket};

/// The limits of publishing.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Most bytes of data in one event.
    pub max_data: usize,
    /// The rate of one session: publishes per second and per burst. `None` means no limit.
    pub rate: Option<Rate>,
    /// The same of all anonymous sessions of one address together, loopback excepted: a new session is only a request
    /// away. Ten times that of a session, since behind one address may be an office of a hundred, who seldom publish
    /// all at once.
    pub address_rate: Option<Rate>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            max_data: 64 * 1024,
            rate: Some(Rate {
                per_second: 100.0,
                burst: 200.0,
            }),
            address_rate: Some(Rate {
                per_second: 1_000.0,
                burst: 2_000.0,
            }),
        }
    }
}

/// The result of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The event's id.
    pub id: Cursor,
    /// Readers on this node at that moment.
    pub reached: Reached,
}

/// The only writer of the hub.
#[derive(Debug)]
pub struct Broker {
    hub: Arc<HubState>,
    options: BrokerOptions,
    keys: keys::Keys,
}

impl Broker {
    /// Creates a broker that appends in memory.
    #[must_use]
    pub fn new(hub: Arc<HubState>, options: BrokerOptions) -> Arc<Self> {
        Arc::new(Self {
            hub,
            options,
            keys: keys::Keys::default(),
        })
    }

    /// Returns the limits of publishing.
    #[must_use]
    pub fn options(&self) -> &BrokerOptions {
        &self.options
    }

    /// Publishes an event, within the size limit and the publisher's rate if it has one. A key makes it publish once.
    ///
    /// # Errors
    /// `too_large`, `rate_limited`, `key_reused`, `key_out_of_order`, `too_many_channels`.
    pub async fn publish(
        &self,
        draft: Draft,
        key: Key<'_>,
        limiters: Limiters<'_>,
    ) -> Result<Published, Refusal> {
        match key {
            Key::None => self.append(draft, limiters),
            Key::Scoped(scope, key) => {
                let fingerprint = self.keys.fingerprint(&draft);
                let act = || async { self.append(draft, limiters) };
                self.keys.once(scope, key, fingerprint, act).await
            }
            Key::Sequenced(sequence, number) => {
                let fingerprint = self.keys.fingerprint(&draft);
                let act = || async { self.append(draft, limiters) };
                let mut sequence = sequence.lock().await;
                sequence
                    .once(number, fingerprint, &self.keys.kept, act)
                    .await
            }
        }
    }

    /// Appends an event that is within the size limit and the rate.
    fn append(&self, draft: Draft, limiters: Limiters<'_>) -> Result<Published, Refusal> {
        self.check_size(draft.sent_bytes)?;
        self.take_rate(limiters)?;
        self.append_now(draft)
    }

    /// Checks that data of this size may be published.
    ///
    /// # Errors
    /// `too_large`.
    pub fn check_size(&self, sent_bytes: usize) -> Result<(), Refusal> {
        if sent_bytes > self.options.max_data {
            let detail = format!(
                "{sent_bytes} bytes of data; the limit is {}",
                self.options.max_data
            );
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        Ok(())
    }

    fn append_now(&self, draft: Draft) -> Result<Published, Refusal> {
        let (id, reached) = self.hub.append(draft)?;
        Ok(Published { id, reached })
    }

    /// Refuses a publish before it is attempted. A final refusal is the answer to a numbered key and uses it up.
    pub async fn refuse(&self, key: Key<'_>, refusal: Refusal) -> Refusal {
        let Key::Sequenced(sequence, number) = key else {
            return refusal;
        };
        let fingerprint = self.keys.fingerprint_of_refusal(&refusal);
        let mut sequence = sequence.lock().await;
        let answer = sequence.once(number, fingerprint, &self.keys.kept, || async {
            Err(refusal.clone())
        });
        answer.await.err().unwrap_or(refusal)
    }

    fn take_rate(&self, limiters: Limiters<'_>) -> Result<(), Refusal> {
        let now = Instant::now();
        let (own, address) = (&self.options.rate, &self.options.address_rate);
        // Check the limits before charging: a publish that one limit refuses must not be charged to the other.
        if let Some(wait) = wait(address, limiters.address, now) {
            return Err(too_fast("all clients of this address", wait));
        }
        if let (Some(rate), Some(bucket)) = (own, limiters.own) {
            let taken = bucket.lock().take(rate, now);
            taken.map_err(|wait| too_fast("this publisher", wait))?;
        }
        if let (Some(rate), Some(bucket)) = (address, limiters.address) {
            bucket.lock().charge(rate, 1.0, now);
        }
        Ok(())
    }

    /// Charges work other than publishing, in publishes. The next commands wait for it.
    pub(crate) fn spend(&self, limiters: Limiters<'_>, publishes: f64) {
        let now = Instant::now();
        let own = (&self.options.rate, limiters.own);
        for (rate, bucket) in [own, (&self.options.address_rate, limiters.address)] {
            if let (Some(rate), Some(bucket)) = (rate, bucket) {
                bucket.lock().charge(rate, publishes, now);
            }
        }
    }

    /// Checks that the rates allow work that has a cost now.
    pub(crate) fn may_spend(&self, limiters: Limiters<'_>) -> Result<(), Refusal> {
        match self.wait(limiters) {
            Some(wait) => Err(too_fast("this client", wait)),
            None => Ok(()),
        }
    }

    /// Returns how long to wait until a publish is within the rates, or `None` if it is now.
    #[must_use]
    pub fn wait(&self, limiters: Limiters<'_>) -> Option<Duration> {
        let now = Instant::now();
        let own = wait(&self.options.rate, limiters.own, now);
        own.max(wait(&self.options.address_rate, limiters.address, now))
    }

    /// Charges work that costs as much as a publish, such as a join, to the address. The next charges wait for it.
    pub(crate) fn charge(&self, limiters: Limiters<'_>) {
        if let (Some(rate), Some(bucket)) = (&self.options.address_rate, limiters.address) {
            bucket.lock().charge(rate, 1.0, Instant::now());
        }
    }

    /// Checks that the address may be charged now.
    pub(crate) fn may_charge(&self, limiters: Limiters<'_>) -> Result<(), Refusal> {
        match wait(&self.options.address_rate, limiters.address, Instant::now()) {
            Some(wait) => Err(too_fast("all clients of this address", wait)),
            None => Ok(()),
        }
    }

    /// Appends one of the hub's own events, such as a join.
    pub(crate) fn post(&self, draft: Draft) {
        if let Err(refusal) = self.append_now(draft) {
            // Count it without a warning: a client that fills the hub with channels could fill the log too.
            self.hub.metrics().refusal(&refusal);
            tracing::debug!(%refusal, "no room for an event of the hub itself");
        }
    }
}

fn wait(
    rate: &Option<Rate>,
    bucket: Option<&Mutex<TokenBucket>>,
    now: Instant,
) -> Option<Duration> {
    bucket?.lock().wait(rate.as_ref()?, now)
}

fn too_fast(who: &str, wait: Duration) -> Refusal {
    let detail = format!("the publish rate of {who} is exceeded");
    Refusal::passing(Code::RateLimited, detail, wait.as_secs() + 1)
}
