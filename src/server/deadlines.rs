//! The limits of one connection, and the stages of the server, beside whatever hyper is at.
//!
//! Knows when something must end, and nothing of what it is.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::Shared;
use super::activity::{Limits, Pulse, Reached};
use super::drain::{Stage, Stages};

/// How long a connection that is told to end may take for its last words, such as GOAWAY.
const FAREWELL: Duration = Duration::from_secs(1);
/// On drain, how long a connection that has not asked yet may still ask: its request may be on its way.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);
/// The same for one that has: to close it under a request would reset it, and take the answers before along. Shorter
/// than the time after which clients come back, which must find the next process.
const REQUEST_GRACE: Duration = Duration::from_millis(90);

/// What the clock asks of whatever it runs.
pub(super) enum Call<'a, 'b> {
    Poll(&'a mut Context<'b>),
    /// Tell the peer that no further request is taken.
    Farewell,
}

/// The limits of one connection, and the stages of the server, beside whatever it is at.
pub(super) struct Clocked<'a> {
    shared: &'a Shared,
    peer: SocketAddr,
    pulse: &'a Pulse,
    stages: Pin<Box<Stages<'a>>>,
    clock: Pin<Box<Sleep>>,
    watch: Watch,
}

impl<'a> Clocked<'a> {
    pub(super) fn new(shared: &'a Shared, peer: SocketAddr, pulse: &'a Pulse) -> Self {
        let stages = Box::pin(shared.drain.stages());
        let clock = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self {
            shared,
            peer,
            pulse,
            stages,
            clock,
            watch: Watch::default(),
        }
    }

    /// From now on it is a connection of HTTP/2.
    pub(super) fn speak_http2(&mut self) {
        self.watch.has_goaway = true;
    }

    /// Runs something until it is ready; `None` where a limit cut it.
    pub(super) async fn run<T>(
        &mut self,
        mut what: impl FnMut(Call<'_, '_>) -> Poll<T>,
    ) -> Option<T> {
        std::future::poll_fn(|cx| {
            self.pulse.set_driver(cx.waker());
            Poll::Ready(())
        })
        .await;
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(outcome) = what(Call::Poll(cx)) {
                    return Poll::Ready(Some(outcome));
                }
                let stage = self.stages.as_mut().poll_stage(cx);
                match self.watch.step(stage, self.pulse, &self.shared.limits) {
                    Step::Wait => return Poll::Pending,
                    Step::WaitUntil(at) => ready!(poll_clock(self.clock.as_mut(), at, cx)),
                    Step::Farewell => {
                        if let Poll::Ready(outcome) = what(Call::Farewell) {
                            return Poll::Ready(Some(outcome));
                        }
                    }
                    Step::EndSlow => {
                        let slow = self.pulse.end_streams();
                        self.shared.metrics.slow_byes().inc_by(slow as u64);
                        debug!(peer = %self.peer, streams = slow, "nothing is taken of many streams");
                        if let Poll::Ready(outcome) = what(Call::Farewell) {
                            return Poll::Ready(Some(outcome));
                        }
                    }
                    Step::Cut(why) => {
                        debug!(peer = %self.peer, ?why, "connection cut");
                        return Poll::Ready(None);
                    }
                }
            }
        })
        .await
    }
}

/// What the driver does next, once hyper can do no more for now.
enum Step {
    Wait,
    WaitUntil(Instant),
    /// Tell the peer that no further request is taken.
    Farewell,
    /// End all streams, and do the same.
    EndSlow,
    Cut(Why),
}

#[derive(Debug)]
enum Why {
    Limit(#[expect(dead_code, reason = "read by Debug, for the log")] Reached),
    Farewell,
    DrainOver,
}

/// Whether the peer was told to end, and until when it may.
#[derive(Default)]
struct Watch {
    /// HTTP/2 tells the peer which requests were taken, and closes under none.
    has_goaway: bool,
    told: bool,
    farewell_until: Option<Instant>,
    /// Until when a peer may read its last words that took nothing of many streams.
    slow_until: Option<Instant>,
}

impl Watch {
    fn step(&mut self, stage: Stage, pulse: &Pulse, limits: &Limits) -> Step {
        match stage {
            Stage::Over => return Step::Cut(Why::DrainOver),
            Stage::Draining { since } if !self.told => {
                let grace = match (pulse.is_fresh(), self.has_goaway) {
                    (true, _) => FIRST_REQUEST_GRACE,
                    (false, true) => Duration::ZERO,
                    (false, false) => REQUEST_GRACE,
                };
                let grace_until = since + grace;
                if Instant::now() < grace_until {
                    return Step::WaitUntil(grace_until);
                }
                self.told = true;
                return Step::Farewell;
            }
            Stage::Serving | Stage::Draining { .. } => {}
        }
        if let Some(until) = self.slow_until {
            return cut_at(until, Why::Limit(Reached::Crowd));
        }
        if self.told && pulse.is_idle() {
            // HTTP/1 has closed by now; an HTTP/2 peer was asked to, and may be dead.
            let now = Instant::now();
            let until = *self.farewell_until.get_or_insert(now + FAREWELL);
            return cut_at(until, Why::Farewell);
        }
        self.farewell_until = None;
        let Some((at, reached)) = pulse.nearest(limits) else {
            return Step::Wait;
        };
        if Instant::now() < at {
            return Step::WaitUntil(at);
        }
        if reached == Reached::Idle {
            self.told = true;
            return Step::Farewell;
        }
        if reached == Reached::Crowd {
            self.told = true;
            self.slow_until = Some(Instant::now() + FAREWELL);
            return Step::EndSlow;
        }
        if reached == Reached::Stream && limits.stream.is_some_and(|limit| pulse.end_untaken(limit))
        {
            return self.step(stage, pulse, limits);
        }
        Step::Cut(Why::Limit(reached))
    }
}

fn cut_at(until: Instant, why: Why) -> Step {
    if Instant::now() < until {
        Step::WaitUntil(until)
    } else {
        Step::Cut(why)
    }
}

/// Ready once `at` has passed. A clock that is set earlier than `at` is left to fire once before it is moved:
/// that is cheaper than moving it at every request.
fn poll_clock(mut clock: Pin<&mut Sleep>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        if clock.deadline() > at || clock.is_elapsed() {
            clock.as_mut().reset(at);
        }
        ready!(clock.as_mut().poll(cx));
        if clock.deadline() >= at {
            return Poll::Ready(());
        }
    }
}
