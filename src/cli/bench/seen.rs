//! The events that one reader has seen of its channel. Each must arrive exactly once, in the order of ids.
//!
//! This file knows offsets and ordinals; an ordinal is the position of an event in its channel. It knows no frames
//! and no clock.

/// The verdict on an event that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As expected.
    Right,
    /// It arrived before.
    Twice,
    /// It is new, but an event with a higher id arrived before it.
    Reordered,
}

/// The events that a reader has seen of its channel.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All ordinals below this one were seen.
    next: u32,
    /// Ordinals above `next` that were seen, rising. Empty while nothing is missing and one member publishes. Bounded
    /// by the events of a run.
    ahead: Vec<u32>,
    /// The offset of the newest event by id.
    last: Option<u64>,
}

impl Seen {
    /// Notes an event and returns the verdict on it.
    pub(super) fn note(&mut self, ordinal: u32, offset: u64) -> Verdict {
        if ordinal == self.next && self.ahead.is_empty() {
            self.next += 1;
        } else if !self.insert(ordinal) {
            return Verdict::Twice;
        }
        let in_order = self.last.is_none_or(|last| offset > last);
        self.last = self.last.max(Some(offset));
        if in_order {
            Verdict::Right
        } else {
            Verdict::Reordered
        }
    }

    fn insert(&mut self, ordinal: u32) -> bool {
        if ordinal < self.next {
            return false;
        }
        match self.ahead.binary_search(&ordinal) {
            Ok(_) => return false,
            Err(place) => self.ahead.insert(place, ordinal),
        }
        let joined = self
            .ahead
            .iter()
            .zip(self.next..)
            .take_while(|(seen, next)| *seen == next)
            .count();
        self.ahead.drain(..joined);
        self.next += u32::try_from(joined).expect("no more than the ordinals, which are u32");
        true
    }

    /// Returns the number of distinct events seen.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        u64::from(self.next) + self.ahead.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_and_in_order_is_right() {
        let mut seen = Seen::default();
        for ordinal in 0..5 {
            assert_eq!(seen.note(ordinal, 10 + u64::from(ordinal)), Verdict::Right);
        }
        assert_eq!((seen.count(), seen.ahead.len()), (5, 0));
    }

    #[test]
    fn an_event_that_comes_again_is_twice_though_others_came_between() {
        let mut seen = Seen::default();
        assert_eq!(seen.note(0, 1), Verdict::Right);
        assert_eq!(seen.note(2, 3), Verdict::Right, "1 is lost so far");
        assert_eq!(seen.note(2, 3), Verdict::Twice);
        assert_eq!(seen.note(0, 1), Verdict::Twice);
        assert_eq!(seen.count(), 2);
    }

    #[test]
    fn an_event_that_comes_late_is_reordered_and_not_lost() {
        let mut seen = Seen::default();
        assert_eq!(seen.note(1, 2), Verdict::Right);
        assert_eq!(seen.note(0, 1), Verdict::Reordered);
        assert_eq!((seen.count(), seen.ahead.len()), (2, 0));
    }

    /// When several members publish, the hub may number their events in another order than that of sending.
    #[test]
    fn ordinals_may_come_in_any_order_while_ids_rise() {
        let mut seen = Seen::default();
        for (ordinal, offset) in [(2, 1), (0, 2), (1, 3), (3, 4)] {
            assert_eq!(seen.note(ordinal, offset), Verdict::Right);
        }
        assert_eq!((seen.count(), seen.ahead.len()), (4, 0));
    }
}
