//! A channel's log: bounded and append-only. It always knows what it has forgotten.
//!
//! Pure: the time is an argument. Knows no reader, no lock and no counter.

mod retained;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::protocol::{Event, GapReason};
use retained::RetainedEvents;

/// How many events at the end of a log are compared one by one. Most readers are there, and a binary search would touch
/// ten events on the way, none of them in a CPU cache.
const NEWEST_EVENTS: usize = 8;

/// The bounds of one log. `None` means no bound. A log keeps its newest event as long as it lives.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most events.
    pub events: Option<usize>,
    /// The most bytes of data.
    pub bytes: Option<usize>,
    /// The greatest age, in milliseconds.
    pub age_ms: Option<u64>,
}

/// The events of one channel, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    events: VecDeque<Arc<Event>>,
    data_bytes: usize,
    /// Everything up to this offset is no longer held.
    forgotten: u64,
    reason: Option<GapReason>,
    /// `None` if no response with its events is still being written.
    remains: Option<Box<RetainedEvents>>,
}

impl Log {
    /// Returns a log of a channel that existed before: everything up to this offset was forgotten for this reason. The
    /// offset is 0 if the channel is new.
    #[must_use]
    pub fn after_forgotten(offset: u64, reason: GapReason) -> Self {
        Self {
            forgotten: offset,
            reason: Some(reason),
            ..Self::default()
        }
    }

    /// Appends an event whose offset lies above all others, and forgets what the bounds no longer allow.
    pub fn push(&mut self, event: Arc<Event>, bounds: &Bounds, now_ms: u64) {
        debug_assert!(event.id.offset > self.last(), "offsets rise");
        self.data_bytes += event.data.len();
        self.events.push_back(event);
        self.forget(bounds, now_ms);
    }

    /// Forgets what the bounds no longer allow at this time.
    pub fn forget(&mut self, bounds: &Bounds, now_ms: u64) {
        while self.events.len() > 1 {
            let over = bounds.events.is_some_and(|most| self.events.len() > most)
                || bounds.bytes.is_some_and(|most| self.data_bytes > most);
            let old = bounds
                .age_ms
                .is_some_and(|most| self.events[0].time_ms.saturating_add(most) < now_ms);
            match (over, old) {
                (true, _) => self.forget_first(GapReason::Evicted),
                (false, true) => self.forget_first(GapReason::Expired),
                (false, false) => break,
            }
        }
    }

    /// Forgets the older half of the events, at least one, but never the newest. Returns whether it forgot any.
    pub fn forget_half(&mut self) -> bool {
        let count = self.events.len() / 2;
        for _ in 0..count {
            self.forget_first(GapReason::Evicted);
        }
        if count > 0 {
            self.events.shrink_to_fit();
        }
        count > 0
    }

    /// Forgets everything, even the newest event. This is the last resort if all logs together hold too much.
    pub fn forget_all(&mut self) {
        while !self.events.is_empty() {
            self.forget_first(GapReason::Evicted);
        }
    }

    fn forget_first(&mut self, reason: GapReason) {
        if let Some(event) = self.events.pop_front() {
            self.data_bytes -= event.data.len();
            self.forgotten = event.id.offset;
            self.reason = Some(reason);
            if self.remains.is_some() || Arc::weak_count(&event) > 0 {
                self.remains.get_or_insert_default().forget(event);
            }
        }
    }

    /// Releases forgotten events that no response reads any more.
    pub(crate) fn let_go(&mut self) {
        let remains = self.remains.as_mut();
        if remains.is_some_and(|remains| !remains.let_go()) {
            self.remains = None;
        }
    }

    /// Begins to read the events after `after` up to `end`, while a response is written. Returns the key of this paged
    /// read.
    pub(crate) fn begin_reading(&mut self, after: u64, end: u64) -> usize {
        self.remains.get_or_insert_default().begin(after, end)
    }

