//! The tasks of connections, so that the end of a drain reaches those too that do not watch for it.
//!
//! Sixteen bytes each, since an idle reader is little more: an ear for the drain in each of them would cost ten times
//! that. Knows nothing of what they do.

use std::sync::Arc;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use slab::Slab;
use tokio::task::AbortHandle;

/// The tasks that serve connections.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// Held while a task is started, so that it cannot end before it stands here.
    tasks: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Slab<AbortHandle>,
    /// Whether all were cut; whoever comes later is cut at once.
    is_over: bool,
}

/// Strikes a task off the list when it ends, however it does.
struct Listed {
    tasks: Arc<Tasks>,
    key: usize,
}

impl Tasks {
    /// Runs this in a task of its own until it ends or all are cut.
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.tasks.lock();
        if state.is_over {
            return;
        }
        let entry = state.running.vacant_entry();
        let listed = Listed {
            tasks: self.clone(),
            key: entry.key(),
        };
        // No `async` block, which would hold the task twice.
        let handle = tokio::spawn(task.map(move |()| drop(listed)));
        entry.insert(handle.abort_handle());
    }

    /// Ends all of them: their sockets are closed as they are.
    pub(super) fn cut(&self) {
        let mut state = self.tasks.lock();
        state.is_over = true;
        state.running.iter().for_each(|(_, task)| task.abort());
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.tasks.tasks.lock().running.try_remove(self.key);
    }
}
