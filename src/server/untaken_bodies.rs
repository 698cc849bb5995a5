//! The bodies of one HTTP/2 connection that wait for its peer.
//!
//! hyper polls a body again once h2 accepts the bytes that the body handed out, so a body that is not polled is
//! waiting. The socket does not show that the window of a stream is closed. While the socket is full, h2 still
//! accepts some bytes.

use std::io::IoSlice;
use std::time::Duration;

use tokio::task::Id;
use tokio::time::Instant;

/// Number of streams of one connection that may wait for as long as the write timeout. While more streams wait, the
/// peer must read something every few seconds.
pub(super) const WAITING_MAX: usize = 8;
/// Bytes of the head of each HTTP/2 frame (RFC 9113 section 4.1).
const FRAME_HEAD_BYTES: usize = 9;
/// The type of the frames that carry a body.
const DATA: u8 = 0;

/// A body that handed out bytes.
#[derive(Debug)]
struct WaitingBody {
    number: u64,
    since: Instant,
    /// The task that runs its stream, or `None` if its writer has its own deadline.
    stream: Option<Id>,
    /// h2 accepted the bytes while the socket was full.
    is_accepted: bool,
}

impl WaitingBody {
    /// Returns whether the connection ends this stream after the write timeout.
    fn is_timed(&self) -> bool {
        self.stream.is_some() && !self.is_accepted
    }
}

/// The waiting bodies of one connection.
#[derive(Debug, Default)]
pub(super) struct UntakenBodies {
    /// In order of time, oldest first.
    waiting: Vec<WaitingBody>,
    /// The number of the last body.
    bodies: u64,
    /// When the number of waiting bodies exceeded [`WAITING_MAX`].
    crowded_since: Option<Instant>,
    /// When bytes of any body were last written to the socket.
    data_at: Option<Instant>,
}

impl UntakenBodies {
    /// Returns the number for a new body.
    pub(super) fn next_number(&mut self) -> u64 {
        self.bodies += 1;
        self.bodies
    }

    /// Notes that a body hands out bytes. Returns whether a limit may have started to run.
    pub(super) fn handed_out(&mut self, number: u64, stream: Option<Id>) -> bool {
        if let Some(waiting) = self.find(number) {
            waiting.is_accepted = false;
            return true;
        }
        self.waiting.push(WaitingBody {
            number,
            since: Instant::now(),
            stream,
            is_accepted: false,
        });
        let was_crowded = self.crowded_since.is_some();
        self.note_crowd();
        self.waiting.len() == 1 || self.crowded_since.is_some() != was_crowded
    }

    /// Notes that a body is polled for more.
    pub(super) fn asked(&mut self, number: u64, is_stalled: bool) {
        if !is_stalled {
            self.remove(|waiting| waiting.number == number);
        } else if let Some(waiting) = self.find(number) {
            waiting.is_accepted = true;
        }
    }

    /// Notes that a body is dropped.
    pub(super) fn gone(&mut self, number: u64, is_stalled: bool) {
        // More than one body above the limit need not be counted. Otherwise a peer could open and reset streams
        // without end.
        let is_counted = is_stalled && self.waiting.len() <= WAITING_MAX + 1;
        self.asked(number, is_counted);
    }

    /// Notes that the socket has room again.
    pub(super) fn flowed(&mut self) {
        self.remove(|waiting| waiting.is_accepted);
    }

    /// Notes that bytes of a body are written to the socket.
    pub(super) fn data_written(&mut self) {
        self.data_at = Some(Instant::now());
    }

    /// Returns when the oldest body that is subject to the write timeout began to wait.
    pub(super) fn first_since(&self) -> Option<Instant> {
        let first = self.waiting.iter().find(|waiting| waiting.is_timed());
        first.map(|waiting| waiting.since)
    }

    /// Returns since when too many bodies wait while the peer reads nothing.
    pub(super) fn crowd_since(&self) -> Option<Instant> {
        let since = self.crowded_since?;
        Some(self.data_at.map_or(since, |at| at.max(since)))
    }

    /// Removes the bodies that have waited for `limit`. Returns the tasks of their streams.
    pub(super) fn remove_late(&mut self, limit: Duration) -> Vec<Option<Id>> {
        let now = Instant::now();
        let is_late = |waiting: &WaitingBody| waiting.is_timed() && waiting.since + limit <= now;
        let late = self.waiting.iter().filter(|waiting| is_late(waiting));
        let late = late.map(|waiting| waiting.stream).collect();
        self.remove(is_late);
        late
    }

    /// Removes all bodies. Returns how many there were.
    pub(super) fn remove_all(&mut self) -> usize {
        let count = self.waiting.len();
        self.remove(|_| true);
        count
    }

    fn find(&mut self, number: u64) -> Option<&mut WaitingBody> {
        self.waiting
            .iter_mut()
            .find(|waiting| waiting.number == number)
    }

    fn remove(&mut self, what: impl Fn(&WaitingBody) -> bool) {
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

/// Finds the bytes of bodies in the HTTP/2 bytes that are written.
#[derive(Debug, Default)]
pub(super) struct DataFrames {
    /// The head of the current frame, as far as it is written.
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    /// Payload bytes of the current frame that are not yet written.
    payload_bytes: usize,
}

impl DataFrames {
    /// Returns whether the first `count` bytes of these slices, which were written, contain bytes of a body.
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

    fn hand_out(untaken: &mut UntakenBodies) -> u64 {
        let number = untaken.next_number();
        untaken.handed_out(number, tokio::task::try_id());
        number
    }

    fn crowd(count: usize) -> (UntakenBodies, Vec<u64>) {
        let mut untaken = UntakenBodies::default();
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
        // A PING, an empty DATA, a DATA with three bytes, and HEADERS.
        let frames = [(6, 8), (0, 0), (0, 3), (1, 5)];
        let bytes = frames.map(|(kind, length)| {
            let head = [0, 0, length, kind, 0, 0, 0, 0, 1];
            [&head[..], &vec![b'x'; usize::from(length)]].concat()
        });
        let bytes = bytes.concat();
        // The position of the three bytes of DATA.
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
