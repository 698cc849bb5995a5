//! The tasks of sockets that were taken over, so that the end of a drain reaches them.
//!
//! Sixteen bytes each, since an idle reader is little more: an ear for the drain in each of them would cost ten times
//! that. Knows nothing of what they do.

use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;
use tokio::task::AbortHandle;

/// The tasks that go on with sockets of their own.
#[derive(Debug, Default)]
pub(super) struct TakenTasks {
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
    tasks: Arc<TakenTasks>,
    key: usize,
}

impl TakenTasks {
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
        let handle = tokio::spawn(async move {
            let _listed = listed;
            task.await;
        });
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
