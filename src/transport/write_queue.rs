//! The write queue: what waits to be written to a socket, and the single write that sends all of it.
//!
//! Knows bytes only, and no transport.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use prometheus_client::metrics::counter::Counter;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::protocol::{EventForgotten, Paged, PagedSection};

/// Pieces of one vectored write: the most that Linux accepts at once (`IOV_MAX`).
const WRITE_PIECES_MAX: usize = 1_024;
/// Pieces up to this size are joined with their neighbours: a copy is cheaper than an entry in the list that the kernel
/// walks.
const JOIN_BYTES_MAX: usize = 2_048;
/// The largest size of a joined piece.
const JOINED_BYTES_MAX: usize = 64 * 1024;
/// If more bytes than this wait, no further command is executed: one read can hold thousands of commands.
const LARGE_BYTES: usize = 32 * 1024;
/// If more bytes than this wait, they are written before more are requested. Together with one batch behind them, this
/// is the most that a peer costs that accepts nothing.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// The same limit if one peer may have many write queues.
const NARROW_BYTES_MAX: usize = 1024;
/// Bytes of a text that are produced for one write.
const SECTION_BYTES: usize = 32 * 1024;
/// Items that are gathered for one write. Hello and the first events go out together. But if events arrive as fast as
/// they are read, the first event must not wait for the last.
const GATHERED_TURNS_MAX: u8 = 8;

/// What waits to be written to one socket.
pub(crate) struct WriteQueue {
    /// The first piece, usually the only one: it needs no list. Empty if nothing waits, or if a text comes next.
    first: Bytes,
    /// What waits behind the first piece. `None` for an idle reader, which needs no room for a burst.
    behind: Option<Box<QueueTail>>,
    blocked_since: Option<Instant>,
    /// Items gathered since the last write.
    gathered: u8,
    is_narrow: bool,
    writes: Counter,
}

/// What waits behind the first piece.
#[derive(Default)]
struct QueueTail {
    pieces: VecDeque<QueuedPart>,
    /// The small pieces after the last large one.
    joined: BytesMut,
    /// Whether the first piece of the queue is lent by the text that comes next.
    is_lent: bool,
}

/// A piece that is written as it is, or a text that is made into bytes when there is room.
enum QueuedPart {
    Bytes(Bytes),
    Text(Paged),
}

impl QueuedPart {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }
}

impl QueueTail {
    fn push(&mut self, piece: Bytes) {
        if piece.len() > JOIN_BYTES_MAX {
            self.settle();
            self.pieces.push_back(QueuedPart::Bytes(piece));
            return;
        }
        if self.joined.len() + piece.len() > JOINED_BYTES_MAX {
            self.settle();
        }
        self.joined.extend_from_slice(&piece);
    }

    fn settle(&mut self) {
        if !self.joined.is_empty() {
            let joined = self.joined.split().freeze();
            self.pieces.push_back(QueuedPart::Bytes(joined));
            self.joined = BytesMut::new();
        }
    }

    fn bytes(&self) -> usize {
        self.pieces.iter().map(QueuedPart::len).sum::<usize>() + self.joined.len()
    }
}

impl WriteQueue {
    /// Returns an empty queue. `writes` counts the writes to the socket.
    pub(crate) fn new(writes: &Counter) -> Self {
        Self {
            first: Bytes::new(),
            behind: None,
            blocked_since: None,
            gathered: 0,
            is_narrow: false,
            writes: writes.clone(),
        }
    }

    /// Limits the queue to few bytes from now on.
    pub(crate) fn narrow(&mut self) {
        self.is_narrow = true;
    }

