//! One client: its rate, its numbered keys, and its living attachments.
//!
//! Knows when nothing is left to remember. The table then removes it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::eviction::DetachedSession;
use crate::broker::{Sequence, TokenBucket};
use crate::hub::waker::FeedWaker;
use crate::protocol::ByeReason;

/// The most attachments of one session at once. A change of transport needs two, and a page that reloads needs a third.
const ATTACHES_MAX: usize = 4;

/// One client.
#[derive(Debug)]
pub struct Session {
    pub(super) id: Arc<str>,
    /// The user id of its grants. All its grants are of one user.
    pub(super) user: Option<Arc<str>>,
    /// The network that it was opened from.
    pub(super) network: Option<IpAddr>,
    pub(super) bucket: Mutex<TokenBucket>,
    /// Absent until a numbered key arrives. Most readers never send one.
    pub(super) sequence: OnceLock<Box<tokio::sync::Mutex<Sequence>>>,
    pub(super) state: Mutex<SessionState>,
}

#[derive(Debug, Default)]
pub(super) struct SessionState {
    /// Its attachments, oldest first. Mostly there is one.
    pub(super) lines: SmallVec<[Arc<AttachmentHandle>; 1]>,
    /// The time of its last ping over HTTP. `None` if there was none.
    pub(super) heard: Option<Instant>,
    /// When its last attachment ended, or its last request arrived.
    pub(super) idle_since: Option<Instant>,
}

/// The handle by which other tasks reach an attachment.
#[derive(Debug)]
pub(super) struct AttachmentHandle {
    pub(super) feed_waker: Arc<FeedWaker>,
    pub(super) end: OnceLock<ByeReason>,
    /// The id of the credential that opened it.
    credential_id: Option<Arc<str>>,
}

impl SessionState {
    /// Adds one. A fifth living attachment ends the oldest.
    fn add(&mut self, line: &Arc<AttachmentHandle>) {
        self.lines.push(line.clone());
        let living = || self.lines.iter().filter(|line| line.is_living());
        if living().count() > ATTACHES_MAX
            && let Some(oldest) = living().next()
        {
            let _ = oldest.end.set(ByeReason::Newer);
            oldest.feed_waker.call();
        }
    }
}

impl AttachmentHandle {
    /// Returns whether its attachment still waits for something and was not ended.
    fn is_living(&self) -> bool {
        self.end.get().is_none() && !self.feed_waker.is_parked()
    }
}

impl Session {
    /// Adds an attachment. A fifth one ends the oldest.
    pub(super) fn attach(
        &self,
        feed_waker: &Arc<FeedWaker>,
        credential_id: Option<Arc<str>>,
    ) -> Arc<AttachmentHandle> {
        let line = Arc::new(AttachmentHandle {
            feed_waker: feed_waker.clone(),
            end: OnceLock::new(),
            credential_id,
        });
        self.state.lock().add(&line);
        line
    }

    /// Makes a parked attachment the newest one. It is removed and added under one lock: otherwise, of two attachments
    /// that resume at once, one would count as old.
    pub(super) fn resume(&self, line: &Arc<AttachmentHandle>) {
        let mut state = self.state.lock();
        line.feed_waker.set_parked(false);
        if state.lines.len() > 1 {
            state.lines.retain(|other| !Arc::ptr_eq(other, line));
            state.add(line);
        }
    }

    pub(super) fn detach(&self, line: &Arc<AttachmentHandle>) {
        let mut state = self.state.lock();
        state.lines.retain(|other| !Arc::ptr_eq(other, line));
        state.idle_since = Some(Instant::now());
    }

    /// Returns the number of its attachments that wait for something.
    pub(super) fn living_attaches(&self) -> usize {
        let state = self.state.lock();
        state.lines.iter().filter(|line| line.is_living()).count()
    }

    /// Ends all of its attachments, including one that is parked until its next poll.
    pub(super) fn end(&self, reason: ByeReason) {
        self.end_some(reason, |_| true);
    }

    /// Ends its attachments that were opened by this credential. Returns whether there were any.
    pub(super) fn end_credential(&self, id: &str, reason: ByeReason) -> bool {
        self.end_some(reason, |line| line.credential_id.as_deref() == Some(id))
    }

    fn end_some(&self, reason: ByeReason, is_meant: impl Fn(&AttachmentHandle) -> bool) -> bool {
        let mut has_ended = false;
        for line in &self.state.lock().lines {
            if is_meant(line) {
                let _ = line.end.set(reason);
                line.feed_waker.call();
                has_ended = true;
            }
        }
        has_ended
    }

    /// Returns the time since when it has no attachment.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.idle_since.filter(|_| state.lines.is_empty())
    }

    /// Returns the facts that decide which session is evicted, if it has no attachment.
    pub(super) fn detached(&self) -> Option<DetachedSession> {
        Some(DetachedSession {
            id: self.id.clone(),
            network: self.network,
            since: self.idle_since()?,
            is_used: self.is_used(),
        })
    }

    /// Returns whether it has answers to numbered keys. A locked sequence is in use.
    fn is_used(&self) -> bool {
        let is_used = |sequence: &tokio::sync::Mutex<Sequence>| {
            sequence
                .try_lock()
                .map_or(true, |sequence| sequence.is_used())
        };
        self.sequence
            .get()
            .is_some_and(|sequence| is_used(sequence))
    }

    /// Returns whether it may be removed: it was idle for `rest` with nothing to remember, or idle for a whole
    /// `lifetime`.
    pub(super) fn is_over(&self, now: Instant, rest: Duration, lifetime: Duration) -> bool {
        let Some(since) = self.idle_since() else {
            return false;
        };
        let unused = !self.is_used();
        let idle = now.saturating_duration_since(since);
        idle > lifetime || (unused && idle >= rest && self.bucket.lock().is_full(now))
    }
}
