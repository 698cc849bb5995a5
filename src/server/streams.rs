//! The streams of one HTTP/2 connection. Each stream runs in its own task, so one stream can be ended without the
//! others.
//!
//! A stream whose task ends before its response is reset (`RST_STREAM`), and its pending bytes are discarded. This
//! file does not know what the streams carry.

use std::sync::Arc;

use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, Id};

/// The tasks of one connection's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The running tasks, and some that ended since the last one was added.
    tasks: Mutex<Vec<StreamTask>>,
}

/// The task of one stream.
#[derive(Debug)]
struct StreamTask {
    handle: AbortHandle,
    /// The task that spawned this one: the task of the stream if this one writes for an upgraded stream, else the
    /// connection's task.
    within: Option<Id>,
}

/// Aborts the pending writes of an upgraded stream when it is dropped. No other task waits for these writes, and
/// hyper would wait forever for a peer that reads nothing.
#[derive(Debug)]
pub(super) struct UpgradedStreamGuard {
    streams: Arc<Streams>,
    stream: Option<Id>,
}

impl UpgradedStreamGuard {
    /// Creates a guard for the stream that runs in the current task.
    pub(super) fn here(streams: &Arc<Streams>) -> Self {
        Self {
            streams: streams.clone(),
            stream: tokio::task::try_id(),
        }
    }
}

impl Drop for UpgradedStreamGuard {
    fn drop(&mut self) {
        let tasks = self.streams.tasks.lock();
        let own = |task: &&StreamTask| self.stream.is_some() && task.within == self.stream;
        tasks
            .iter()
            .filter(own)
            .for_each(|task| task.handle.abort());
    }
}

/// An executor that runs each stream of one connection in its own task.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor(pub(super) Arc<Streams>);

impl Streams {
    /// Aborts the stream that runs in the task `id`. Returns whether there is one.
    pub(super) fn end(&self, id: Id) -> bool {
        let tasks = self.tasks.lock();
        let found = tasks.iter().find(|task| task.handle.id() == id);
        found.map(|task| task.handle.abort()).is_some()
    }

    /// Aborts all streams.
    pub(super) fn end_all(&self) {
        let tasks = self.tasks.lock();
        tasks.iter().for_each(|task| task.handle.abort());
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let within = tokio::task::try_id();
        let handle = tokio::spawn(stream).abort_handle();
        let mut tasks = self.0.tasks.lock();
        // The list is no longer than the number of concurrent streams, so scanning it is cheap.
        tasks.retain(|task| !task.handle.is_finished());
        tasks.push(StreamTask { handle, within });
    }
}
