//! Standard output and standard error of a command, and whether standard output still has a reader.
//!
//! A closed pipe is not an error: its reader has read enough. This file knows no command.

use std::fmt;
use std::io::{ErrorKind, Write as _};

/// Standard output is a closed pipe, so the command ends quietly.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for ReaderGone {}

/// Writes to standard output and flushes it.
///
/// # Errors
/// Returns [`ReaderGone`] if standard output is a closed pipe, or the error of the failed write.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => ReaderGone.into(),
        _ => anyhow::Error::from(error).context("standard output"),
    })
}

/// Prints a message on standard error. Ignores failures.
pub(crate) fn tell(text: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "triway: {text}");
}

/// Resolves when standard output is a pipe or a socket whose reader has gone, even while nothing is written.
#[cfg(unix)]
pub(super) async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, poll};
    let (tell, gone) = tokio::sync::oneshot::channel::<()>();
    // A thread instead of a blocking task: the runtime would wait for the task. The thread ends with the process.
    let watch = move || {
        let stdout = std::io::stdout();
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        loop {
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) if watched[0].revents().contains(PollFlags::ERR) => {
                    let _ = tell.send(());
                    return;
                }
                // A terminal hung up, or there is no standard output: the next write reports it.
                _ => return,
            }
        }
    };
    let is_watched = std::thread::Builder::new().spawn(watch).is_ok();
    if !is_watched || gone.await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(not(unix))]
pub(super) async fn reader_gone() {
    std::future::pending::<()>().await;
}
