//! The bodies of one HTTP/2 connection that wait for its peer.
//!
//! hyper asks a body for more once h2 has accepted what it handed out before, so a body that is not asked waits. A stream
//! whose window is closed never shows at the socket; where the socket is full, h2 accepts some bytes all the same.

use std::io::IoSlice;
use std::time::Duration;

use tokio::task::Id;
use tokio::time::Instant;

/// So many streams of one connection may wait as long as the write timeout allows. While more wait, the peer must take
/// something every few seconds.
pub(super) const WAITING_MAX: usize = 8;
/// Bytes in front of each frame of HTTP/2 (RFC 9113 section 4.1).
const FRAME_HEAD_BYTES: usize = 9;
/// The type of the frames that carry a body.
const DATA: u8 = 0;

/// A body that handed out bytes.
#[derive(Debug)]
struct Waiting {
    number: u64,
    since: Instant,
    /// The task in which its stream runs; `None` where its writer has a clock of its own.
    stream: Option<Id>,
    /// h2 holds its bytes, and the socket is full.
    is_accepted: bool,
}

impl Waiting {
    /// Whether the clock of its connection ends it after the write timeout.
    fn is_timed(&self) -> bool {
        self.stream.is_some() && !self.is_accepted
    }
}

/// The bodies that wait.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    /// In the order of their times.
    waiting: Vec<Waiting>,
    /// The number of the last body.
    bodies: u64,
    /// Since when more wait than [`WAITING_MAX`].
    crowded_since: Option<Instant>,
    /// When bytes of any body last went out.
    data_at: Option<Instant>,
}

impl Untaken {
    /// The number of a new body.
    pub(super) fn next_number(&mut self) -> u64 {
        self.bodies += 1;
        self.bodies
    }

    /// A body hands out bytes. Returns whether a limit may have begun to run.
    pub(super) fn handed_out(&mut self, number: u64, stream: Option<Id>) -> bool {
        if let Some(waiting) = self.find(number) {
            waiting.is_accepted = false;
            return true;
        }
        self.waiting.push(Waiting {
            number,
            since: Instant::now(),
            stream,
            is_accepted: false,
        });
        let was_crowded = self.crowded_since.is_some();
        self.note_crowd();
        self.waiting.len() == 1 || self.crowded_since.is_some() != was_crowded
    }

    /// A body is asked for more.
    pub(super) fn asked(&mut self, number: u64, is_stalled: bool) {
        if !is_stalled {
            self.remove(|waiting| waiting.number == number);
        } else if let Some(waiting) = self.find(number) {
            waiting.is_accepted = true;
        }
    }

    /// A body is gone.
    pub(super) fn gone(&mut self, number: u64, is_stalled: bool) {
        // More need not be counted, and a peer could open and reset streams without end.
        let is_counted = is_stalled && self.waiting.len() <= WAITING_MAX + 1;
        self.asked(number, is_counted);
    }

    /// The socket has room again.
    pub(super) fn flowed(&mut self) {
        self.remove(|waiting| waiting.is_accepted);
    }

    /// Bytes of a body went out.
    pub(super) fn data_written(&mut self) {
        self.data_at = Some(Instant::now());
    }

    /// Since when the first of them waits that the write timeout ends.
    pub(super) fn first_since(&self) -> Option<Instant> {
        let first = self.waiting.iter().find(|waiting| waiting.is_timed());
        first.map(|waiting| waiting.since)
    }

    /// Since when too many wait and nothing is taken.
    pub(super) fn crowd_since(&self) -> Option<Instant> {
        let since = self.crowded_since?;
        Some(self.data_at.map_or(since, |at| at.max(since)))
    }

    /// Removes those that have waited this long; returns the tasks of their streams.
    pub(super) fn remove_late(&mut self, limit: Duration) -> Vec<Option<Id>> {
        let now = Instant::now();
        let is_late = |waiting: &Waiting| waiting.is_timed() && waiting.since + limit <= now;
        let late = self.waiting.iter().filter(|waiting| is_late(waiting));
        let late = late.map(|waiting| waiting.stream).collect();
        self.remove(is_late);
        late
    }

    /// Removes all; returns how many there were.
    pub(super) fn remove_all(&mut self) -> usize {
        let count = self.waiting.len();
        self.remove(|_| true);
        count
    }

    fn find(&mut self, number: u64) -> Option<&mut Waiting> {
        self.waiting
            .iter_mut()
            .find(|waiting| waiting.number == number)
    }

