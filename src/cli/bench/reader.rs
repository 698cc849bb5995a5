//! A reader of the load generator, on any transport: its channel, and the events that it has seen.
//!
//! Knows frames and the meter, but no wire format.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::frame::{ExpectedEvent, Meaning};
use super::link::BenchTarget;
use super::meter::{Books, Meter};
use super::seen::Seen;

/// The state that all tasks of one run share.
#[derive(Debug)]
pub(super) struct BenchRun {
    pub(super) meter: Meter,
    pub(super) target: Arc<BenchTarget>,
    pub(super) channels: Vec<BenchChannel>,
    /// The session keys of members that publish by POST. Each key is known after its hello.
    pub(super) keys: Mutex<Vec<String>>,
    /// Size of an event's data, in bytes.
    pub(super) payload: usize,
}

/// A channel, and the frames expected from it.
#[derive(Debug)]
pub(super) struct BenchChannel {
    pub(super) name: String,
    pub(super) expected: ExpectedEvent,
}

/// One reader.
#[derive(Debug)]
pub(super) struct BenchReader {
    pub(super) run: Arc<BenchRun>,
    /// Its number, from 0.
    pub(super) index: usize,
    /// Its index in [`BenchRun::channels`].
    pub(super) channel: u32,
    /// The outlet that it serves, if it publishes itself.
    pub(super) outlet: Option<usize>,
    pub(super) seen: Seen,
    /// When it began to connect, and its permit to do so. `None` once it has its hello.
    pub(super) connecting: Option<(u64, OwnedSemaphorePermit)>,
}

impl BenchReader {
    pub(super) fn name(&self) -> &str {
        &self.run.channels[self.channel as usize].name
    }

    pub(super) fn expected<'a>(&self, run: &'a BenchRun) -> &'a ExpectedEvent {
        &run.channels[self.channel as usize].expected
    }

    /// Handles a frame that was read at `now_ns`. Returns the session key of a hello: the caller reports when the
    /// reader is connected.
    pub(super) fn take(
        &mut self,
        books: &mut Books,
        frame: Meaning,
        now_ns: u64,
    ) -> anyhow::Result<Option<String>> {
        match frame {
            Meaning::Event(number, offset) => {
                let reader = (self.channel, &mut self.seen);
                self.run
                    .meter
                    .deliver(books, reader, (number, offset), now_ns)?;
            }
            Meaning::Gap => books.gaps += 1,
            Meaning::Hello(key) => return Ok(Some(key)),
            Meaning::Nothing => {}
        }
        Ok(None)
    }

    /// Records that the reader received its hello.
    pub(super) fn connected(&mut self, key: String) {
        if let Some(known) = self.run.keys.lock().get_mut(self.index) {
            *known = key;
        }
        if let Some((since_ns, _permit)) = self.connecting.take() {
            self.run.meter.connected(since_ns);
        }
    }
}
