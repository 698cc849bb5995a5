//! The tasks that serve connections. The end of a drain aborts them, including those that do not watch the drain.
//!
//! An entry costs sixteen bytes. A subscription to the drain would cost ten times that in each task, and an idle
//! reader is little larger. This file does not know what the tasks do.

use std::sync::Arc;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use slab::Slab;
use tokio::task::AbortHandle;

/// The tasks that serve connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionTasks {
    /// Locked while a task is spawned, so the task cannot end before it is listed.
    tasks: Mutex<TaskListState>,
}

#[derive(Debug, Default)]
struct TaskListState {
    running: Slab<AbortHandle>,
    /// Whether all tasks were aborted. A task that is spawned later does not run.
    is_over: bool,
}

/// Removes a task from the list when it ends for any reason.
struct TaskEntry {
    tasks: Arc<ConnectionTasks>,
    key: usize,
}

impl ConnectionTasks {
    /// Spawns a task that runs until it ends or all tasks are aborted.
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.tasks.lock();
        if state.is_over {
            return;
        }
        let entry = state.running.vacant_entry();
        let listed = TaskEntry {
            tasks: self.clone(),
            key: entry.key(),
        };
        // An `async` block would hold the task twice.
        let handle = tokio::spawn(task.map(move |()| drop(listed)));
        entry.insert(handle.abort_handle());
    }

    /// Aborts all tasks. Their sockets close as they are, without last bytes.
    pub(super) fn abort_all(&self) {
        let mut state = self.tasks.lock();
        state.is_over = true;
        state.running.iter().for_each(|(_, task)| task.abort());
    }
}

impl Drop for TaskEntry {
    fn drop(&mut self) {
        self.tasks.tasks.lock().running.try_remove(self.key);
    }
}
