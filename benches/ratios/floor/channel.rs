//! One channel of the floor: its readers and its recent events.
//!
//! This module knows no socket.

use std::collections::VecDeque;
use std::rc::Rc;

use super::request::Way;
use super::words;

/// Events kept for polls: the same number as in triway.
const HISTORY_EVENTS: usize = 1_000;

/// A held poll: its connection, and the offset of its cursor.
#[derive(Clone, Copy)]
pub(super) struct Parked {
    pub(super) key: usize,
    pub(super) since: u64,
}

/// Unsent events, already encoded for the wire.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) ws: Vec<u8>,
    pub(super) sse: Vec<u8>,
    events: usize,
}

pub(super) struct Channel {
    pub(super) name: Rc<str>,
    ws: Vec<usize>,
    sse: Vec<usize>,
    pub(super) held: Vec<Parked>,
    pending: Pending,
    log: VecDeque<(u64, Vec<u8>)>,
    /// The newest frames joined, with the offset before them and the last offset. Most polls need the same frames.
    joined: (u64, u64, Vec<u8>),
}

impl Channel {
    pub(super) fn new(name: Rc<str>) -> Self {
        Self {
            name,
            ws: Vec::new(),
            sse: Vec::new(),
            held: Vec::new(),
            pending: Pending::default(),
            log: VecDeque::new(),
            joined: (0, 0, Vec::new()),
        }
    }

    pub(super) fn readers(&mut self, way: Way) -> &mut Vec<usize> {
        match way {
            Way::Sse => &mut self.sse,
            Way::Ws | Way::Poll => &mut self.ws,
        }
    }

    pub(super) fn reached(&self) -> [usize; 3] {
        [self.ws.len(), self.sse.len(), self.held.len()]
    }

    pub(super) fn push(&mut self, offset: u64, json: Vec<u8>) {
        self.pending.events += 1;
        if !self.ws.is_empty() {
            words::push_ws(&mut self.pending.ws, &json);
        }
        if !self.sse.is_empty() {
            words::push_sse(&mut self.pending.sse, offset, &json);
        }
        if self.log.len() == HISTORY_EVENTS {
            self.log.pop_front();
        }
        self.log.push_back((offset, json));
    }

    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        (self.pending.events > 0).then(|| std::mem::take(&mut self.pending))
    }

    /// Reuses the memory of sent events for the next ones.
    pub(super) fn give_back(&mut self, mut pending: Pending) {
        pending.ws.clear();
        pending.sse.clear();
        pending.events = 0;
        if self.pending.events == 0 {
            self.pending = pending;
        }
    }

    pub(super) fn has_after(&self, since: u64) -> bool {
        self.log.back().is_some_and(|(offset, _)| *offset > since)
    }

    /// Returns the frames after `since`, separated by commas.
    pub(super) fn frames_after(&mut self, since: u64) -> &[u8] {
        let newest = self.log.back().map_or(0, |(offset, _)| *offset);
        if self.joined.0 != since || self.joined.1 != newest {
            let joined = &mut self.joined.2;
            joined.clear();
            let begin = self.log.partition_point(|(offset, _)| *offset <= since);
            for (_, json) in self.log.range(begin..) {
                if !joined.is_empty() {
                    joined.push(b',');
                }
                joined.extend_from_slice(json);
            }
            (self.joined.0, self.joined.1) = (since, newest);
        }
        &self.joined.2
    }

    pub(super) fn forget(&mut self, key: usize) {
        self.ws.retain(|reader| *reader != key);
        self.sse.retain(|reader| *reader != key);
        self.held.retain(|parked| parked.key != key);
    }
}