    /// Adds a piece at the end.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
            return;
        }
        if self.behind.is_none() && self.first.len() + piece.len() <= JOIN_BYTES_MAX {
            // Append hello to the head of its response. The head is not shared and has room for hello, and a single
            // piece needs no list.
            match std::mem::take(&mut self.first).try_into_mut() {
                Ok(mut own) => {
                    own.extend_from_slice(&piece);
                    self.first = own.freeze();
                    return;
                }
                Err(shared) => self.first = shared,
            }
        }
        self.behind.get_or_insert_default().push(piece);
    }

    /// Adds a text at the end. It is made into bytes when there is room.
    pub(crate) fn push_text(&mut self, text: Paged) {
        let behind = self.behind.get_or_insert_default();
        behind.settle();
        behind.pieces.push_back(QueuedPart::Text(text));
    }

    /// Returns whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.behind.is_none()
    }

    fn bytes(&self) -> usize {
        let behind = self.behind.as_deref();
        self.first.len() + behind.map_or(0, QueueTail::bytes)
    }

    /// Returns whether so much waits that it should be written before more is produced.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes() > LARGE_BYTES
    }

    /// Counts one more item whose pieces come next.
    pub(crate) fn gather(&mut self) {
        self.gathered += 1;
    }

    /// Returns whether to write before more items are requested.
    pub(crate) fn is_due(&self) -> bool {
        let most = if self.is_narrow {
            NARROW_BYTES_MAX
        } else {
            GATHERED_BYTES_MAX
        };
        self.blocked_since.is_some() || self.gathered >= GATHERED_TURNS_MAX || self.bytes() > most
    }

    /// Returns since when the peer has accepted nothing.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Writes everything that waits. Ready once nothing remains.
    pub(crate) fn poll_write<W: AsyncWrite>(
        &mut self,
        mut io: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.gathered = 0;
        if self.is_empty() && self.blocked_since.is_none() {
            return Poll::Ready(Ok(()));
        }
        if let Some(behind) = &mut self.behind {
            behind.settle();
        }
        while self.fill()? {
            let written = match &self.behind {
                None => io.as_mut().poll_write(cx, &self.first),
                Some(behind) => {
                    let plain = behind.pieces.iter().map_while(|piece| match piece {
                        QueuedPart::Bytes(bytes) => Some(bytes),
                        QueuedPart::Text(_) => None,
                    });
                    let slices: Vec<IoSlice<'_>> = std::iter::once(&self.first)
                        .chain(plain)
                        .take(WRITE_PIECES_MAX)
                        .map(|piece| IoSlice::new(piece))
                        .collect();
                    io.as_mut().poll_write_vectored(cx, &slices)
                }
            };
            match written {
                Poll::Pending => {
                    self.give_back();
                    self.blocked_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
                Poll::Ready(result) => self.written(result?)?,
            }
        }
        let flushed = io.poll_flush(cx);
        if flushed.is_pending() {
            // An HTTP/2 stream holds back the bytes that its peer does not accept.
            self.blocked_since.get_or_insert_with(Instant::now);
        } else {
            self.blocked_since = None;
        }
        flushed
    }

    /// Fills the first piece if it is empty. Returns whether it has bytes.
    fn fill(&mut self) -> io::Result<bool> {
        while self.first.is_empty() {
            let Some(behind) = &mut self.behind else {
                return Ok(false);
            };
            behind.is_lent = false;
            match behind.pieces.front_mut() {
                None => self.behind = None,
                Some(QueuedPart::Bytes(bytes)) => {
                    self.first = std::mem::take(bytes);
                    behind.pieces.pop_front();
                }
                Some(QueuedPart::Text(text)) => {
                    match text.take(SECTION_BYTES).map_err(io::Error::other)? {
                        None => drop(behind.pieces.pop_front()),
                        Some(section) => {
                            behind.is_lent = matches!(section, PagedSection::Lent(_));
                            self.first = section.into_bytes();
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// Returns lent bytes to their text: the peer accepts nothing at present, and an event is not held on its behalf.
    fn give_back(&mut self) {
        if let Some(behind) = &mut self.behind
            && std::mem::take(&mut behind.is_lent)
            && let Some(QueuedPart::Text(text)) = behind.pieces.front_mut()
        {
            text.give_back(std::mem::take(&mut self.first).len());
        }
    }

    fn written(&mut self, mut bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.writes.inc();
        self.blocked_since = None;
        while bytes > 0 {
            let taken = bytes.min(self.first.len());
            self.first.advance(taken);
            bytes -= taken;
            if !self.first.is_empty() {
                break;
            }
            let is_plain = |piece: &mut QueuedPart| matches!(piece, QueuedPart::Bytes(_));
            let next = self.behind.as_mut();
            let next = next.and_then(|behind| behind.pieces.pop_front_if(is_plain));
            let Some(QueuedPart::Bytes(next)) = next else {
                break;
            };
            self.first = next;
        }
        if self.first.is_empty() {
            self.first = Bytes::new();
        }
        Ok(())
    }

    /// Takes everything that waits as one piece, to be written together with the last frames.
    ///
    /// # Errors
    /// [`EventForgotten`] if an event that belongs to it is forgotten.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, EventForgotten> {
        let mut rest = std::mem::take(&mut self.first).to_vec();
        if let Some(mut behind) = self.behind.take() {
            behind.settle();
            for piece in behind.pieces {
                match piece {
                    QueuedPart::Bytes(bytes) => rest.extend_from_slice(&bytes),
                    QueuedPart::Text(text) => rest.extend_from_slice(&text.whole()?),
                }
            }
        }
        Ok(rest)
    }
}

/// Returns whether a write failed because an event was forgotten before the peer accepted it.
pub(crate) fn is_forgotten(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|cause| cause.is::<EventForgotten>())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::{ChannelName, Data, Draft, Event, EventName, Ledger, WireForm};

    fn output() -> WriteQueue {
        WriteQueue::new(&Counter::default())
    }

    #[test]
    fn a_piece_of_its_own_takes_what_follows_and_a_shared_one_stays_as_it_is() {
        let mut own = output();
        own.push(b"head ".to_vec().into());
        own.push(Bytes::from_static(b"hello"));
        assert!(own.behind.is_none(), "one piece");
        assert_eq!(own.rest().unwrap(), b"head hello");

        let event = Bytes::from(b"event ".to_vec());
        let mut shared = output();
        shared.push(event.clone());
        shared.push(Bytes::from_static(b"more"));
        assert_eq!(&event[..], b"event ");
        assert_eq!(shared.rest().unwrap(), b"event more");
    }

    #[test]
    fn pieces_keep_their_order_however_large_they_are() {
        let mut output = output();
        let mut all = Vec::new();
        for (index, bytes) in [100, JOIN_BYTES_MAX, 1, 70_000, 5, 6]
            .into_iter()
            .enumerate()
        {
            let piece = vec![b'a' + index as u8; bytes];
            all.extend_from_slice(&piece);
            output.push(piece.into());
        }
        assert_eq!(output.bytes(), all.len());
        assert_eq!(output.rest().unwrap(), all);
    }

    /// A socket that accepts this many bytes.
    struct Little(usize, Vec<u8>);

    impl AsyncWrite for Little {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.0);
            if taken == 0 {
                return Poll::Pending;
            }
            self.0 -= taken;
            self.1.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn large_event() -> Arc<Event> {
        let draft = Draft {
            channel: ChannelName::new("a").unwrap(),
            name: EventName::default(),
            data: Data::text(&"x".repeat(3_000_000)),
            from: None,
            session: None,
            sent_bytes: 0,
        };
        let ledger = Ledger::default();
        Arc::new(Event::new(draft, "e".parse().unwrap(), 1, 0, &ledger))
    }

    fn encode(event: &Event) -> Bytes {
        event.encode_json(true).into()
    }

    #[test]
    fn a_large_event_is_not_held_for_a_peer_that_takes_nothing() {
        let event = large_event();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut output = output();
        output.push(Bytes::from_static(b"before "));
        output.push_text(Paged::of_wire(&event, WireForm::WsFull, encode, (0, 0)));
        output.push(Bytes::from_static(b" behind"));
        let whole = [b"before ", &encode(&event)[..], b" behind"].concat();
        let mut socket = Little(0, Vec::new());
        for more in [3, 10, 100_000, 2_000_000] {
            socket.0 = more;
            assert!(
                output
                    .poll_write(Pin::new(&mut socket), &mut cx)
                    .is_pending()
            );
            assert!(output.first.len() <= SECTION_BYTES, "nothing is lent");
            assert_eq!(Arc::strong_count(&event), 1);
            assert_eq!(output.bytes(), whole.len() - socket.1.len());
        }
        socket.0 = usize::MAX;
        assert!(output.poll_write(Pin::new(&mut socket), &mut cx).is_ready());
        assert!(output.is_empty());
        assert_eq!(socket.1, whole);
    }

    #[test]
    fn an_event_that_is_forgotten_ends_the_output() {
        let event = large_event();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut output = output();
        output.push_text(Paged::of_wire(&event, WireForm::WsFull, encode, (0, 0)));
        let mut socket = Little(100_000, Vec::new());
        assert!(
            output
                .poll_write(Pin::new(&mut socket), &mut cx)
                .is_pending()
        );
        drop(event);
        socket.0 = usize::MAX;
        let Poll::Ready(Err(error)) = output.poll_write(Pin::new(&mut socket), &mut cx) else {
            panic!("it is forgotten")
        };
        assert!(is_forgotten(&error));
    }

    #[test]
    fn last_words_do_not_follow_half_a_text() {
        let event = large_event();
        let mut output = output();
        output.push_text(Paged::of_wire(&event, WireForm::WsFull, encode, (0, 0)));
        drop(event);
        assert!(output.rest().is_err());
    }
}
