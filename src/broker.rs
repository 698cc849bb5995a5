//! The broker: the only writer of the hub. Checks size, rate and key, then appends.
//!
//! Readers never see it. Knows no session table and no wire.

mod keys;
mod memory;
mod rate;

use std::sync::Arc;

use crate::cursor::Cursor;
use crate::hub::{Hub, Reached};
use crate::protocol::{Code, Draft, Refusal};

pub use keys::{Key, Scope, Sequence};
pub use rate::{Bucket, Rate};

/// The bounds of publishing.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most bytes of data in one event.
    pub max_data: usize,
    /// Publishes per second and at once, of one session; `None` is no bound.
    pub rate: Option<Rate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_data: 64 * 1024,
            rate: Some(Rate {
                per_second: 100.0,
                burst: 200.0,
            }),
        }
    }
}

/// The answer to a publish.
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
    hub: Arc<Hub>,
    options: Options,
    keys: keys::Keys,
}

impl Broker {
    /// A broker that appends in memory.
    #[must_use]
    pub fn new(hub: Arc<Hub>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            hub,
            options,
            keys: keys::Keys::default(),
        })
    }

    /// The bounds of publishing.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Publishes once: within the size and the publisher's rate where it has one, and under its key where it gave one.
    ///
    /// # Errors
    /// `too_large`, `rate_limited`, `key_reused`, `key_out_of_order`, `too_many_channels`.
    pub async fn publish(
        &self,
        draft: Draft,
        key: Key<'_>,
        bucket: Option<&parking_lot::Mutex<Bucket>>,
    ) -> Result<Published, Refusal> {
        let fingerprint = self.keys.fingerprint(&draft);
        let act = || async {
            if draft.sent_bytes > self.options.max_data {
                let detail = format!(
                    "{} bytes of data; the limit is {}",
                    draft.sent_bytes, self.options.max_data
                );
                return Err(Refusal::new(Code::TooLarge, detail));
            }
            self.take_rate(bucket)?;
            memory::append(&self.hub, draft)
        };
        match key {
            Key::None => act().await,
            Key::Scoped(scope, key) => self.keys.once(scope, key, fingerprint, act).await,
            Key::Sequenced(sequence, number) => {
                let mut sequence = sequence.lock().await;
                sequence
                    .once(number, fingerprint, &self.keys.kept, act)
                    .await
            }
        }
    }

    /// Refuses before anything was tried. A final refusal is the answer to a numbered key, and uses it up.
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

    fn take_rate(&self, bucket: Option<&parking_lot::Mutex<Bucket>>) -> Result<(), Refusal> {
        let (Some(rate), Some(bucket)) = (&self.options.rate, bucket) else {
            return Ok(());
        };
        bucket
            .lock()
            .take(rate, tokio::time::Instant::now())
            .map_err(|wait| {
                let mut refusal =
                    Refusal::new(Code::RateLimited, "more publishes than the rate allows");
                refusal.retry_after_s = Some(wait.as_secs() + 1);
                refusal
            })
    }

    /// Appends one of the hub's own events, such as a join.
    pub(crate) fn post(&self, draft: Draft) {
        if let Err(refusal) = memory::append(&self.hub, draft) {
            // Counted, and no warning: whoever fills the hub with channels could fill the log with these.
            self.hub.metrics().refusal(&refusal);
            tracing::debug!(%refusal, "an event of the hub itself found no room");
        }
    }
}
