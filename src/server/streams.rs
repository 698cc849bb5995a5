//! The streams of one HTTP/2 connection, each in a task of its own, so that one can be ended and the others go on.
//!
//! A stream whose task ends before its answer is reset (`RST_STREAM`), and what waited for it is thrown away. Knows
//! nothing of what they carry.

use std::sync::Arc;

use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, Id};

/// The tasks of one connection's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Those that run, and some that ended since the last one began.
    tasks: Mutex<Vec<Task>>,
}

/// A task of a stream.
#[derive(Debug)]
struct Task {
    handle: AbortHandle,
    /// The task that began it: that of its stream where it writes for an upgraded one, else the connection's.
    within: Option<Id>,
}

/// Ends what an upgraded stream still has to write once it is dropped: nobody else waits for that, and for a peer that
/// reads nothing hyper would wait for ever.
#[derive(Debug)]
pub(super) struct Upgraded {
    streams: Arc<Streams>,
    stream: Option<Id>,
}

impl Upgraded {
    /// The stream that runs in this task.
    pub(super) fn here(streams: &Arc<Streams>) -> Self {
        Self {
            streams: streams.clone(),
            stream: tokio::task::try_id(),
        }
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        let tasks = self.streams.tasks.lock();
        let own = |task: &&Task| self.stream.is_some() && task.within == self.stream;
        tasks
            .iter()
            .filter(own)
            .for_each(|task| task.handle.abort());
    }
}

/// Runs each stream of one connection in a task of its own.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor(pub(super) Arc<Streams>);

impl Streams {
    /// Ends the stream that runs in this task. Whether there is one.
    pub(super) fn end(&self, id: Id) -> bool {
        let tasks = self.tasks.lock();
        let found = tasks.iter().find(|task| task.handle.id() == id);
        found.map(|task| task.handle.abort()).is_some()
    }

    /// Ends all.
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
        // As many as there may be streams at one time, so that looking through them is cheap.
        tasks.retain(|task| !task.handle.is_finished());
        tasks.push(Task { handle, within });
    }
}
