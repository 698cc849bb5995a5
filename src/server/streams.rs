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
    tasks: Mutex<Vec<AbortHandle>>,
}

/// Runs each stream of one connection in a task of its own.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor(pub(super) Arc<Streams>);

impl Streams {
    /// Ends the stream that runs in this task. Whether there is one.
    pub(super) fn end(&self, id: Id) -> bool {
        let tasks = self.tasks.lock();
        let found = tasks.iter().find(|task| task.id() == id);
        found.map(AbortHandle::abort).is_some()
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let handle = tokio::spawn(stream).abort_handle();
        let mut tasks = self.0.tasks.lock();
        // As many as there may be streams at one time, so that looking through them is cheap.
        tasks.retain(|task| !task.is_finished());
        tasks.push(handle);
    }
}
