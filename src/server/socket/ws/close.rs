//! Closes a connection so that the peer sees the reason.
//!
//! The kernel resets a socket that is closed while bytes of the peer are unread. The reset overtakes the Close that
//! was just written, and the peer then reports 1006 without a reason. So the last bytes are written, the sending side
//! is shut down, and further bytes from the peer are read and discarded until the peer closes too, within limits.
//!
//! This file does not know frames. It works for any protocol that ends with last bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// How long a peer may take to read the last bytes and to close: several round trips on the worst mobile network, and
/// far less than the drain of the server (20 s).
pub(crate) const CLOSING_TIME: Duration = Duration::from_secs(5);

/// How many bytes of the peer are discarded before the connection is cut: slightly more than the largest data that a
/// server can be configured to accept (16 MiB). So a client whose message is refused can still read the reason.
pub(crate) const CLOSING_READ_BYTES: u64 = 17 * 1024 * 1024;

/// Bytes that are read and discarded in one step. The buffer is on the heap and exists only while closing: in the
/// future it would cost memory for each idle connection.
const DISCARD_STEP_BYTES: usize = 16 * 1024;

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum CloseOutcome {
    /// The peer received everything and closed its side.
    Clean,
    /// The peer did not close within [`CLOSING_TIME`].
    TimedOut,
    /// The peer sent more than [`CLOSING_READ_BYTES`].
    Flooded,
    /// The peer was gone before it received everything.
    Broken(io::Error),
}

/// Writes `last` (all unwritten bytes, up to the last frame), shuts down the sending side and reads to the end. Then
/// the caller drops the socket.
///
/// Reads while it writes: a peer that writes without reading would otherwise never start to read.
pub(crate) async fn close<S>(socket: &mut S, last: &[u8]) -> CloseOutcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut closing = Closing {
        socket,
        last,
        shut: false,
        peer_ended: false,
        read_bytes: 0,
        discard: vec![0; DISCARD_STEP_BYTES],
    };
    timeout(CLOSING_TIME, std::future::poll_fn(|cx| closing.poll(cx)))
        .await
        .unwrap_or(CloseOutcome::TimedOut)
}

struct Closing<'a, S> {
    socket: &'a mut S,
    last: &'a [u8],
    shut: bool,
    peer_ended: bool,
    read_bytes: u64,
    discard: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Closing<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseOutcome> {
        // Both sides are polled each time, so both have their waker registered.
        let written = self.poll_write_and_shut(cx);
        let read = self.poll_read_to_end(cx);
        match (written, read) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                Poll::Ready(CloseOutcome::Broken(error))
            }
            _ if self.read_bytes > CLOSING_READ_BYTES => Poll::Ready(CloseOutcome::Flooded),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(CloseOutcome::Clean),
            _ => Poll::Pending,
        }
    }

    fn poll_write_and_shut(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last.is_empty() {
            match ready!(Pin::new(&mut *self.socket).poll_write(cx, self.last))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.last = &self.last[written..],
            }
        }
        if !self.shut {
            ready!(Pin::new(&mut *self.socket).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read_to_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.peer_ended && self.read_bytes <= CLOSING_READ_BYTES {
            let mut discard = ReadBuf::new(&mut self.discard);
            ready!(Pin::new(&mut *self.socket).poll_read(cx, &mut discard))?;
            let read = discard.filled().len();
            self.peer_ended = read == 0;
            self.read_bytes += read as u64;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const LAST: &[u8] = b"\x88\x02\x03\xe8";

    async fn close_duplex(mut socket: DuplexStream) -> CloseOutcome {
        close(&mut socket, LAST).await
    }

    #[tokio::test]
    async fn a_peer_that_reads_and_ends_is_clean() {
        let (ours, mut peer) = duplex(64);
        let closing = tokio::spawn(close_duplex(ours));
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, LAST, "the last words, then the end");
        assert!(!closing.is_finished(), "it waits for the peer's end");
        drop(peer);
        assert!(matches!(closing.await.unwrap(), CloseOutcome::Clean));
    }

    #[tokio::test]
    async fn a_peer_that_sends_before_it_reads_still_gets_the_last_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut ours, _) = listener.accept().await.unwrap();
        let closing = tokio::spawn(async move { close(&mut ours, LAST).await });

        // More than the buffers of both sockets hold, so unread bytes would block the peer.
        peer.write_all(&vec![1; 15 * 1024 * 1024]).await.unwrap();
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, LAST, "no reset overtook them");
        drop(peer);
        assert!(matches!(closing.await.unwrap(), CloseOutcome::Clean));
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_broken() {
        let (ours, peer) = duplex(64);
        drop(peer);
        assert!(matches!(close_duplex(ours).await, CloseOutcome::Broken(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_ends_is_given_up() {
        let (ours, _peer) = duplex(64);
        let began = tokio::time::Instant::now();
        assert!(matches!(close_duplex(ours).await, CloseOutcome::TimedOut));
        assert_eq!(began.elapsed(), CLOSING_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_reads_is_given_up() {
        let (ours, _peer) = duplex(LAST.len() - 1);
        assert!(matches!(close_duplex(ours).await, CloseOutcome::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_stops_sending_is_cut_off() {
        let (ours, mut peer) = duplex(64 * 1024);
        let closing = tokio::spawn(close_duplex(ours));
        let block = [1; 64 * 1024];
        while peer.write_all(&block).await.is_ok() {}
        assert!(matches!(closing.await.unwrap(), CloseOutcome::Flooded));
    }
}
