//! Signals: those that end a command gracefully, and those that a server ignores.

/// Receives the signals that request an end: SIGINT, SIGTERM and SIGQUIT, or Ctrl-C on systems without signals. It
/// misses signals that arrive before it is created.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    quit: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.quit.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same shape as where there are signals"
    )]
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Ignores the signals that do not request an end: each gets a handler that does nothing. Signals for faults of the
/// program, and those that stop it at a terminal, keep their default action.
#[cfg(unix)]
pub(super) fn ignore_the_others() {
    use rustix::process::Signal;
    use tokio::signal::unix::{SignalKind, signal};
    let known = [
        Signal::USR1,
        Signal::USR2,
        Signal::PIPE,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::IO,
        #[cfg(target_os = "linux")]
        Signal::POWER,
        #[cfg(target_os = "linux")]
        Signal::STKFLT,
    ];
    let known = known.iter().map(|signal| signal.as_raw());
    for number in known.chain(REAL_TIME) {
        // A signal that this system does not have cannot arrive, so its error does not matter. The handler remains when
        // the returned value is dropped.
        let _ = signal(SignalKind::from_raw(number));
    }
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP ignored: settings change only with a restart");
        }
    });
}

/// Signals without a fixed meaning, as Linux numbers them. The C library reserves the two before them.
#[cfg(unix)]
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

#[cfg(not(unix))]
pub(super) fn ignore_the_others() {}
