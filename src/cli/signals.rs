//! Signals: those that end a command politely, and those that a server ignores.

/// Hears each signal that asks for an end and comes after it was made: SIGINT, SIGTERM and SIGQUIT, or Ctrl-C where
/// there are no signals.
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

/// From now on a signal that does not ask for an end ends nothing: it has a handler, which does nothing. Faults of the
/// program, and what stops it at a terminal, stay as they are.
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
        // What this system does not have cannot come. The handler outlives what it returns.
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

/// Signals of no fixed meaning, as Linux numbers them; the C library keeps the two before them.
#[cfg(unix)]
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

#[cfg(not(unix))]
pub(super) fn ignore_the_others() {}