    /// Returns the first event after an offset, or `None` if it is forgotten.
    pub(crate) fn read_on(&mut self, key: usize, after: u64) -> Option<Arc<Event>> {
        if !self.remains.as_mut()?.go_on(key, after) {
            return None;
        }
        let kept = self.remains.as_ref().filter(|_| after < self.forgotten);
        let kept = kept.and_then(|remains| remains.after(after));
        let event = kept.or_else(|| self.events.get(self.index_after(after)));
        event.cloned()
    }

    /// Ends a paged read.
    pub(crate) fn end_reading(&mut self, key: usize) {
        if let Some(remains) = &mut self.remains {
            remains.end(key);
        }
        self.let_go();
    }

    /// Returns the events after this offset, oldest first, at most `limit` of them.
    pub fn after(&self, offset: u64, limit: usize) -> impl Iterator<Item = &Arc<Event>> {
        self.events.range(self.index_after(offset)..).take(limit)
    }

    /// Returns the offset of the newest event at or before this offset, or else that of the newest forgotten event.
    #[must_use]
    pub fn before(&self, offset: u64) -> u64 {
        let index = self.index_after(offset).checked_sub(1);
        index.map_or(self.forgotten, |index| self.events[index].id.offset)
    }

    /// Returns the index of the first event after this offset.
    fn index_after(&self, offset: u64) -> usize {
        let newest = self.events.iter().rev().take(NEWEST_EVENTS);
        let after = newest.take_while(|event| event.id.offset > offset).count();
        if after < NEWEST_EVENTS {
            return self.events.len() - after;
        }
        self.events
            .partition_point(|event| event.id.offset <= offset)
    }

    /// Returns the offset up to which events are no longer held.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Returns why the newest of the forgotten events was forgotten.
    #[must_use]
    pub fn reason(&self) -> GapReason {
        self.reason.unwrap_or(GapReason::Expired)
    }

