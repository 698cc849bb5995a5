//! Events at a fixed rate: each is sent at its scheduled time, even if earlier ones have not arrived yet.
//!
//! The latency of an event counts from its scheduled time. So a hub that stalls for a second is charged for every
//! event of that second, and not only for the one that it delayed (coordinated omission).

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::time::Duration;

#[cfg(target_os = "linux")]
use tokio::io::AsyncReadExt;
#[cfg(target_os = "linux")]
use tokio::net::unix::pipe;

use super::reader::BenchRun;

/// Schedules events at this rate until the run is over.
pub(super) async fn plan(run: &BenchRun, rate: f64) -> anyhow::Result<()> {
    let began_ns = run.meter.now_ns();
    let mut planned = 1.0_f64;
    let mut clock = PaceClock::new()?;
    loop {
        let next_ns = began_ns + duration_ns(planned / rate);
        let now_ns = run.meter.now_ns();
        if next_ns > now_ns {
            clock.wait(Duration::from_nanos(next_ns - now_ns)).await?;
            continue;
        }
        run.meter.plan(next_ns)?;
        planned += 1.0;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a run of days is far from the end of u64"
)]
fn duration_ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// A timer with microsecond precision: tokio's timer counts whole milliseconds. The system's timer is a file
/// descriptor that is read like a pipe, because creating tokio's `AsyncFd` would need `unsafe`.
#[cfg(target_os = "linux")]
struct PaceClock {
    /// The same timer as `ticks`, used to set it.
    timer: OwnedFd,
    ticks: pipe::Receiver,
}

#[cfg(target_os = "linux")]
impl PaceClock {
    fn new() -> anyhow::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let ticks = pipe::Receiver::from_owned_fd_unchecked(timer.try_clone()?)?;
        Ok(Self { timer, ticks })
    }

    async fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let alarm = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(time.as_secs())?,
                tv_nsec: time.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &alarm)?;
        // The number of expirations as a u64. It is not used.
        self.ticks.read_exact(&mut [0; 8]).await?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
struct Clock;

#[cfg(not(target_os = "linux"))]
impl PaceClock {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(time).await;
        Ok(())
    }
}
