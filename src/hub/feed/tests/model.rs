//! A hub next to a model of it. The model forgets nothing, and says which events the hub may have forgotten by now.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::reader::Reader;
use crate::hub::{HubOptions, HubState, ReadLimit};
use crate::metrics::Metrics;
use crate::protocol::cursor::{Cursor, Epoch, Since};
use crate::protocol::{ChannelName, Data, Draft, EventName};

/// Data of any length, shared by all events.
static ZEROS: [u8; 1024 * 1024] = [0; 1024 * 1024];
/// The time at which the hub starts, in milliseconds: later than every age.
const BEGAN_MS: u64 = 1_000_000;

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(BEGAN_MS) };
}

fn now_ms() -> u64 {
    NOW_MS.get()
}

/// One event as it was appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) offset: u64,
    bytes: usize,
    time_ms: u64,
}

/// All events of one channel in this life of the hub.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) events: Vec<Known>,
    /// How many of them the hub has forgotten.
    gone: usize,
}

impl Kept {
    /// Returns the offset up to which everything is forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.gone
            .checked_sub(1)
            .map_or(0, |last| self.events[last].offset)
    }

    fn held(&self) -> &[Known] {
        &self.events[self.gone..]
    }

    /// Returns the first event after this offset, whether the log still holds it or not.
    pub(super) fn next_after(&self, offset: u64) -> Option<Known> {
        let index = self.events.partition_point(|event| event.offset <= offset);
        self.events.get(index).copied()
    }

    /// Returns the offset before the held event with this index.
    fn before_held(&self, index: usize) -> u64 {
        match index {
            0 => self.forgotten(),
            _ => self.held()[index - 1].offset,
        }
    }

    /// Forgets what the bounds of one log demand. Events within the bounds stay.
    fn forget(&mut self, options: &HubOptions) {
        let age_ms = options.history_age.map(|age| age.as_millis() as u64);
        let mut bytes: usize = self.held().iter().map(|event| event.bytes).sum();
        while self.held().len() > 1 {
            let first = self.held()[0];
            let goes = options
                .history_events
                .is_some_and(|most| self.held().len() > most)
                || options.history_bytes.is_some_and(|most| bytes > most)
                || age_ms.is_some_and(|most| first.time_ms + most < now_ms());
            if !goes {
                return;
            }
            bytes -= first.bytes;
            self.gone += 1;
        }
    }
}

/// A hub, its model and its readers.
pub(super) struct World {
    pub(super) hub: Arc<HubState>,
    options: HubOptions,
    lives: u64,
    pub(super) kept: BTreeMap<usize, Kept>,
    pub(super) readers: Vec<Reader>,
}

impl World {
    pub(super) fn new(options: HubOptions) -> Self {
        NOW_MS.set(BEGAN_MS);
        Self {
            hub: hub(&options, 0),
            options,
            lives: 0,
            kept: BTreeMap::new(),
            readers: Vec::new(),
        }
    }

    /// Restarts the hub: its memory is gone, and its earlier cursors belong to another epoch.
    pub(super) fn restart(&mut self) {
        self.lives += 1;
        self.hub = hub(&self.options, self.lives);
        self.kept.clear();
        for mut reader in std::mem::take(&mut self.readers) {
            reader.come_back(self);
            self.readers.push(reader);
        }
    }

    pub(super) fn kept(&self, channel: usize) -> &Kept {
        static NOTHING: Kept = Kept {
            events: Vec::new(),
            gone: 0,
        };
        self.kept.get(&channel).unwrap_or(&NOTHING)
    }

    pub(super) fn options(&self) -> &HubOptions {
        &self.options
    }

    pub(super) fn append(&mut self, channel: usize, bytes: usize) {
        let draft = Draft {
            channel: name(channel),
            name: EventName::default(),
            data: Data::Bytes(Bytes::from_static(&ZEROS[..bytes])),
            from: None,
            session: None,
            sent_bytes: bytes,
        };
        let before = self.hub.head();
        let (id, _) = self.hub.append(draft).unwrap();
        assert_eq!(id, self.hub.cursor(before + 1), "numbers rise by one");
        assert_eq!(self.hub.head(), id.offset);
        let kept = self.kept.entry(channel).or_default();
        kept.events.push(Known {
            offset: id.offset,
            bytes,
            time_ms: now_ms(),
        });
        kept.forget(&self.options);
        self.look_at_total();
        for reader in &mut self.readers {
            reader.must_wake_for(channel);
        }
    }