    /// Returns the offset of the newest event, or of the newest forgotten event if the log is empty.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.events
            .back()
            .map_or(self.forgotten, |event| event.id.offset)
    }

    /// Returns the offset before the newest `count` events.
    #[must_use]
    pub fn before_newest(&self, count: usize) -> u64 {
        match self.events.len().checked_sub(count.saturating_add(1)) {
            Some(index) => self.events[index].id.offset,
            None => self.forgotten,
        }
    }

    /// Returns the offset before the first event at or after this time.
    #[must_use]
    pub fn before_time(&self, time_ms: u64) -> u64 {
        match self.events.partition_point(|event| event.time_ms < time_ms) {
            0 => self.forgotten,
            older => self.events[older - 1].id.offset,
        }
    }

    /// Returns the time of the newest event, in milliseconds since 1970.
    #[must_use]
    pub fn newest_ms(&self) -> Option<u64> {
        self.events.back().map(|event| event.time_ms)
    }

    /// Returns how many events are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether no event is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns how many bytes the events hold in memory, including their encoded forms.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.events.iter().map(|event| event.held_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ChannelName, Data, Draft, EventName, Ledger};

    const NO_BOUNDS: Bounds = Bounds {
        events: None,
        bytes: None,
        age_ms: None,
    };

    fn event(offset: u64, time_ms: u64) -> Arc<Event> {
        event_in(offset, time_ms, &Ledger::default())
    }

    fn event_in(offset: u64, time_ms: u64, ledger: &Ledger) -> Arc<Event> {
        let draft = Draft {
            channel: ChannelName::new("a").unwrap(),
            name: EventName::default(),
            data: Data::text("12345678"),
            from: None,
            session: None,
            sent_bytes: 0,
        };
        Arc::new(Event::new(
            draft,
            "e".parse().unwrap(),
            offset,
            time_ms,
            ledger,
        ))
    }

    fn log(offsets: impl IntoIterator<Item = u64>, bounds: &Bounds) -> Log {
        let mut log = Log::default();
        offsets
            .into_iter()
            .for_each(|offset| log.push(event(offset, offset), bounds, offset));
        log
    }

    fn after(log: &Log, offset: u64) -> Vec<u64> {
        log.after(offset, 100)
            .map(|event| event.id.offset)
            .collect()
    }

    #[test]
    fn reads_what_lies_after() {
        let log = log([2, 5, 9], &NO_BOUNDS);
        assert_eq!(after(&log, 0), [2, 5, 9]);
        assert_eq!(after(&log, 2), [5, 9]);
        assert_eq!(after(&log, 4), [5, 9]);
        assert_eq!(after(&log, 9), [0; 0]);
        assert_eq!(log.after(0, 2).count(), 2);
    }

    #[test]
    fn each_bound_forgets_and_the_newest_stays() {
        let by_count = log(
            1..=5,
            &Bounds {
                events: Some(2),
                ..NO_BOUNDS
            },
        );
        assert_eq!(
            (after(&by_count, 0), by_count.forgotten(), by_count.reason()),
            (vec![4, 5], 3, GapReason::Evicted)
        );
        let by_bytes = log(
            1..=5,
            &Bounds {
                bytes: Some(5),
                ..NO_BOUNDS
            },
        );
        assert_eq!((after(&by_bytes, 0), by_bytes.forgotten()), (vec![5], 4));
        let mut by_age = log(1..=5, &NO_BOUNDS);
        by_age.forget(
            &Bounds {
                age_ms: Some(10),
                ..NO_BOUNDS
            },
            14,
        );
        assert_eq!(
            (after(&by_age, 0), by_age.reason()),
            (vec![4, 5], GapReason::Expired)
        );
        by_age.forget(
            &Bounds {
                age_ms: Some(10),
                ..NO_BOUNDS
            },
            1_000,
        );
        assert_eq!(after(&by_age, 0), [5]);
    }

    #[test]
    fn starts_find_their_place() {
        let log = log([2, 5, 9], &NO_BOUNDS);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|count| log.before_newest(count)),
            [9, 5, 2, 0, 0]
        );
        assert_eq!(
            [0, 2, 3, 9, 10].map(|time| log.before_time(time)),
            [0, 0, 2, 5, 9]
        );
        assert_eq!(
            Log::after_forgotten(7, GapReason::Expired).before_newest(3),
            7
        );
    }

    #[test]
    fn halves_go_until_one_is_left() {
        let mut log = log(1..=5, &NO_BOUNDS);
        assert!(log.forget_half());
        assert_eq!((after(&log, 0), log.forgotten()), (vec![3, 4, 5], 2));
        while log.forget_half() {}
        assert_eq!(after(&log, 0), [5]);
    }

    /// Reads a log of three events while it forgets them. The ledger has room for `kept` forgotten events.
    fn read_while_forgetting(kept: usize) -> Vec<Option<u64>> {
        let bounds = Bounds {
            events: Some(3),
            ..NO_BOUNDS
        };
        let first = event(1, 0);
        let ledger = Ledger::keeping(kept * first.held_bytes());
        let mut log = Log::default();
        for offset in 1..=3 {
            log.push(event_in(offset, 0, &ledger), &bounds, 0);
        }
        let key = log.begin_reading(0, 3);
        let mut read = Vec::new();
        let mut after = 0;
        for offset in 4..=6 {
            log.push(event_in(offset, 0, &ledger), &bounds, 0);
            if offset > 4 {
                let event = log.read_on(key, after);
                after = event.as_ref().map_or(after, |event| event.id.offset);
                read.push(event.map(|event| event.id.offset));
            }
        }
        read.push(log.read_on(key, after).map(|event| event.id.offset));
        log.end_reading(key);
        assert!(log.remains.is_none(), "nothing is kept for nobody");
        read
    }

    #[test]
    fn what_is_read_is_kept_while_there_is_room() {
        assert_eq!(read_while_forgetting(3), [Some(1), Some(2), Some(3)]);
        assert_eq!(read_while_forgetting(1), [None, None, None]);
    }
}
