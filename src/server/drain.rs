//! The stages of a server's drain, and how each connection learns of them.
//!
//! This file does not know connections: they poll it.

use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// How far the drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DrainStage {
    /// The drain has not begun.
    Serving,
    /// Running responses are finished. No new requests begin.
    Draining {
        /// When the drain began.
        since: Instant,
    },
    /// The remaining connections are cut.
    Over,
}

/// The drain of one server.
#[derive(Debug)]
pub(super) struct ServerDrain {
    /// Every connection reads this at every step, so it is not behind a lock. 0 means serving; then [`DRAINING`],
    /// then [`OVER`].
    stage: AtomicU8,
    since: OnceLock<Instant>,
    changed: Notify,
}

const DRAINING: u8 = 1;
const OVER: u8 = 2;

impl ServerDrain {
    pub(super) fn new() -> Self {
        Self {
            stage: AtomicU8::new(0),
            since: OnceLock::new(),
            changed: Notify::new(),
        }
    }

    pub(super) fn begin(&self, since: Instant) {
        self.since.get_or_init(|| since);
        self.stage.store(DRAINING, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn finish(&self) {
        self.stage.store(OVER, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn stage(&self) -> DrainStage {
        match (self.stage.load(Ordering::Acquire), self.since.get()) {
            (DRAINING, Some(since)) => DrainStage::Draining { since: *since },
            (OVER, _) => DrainStage::Over,
            _ => DrainStage::Serving,
        }
    }

    pub(super) fn stages(&self) -> Stages<'_> {
        Stages {
            drain: self,
            changed: self.changed.notified(),
            heard: None,
        }
    }
}

pin_project! {
    /// One task's subscription to the stages.
    #[derive(Debug)]
    pub(super) struct Stages<'a> {
        drain: &'a ServerDrain,
        #[pin]
        changed: Notified<'a>,
        heard: Option<DrainStage>,
    }
}

impl Stages<'_> {
    /// Returns the current stage. The task is woken when the stage changes.
    pub(super) fn poll_stage(self: Pin<&mut Self>, cx: &mut Context<'_>) -> DrainStage {
        let mut this = self.project();
        let mut stage = this.drain.stage();
        // Every connection calls this at every step. The list of waiters has one lock, so it is used only when the
        // stage has changed. The first call counts as a change: it registers the task.
        while *this.heard != Some(stage) {
            *this.heard = Some(stage);
            while this.changed.as_mut().poll(cx) == Poll::Ready(()) {
                this.changed.set(this.drain.changed.notified());
            }
            stage = this.drain.stage();
        }
        stage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_stage_is_heard() {
        let drain = std::sync::Arc::new(ServerDrain::new());
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let listener = tokio::spawn({
            let drain = drain.clone();
            async move {
                let mut stages = std::pin::pin!(drain.stages());
                std::future::poll_fn(|cx| {
                    let stage = stages.as_mut().poll_stage(cx);
                    heard.send(stage).unwrap();
                    if stage == DrainStage::Over {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
        });
        assert_eq!(hears.recv().await, Some(DrainStage::Serving));
        let since = Instant::now();
        drain.begin(since);
        assert_eq!(hears.recv().await, Some(DrainStage::Draining { since }));
        drain.finish();
        assert_eq!(hears.recv().await, Some(DrainStage::Over));
        listener.await.unwrap();
    }
}