    pub(super) fn advance(&mut self, ms: u64) {
        NOW_MS.set(now_ms() + ms);
        self.look();
    }

    /// Sweeps the hub. It forgets channels that have no reader and only events that are too old, and no other channels.
    pub(super) fn sweep(&mut self) {
        self.hub.sweep(now_ms());
        let keep_ms = self
            .options
            .history_age
            .map(|age| age.max(self.options.sweep_idle).as_millis() as u64);
        for (channel, kept) in &mut self.kept {
            let is_read = self.readers.iter().any(|reader| reader.reads(*channel));
            let is_old = kept.held().last().is_some_and(|newest| {
                keep_ms.is_some_and(|keep_ms| newest.time_ms + keep_ms < now_ms())
            });
            if is_old && !is_read {
                kept.gone = kept.events.len();
            }
        }
        self.look();
    }

    /// Compares what each log holds with what the model expects.
    pub(super) fn look(&mut self) {
        for (channel, kept) in &mut self.kept {
            kept.forget(&self.options);
            let held: Vec<u64> = kept.held().iter().map(|event| event.offset).collect();
            assert_eq!(
                held_by(&self.hub, *channel),
                held,
                "channel {channel} holds"
            );
        }
    }

    /// Adopts the hub's choice: under a bound on all logs together, the hub chooses which log forgets events. The
    /// oldest event of that log goes first.
    fn look_at_total(&mut self) {
        let Some(total) = self.options.history_total else {
            return;
        };
        assert!(
            self.hub.history_bytes() <= total,
            "all logs keep their bound"
        );
        for (channel, kept) in &mut self.kept {
            let held = held_by(&self.hub, *channel);
            assert!(held.len() <= kept.held().len(), "a log takes nothing back");
            kept.gone = kept.events.len() - held.len();
        }
        self.look();
    }

    /// Returns the position that a start means, according to the model.
    pub(super) fn place(&self, channel: usize, start: Since) -> u64 {
        let kept = self.kept(channel);
        let held = kept.held();
        match start {
            Since::Now => self.hub.head(),
            Since::All | Since::Unknown => kept.forgotten(),
            Since::Last(count) => kept.before_held(held.len().saturating_sub(count as usize)),
            Since::Within(age) => {
                let since_ms = now_ms() - age.as_millis() as u64;
                kept.before_held(held.partition_point(|event| event.time_ms <= since_ms))
            }
            Since::At(cursor) if self.is_ours(cursor) => cursor.offset,
            Since::At(_) => kept.forgotten(),
        }
    }

    /// Returns whether this life of the hub issued the cursor.
    pub(super) fn is_ours(&self, cursor: Cursor) -> bool {
        cursor.epoch == self.hub.cursor(0).epoch && cursor.offset <= self.hub.head()
    }
}

fn hub(options: &HubOptions, life: u64) -> Arc<HubState> {
    // The first character differs between lives.
    let epoch = Epoch::from_random(life);
    HubState::with_clock(options.clone(), epoch, Metrics::default(), now_ms)
}

pub(super) fn name(channel: usize) -> ChannelName {
    ChannelName::new(&format!("c{channel}")).unwrap()
}

/// Returns the channel number of this name.
pub(super) fn number(name: &ChannelName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

fn held_by(hub: &HubState, channel: usize) -> Vec<u64> {
    let mut held = Vec::new();
    let mut start = Since::All;
    let portion = ReadLimit {
        events: usize::MAX,
        bytes: usize::MAX,
        of_frames: false,
    };
    loop {
        let (page, cursor) = hub.history(&name(channel), start, portion);
        assert!(page.gap.is_none(), "nothing is forgotten between two pages");
        held.extend(page.events.iter().map(|event| event.id.offset));
        if !page.more {
            return held;
        }
        start = Since::At(cursor);
    }
}

/// Returns a start that lies this many milliseconds in the past.
pub(super) fn within(ms: u64) -> Since {
    Since::Within(Duration::from_millis(ms))
}
