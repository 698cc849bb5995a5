//! The end of a WebSocket: one that is opened only to report why it is refused, and the close of any other.
//!
//! This file does not know sessions.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::close;
use crate::protocol::{Bye, Format, Refusal};
use crate::transport::ws::words::farewell;

/// How long the Close of a refusal is held back after its bye. Firefox drops a message whose Close arrives before the
/// page knows that its socket is open, and a loading page may be busy for that long.
const CLOSE_HELD_BACK: Duration = Duration::from_secs(1);

/// Refuses a reader over a WebSocket that was opened for this purpose: a browser does not show its page the status of
/// a refused handshake.
pub(crate) async fn refuse<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut io: S,
    refusal: Refusal,
    format: Format,
    first: Bytes,
) {
    let mut last = vec![first];
    last.extend(farewell(&Bye::refused(refusal), format));
    let close = last.pop().unwrap_or_default();
    let has_bye = format == Format::Full;
    let written = async {
        io.write_all(&last.concat()).await?;
        io.flush().await
    };
    let is_written = matches!(timeout(close::CLOSING_TIME, written).await, Ok(Ok(())));
    if !is_written {
        return;
    }
    if has_bye {
        // A peer that sends something or closes has read the bye.
        let _ = timeout(CLOSE_HELD_BACK, io.read(&mut [0; 256])).await;
    }
    hang_up(&mut io, &close).await;
}

pub(super) async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, last: &[u8]) {
    if let close::CloseOutcome::Broken(error) = close::close(io, last).await {
        tracing::debug!(%error, "the peer left before the close frame");
    }
}