    fn remove(&mut self, what: impl Fn(&Waiting) -> bool) {
        self.waiting.retain(|waiting| !what(waiting));
        self.note_crowd();
    }

    fn note_crowd(&mut self) {
        if self.waiting.len() <= WAITING_MAX {
            self.crowded_since = None;
        } else if self.crowded_since.is_none() {
            self.crowded_since = Some(Instant::now());
        }
    }
}

/// Finds the bytes of bodies in what is written over HTTP/2.
#[derive(Debug, Default)]
pub(super) struct DataFrames {
    /// The head of the frame that is written, as far as it has gone out.
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    /// What has not gone out of the frame behind its head.
    payload_bytes: usize,
}

impl DataFrames {
    /// Whether the first `count` bytes of these slices, which went out, hold bytes of a body.
    pub(super) fn has_data(&mut self, slices: &[IoSlice<'_>], mut count: usize) -> bool {
        let mut has_data = false;
        for slice in slices {
            let bytes = &slice[..slice.len().min(count)];
            count -= bytes.len();
            has_data |= self.pass(bytes);
        }
        has_data
    }

    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_data = false;
        while !bytes.is_empty() {
            if self.payload_bytes == 0 {
                let count = bytes.len().min(FRAME_HEAD_BYTES - self.head_bytes);
                self.head[self.head_bytes..][..count].copy_from_slice(&bytes[..count]);
                self.head_bytes += count;
                bytes = &bytes[count..];
                if self.head_bytes == FRAME_HEAD_BYTES {
                    let [high, middle, low, ..] = self.head;
                    self.payload_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
                    self.head_bytes = 0;
                }
                continue;
            }
            let count = bytes.len().min(self.payload_bytes);
            has_data |= self.head[3] == DATA;
            self.payload_bytes -= count;
            bytes = &bytes[count..];
        }
        has_data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand_out(untaken: &mut Untaken) -> u64 {
        let number = untaken.next_number();
        untaken.handed_out(number, tokio::task::try_id());
        number
    }

    fn crowd(count: usize) -> (Untaken, Vec<u64>) {
        let mut untaken = Untaken::default();
        let numbers = (0..count).map(|_| hand_out(&mut untaken)).collect();
        (untaken, numbers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_waits_from_its_ninth_body_or_the_last_bytes_on() {
        let (mut untaken, mut numbers) = crowd(WAITING_MAX);
        assert_eq!(untaken.crowd_since(), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        numbers.push(hand_out(&mut untaken));
        assert_eq!(untaken.crowd_since(), Some(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        untaken.data_written();
        assert_eq!(untaken.crowd_since(), Some(Instant::now()));
        untaken.asked(numbers[3], false);
        assert_eq!(untaken.crowd_since(), None);
        assert_eq!(untaken.remove_all(), WAITING_MAX);
    }

    #[tokio::test]
    async fn what_h2_accepts_while_the_socket_is_full_is_not_taken() {
        let (mut untaken, numbers) = crowd(WAITING_MAX + 1);
        for number in &numbers {
            untaken.asked(*number, true);
        }
        assert!(untaken.crowd_since().is_some());
        assert_eq!(untaken.first_since(), None, "only the socket's limit runs");
        untaken.handed_out(numbers[0], None);
        untaken.gone(numbers[1], true);
        assert!(untaken.crowd_since().is_some(), "h2 holds its bytes");
        untaken.flowed();
        assert_eq!(untaken.remove_all(), 1);
    }

    #[test]
    fn data_is_told_from_other_frames_however_it_is_cut() {
        // A PING, DATA without and with bytes, HEADERS.
        let frames = [(6, 8), (0, 0), (0, 3), (1, 5)];
        let bytes = frames.map(|(kind, length)| {
            let head = [0, 0, length, kind, 0, 0, 0, 0, 1];
            [&head[..], &vec![b'x'; usize::from(length)]].concat()
        });
        let bytes = bytes.concat();
        // Where the three bytes are.
        let (begin, end) = (17 + 9 + 9, 17 + 9 + 9 + 3);
        for step in 1..bytes.len() {
            let mut written = DataFrames::default();
            for (index, part) in bytes.chunks(step).enumerate() {
                let (from, to) = (index * step, index * step + part.len());
                let slices = part.split_at(part.len() / 2);
                let slices = [IoSlice::new(slices.0), IoSlice::new(slices.1)];
                let expected = from < end && to > begin;
                assert_eq!(written.has_data(&slices, part.len()), expected);
            }
        }
    }
}
