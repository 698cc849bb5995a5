//! The deadlines of one connection, and the stages of the server's drain, checked while hyper or another driver runs.
//!
//! This file knows when a connection must end. It does not know what the connection does.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::ServerContext;
use super::activity::{ConnectionActivity, ConnectionLimits, ReachedLimit};
use super::drain::{DrainStage, Stages};

/// How long a connection that is asked to close may take for its last bytes, such as GOAWAY.
const FAREWELL: Duration = Duration::from_secs(1);
/// During a drain, how long a connection without a request may still send its first one: the request may be in
/// flight.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(500);
/// The same limit for a connection that has sent a request. Closing the connection under a request would reset it and
/// lose the responses before it. The time is shorter than the delay after which clients reconnect, because they must
/// reach the next process.
const REQUEST_GRACE: Duration = Duration::from_millis(90);

/// A call from the deadlines to the driver that they run.
pub(super) enum DriverCall<'a, 'b> {
    Poll(&'a mut Context<'b>),
    /// Tell the peer that the server accepts no further requests.
    Farewell,
}

/// The deadlines of one connection and the stages of the drain, checked while a driver runs.
pub(super) struct ConnectionDeadlines<'a> {
    shared: &'a ServerContext,
    peer: SocketAddr,
    activity: &'a ConnectionActivity,
    stages: Pin<Box<Stages<'a>>>,
    clock: Pin<Box<Sleep>>,
    watch: DrainWatch,
}

impl<'a> ConnectionDeadlines<'a> {
    pub(super) fn new(
        shared: &'a ServerContext,
        peer: SocketAddr,
        activity: &'a ConnectionActivity,
    ) -> Self {
        let stages = Box::pin(shared.drain.stages());
        let clock = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self {
            shared,
            peer,
            activity,
            stages,
            clock,
            watch: DrainWatch::default(),
        }
    }

    /// Marks the connection as HTTP/2.
    pub(super) fn speak_http2(&mut self) {
        self.watch.has_goaway = true;
    }

    /// Runs a driver until it is ready. Returns `None` if a deadline cut the connection.
    pub(super) async fn run<T>(
        &mut self,
        mut what: impl FnMut(DriverCall<'_, '_>) -> Poll<T>,
    ) -> Option<T> {
        std::future::poll_fn(|cx| {
            self.activity.set_driver(cx.waker());
            Poll::Ready(())
        })
        .await;
        std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(outcome) = what(DriverCall::Poll(cx)) {
                    return Poll::Ready(Some(outcome));
                }
                let stage = self.stages.as_mut().poll_stage(cx);
                match self.watch.step(stage, self.activity, &self.shared.limits) {
                    DriverStep::Wait => return Poll::Pending,
                    DriverStep::WaitUntil(at) => ready!(poll_clock(self.clock.as_mut(), at, cx)),
                    DriverStep::Farewell => {
                        if let Poll::Ready(outcome) = what(DriverCall::Farewell) {
                            return Poll::Ready(Some(outcome));
                        }
                    }
                    DriverStep::EndSlow => {
                        let slow = self.activity.end_streams();
                        self.shared.metrics.slow_byes().inc_by(slow as u64);
                        debug!(peer = %self.peer, streams = slow, "peer reads nothing while many streams wait");
                        if let Poll::Ready(outcome) = what(DriverCall::Farewell) {
                            return Poll::Ready(Some(outcome));
                        }
                    }
                    DriverStep::Cut(why) => {
                        debug!(peer = %self.peer, ?why, "connection cut");
                        return Poll::Ready(None);
                    }
                }
            }
        })
        .await
    }
}

/// The next step after the driver has made all the progress that it can.
enum DriverStep {
    Wait,
    WaitUntil(Instant),
    /// Tell the peer that the server accepts no further requests.
    Farewell,
    /// End all streams, then tell the peer that the server accepts no further requests.
    EndSlow,
    Cut(EndCause),
}

#[derive(Debug)]
enum EndCause {
    Limit(#[expect(dead_code, reason = "read by Debug, for the log")] ReachedLimit),
    Farewell,
    DrainOver,
}

/// Whether the peer was asked to close, and until when it may do so.
#[derive(Default)]
struct DrainWatch {
    /// HTTP/2 tells the peer which requests were accepted, and does not close under a request.
    has_goaway: bool,
    told: bool,
    farewell_until: Option<Instant>,
    /// The time until which a peer that did not read many of its streams may read the last bytes.
    slow_until: Option<Instant>,
}

impl DrainWatch {
    fn step(
        &mut self,
        stage: DrainStage,
        activity: &ConnectionActivity,
        limits: &ConnectionLimits,
    ) -> DriverStep {
        match stage {
            DrainStage::Over => return DriverStep::Cut(EndCause::DrainOver),
            DrainStage::Draining { since } if !self.told => {
                let grace = match (activity.is_fresh(), self.has_goaway) {
                    (true, _) => FIRST_REQUEST_GRACE,
                    (false, true) => Duration::ZERO,
                    (false, false) => REQUEST_GRACE,
                };
                let grace_until = since + grace;
                if Instant::now() < grace_until {
                    return DriverStep::WaitUntil(grace_until);
                }
                self.told = true;
                return DriverStep::Farewell;
            }
            DrainStage::Serving | DrainStage::Draining { .. } => {}
        }
        if let Some(until) = self.slow_until {
            return cut_at(until, EndCause::Limit(ReachedLimit::Crowd));
        }
        if self.told && activity.is_idle() {
            // An HTTP/1 connection has closed by now. An HTTP/2 peer was asked to close, and may be dead.
            let now = Instant::now();
            let until = *self.farewell_until.get_or_insert(now + FAREWELL);
            return cut_at(until, EndCause::Farewell);
        }
        self.farewell_until = None;
        let Some((at, reached)) = activity.nearest(limits) else {
            return DriverStep::Wait;
        };
        if Instant::now() < at {
            return DriverStep::WaitUntil(at);
        }
        if reached == ReachedLimit::Idle {
            self.told = true;
            return DriverStep::Farewell;
        }
        if reached == ReachedLimit::Crowd {
            self.told = true;
            self.slow_until = Some(Instant::now() + FAREWELL);
            return DriverStep::EndSlow;
        }
        if reached == ReachedLimit::Stream
            && limits
                .stream
                .is_some_and(|limit| activity.end_untaken(limit))
        {
            return self.step(stage, activity, limits);
        }
        DriverStep::Cut(EndCause::Limit(reached))
    }
}

fn cut_at(until: Instant, why: EndCause) -> DriverStep {
    if Instant::now() < until {
        DriverStep::WaitUntil(until)
    } else {
        DriverStep::Cut(why)
    }
}

/// Returns ready once `at` has passed. A timer that is set earlier than `at` fires once and is then moved: this is
/// cheaper than moving it at every request.
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
