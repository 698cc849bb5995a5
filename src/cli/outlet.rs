//! Standard output and standard error of a command, and whether standard output is still read.
//!
//! A closed pipe is not an error: its reader has read enough.

use std::fmt;
use std::io::{ErrorKind, Write as _};

/// Standard output is a closed pipe: the command ends quietly.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for ReaderGone {}

/// Writes to standard output, at once.
///
/// # Errors
/// [`ReaderGone`], or that it cannot be written.
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

/// Prints a message on standard error. Failing to print it is ignored.
pub(crate) fn tell(text: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "triway: {text}");
}

/// Resolves when standard output is a pipe or a socket and its reader has gone, although nothing is written.
#[cfg(unix)]
pub(super) async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, poll};
    let (tell, gone) = tokio::sync::oneshot::channel::<()>();
    // No task of the runtime: its end would be waited for. The thread ends with the process.
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
                // A terminal that hung up, or no output at all: the next write reports it.
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
