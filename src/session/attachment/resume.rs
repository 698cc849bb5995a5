//! An attach that rests between two polls: everybody else sees it gone, and it comes back with a cursor.
//!
//! What a request had to prove stays proven only as long as its session key is good.

use tokio::time::Instant;

use super::Attach;
use crate::protocol::Nonce;
use crate::protocol::cursor::Cursor;

impl Attach {
    /// Whether a poll that asks for the same may go on with it.
    pub fn may_return(&self) -> bool {
        self.returns_until.is_some()
    }

    /// Leaves its channels and its presence, as if it were dropped, and is none of its session's attaches. Whether it
    /// may come back.
    pub fn pause(&mut self) -> bool {
        let is_ended = self.feed.bell().is_called() && self.line.end.get().is_some();
        let comes_back = self.may_return() && !is_ended;
        if comes_back && !self.is_resting {
            self.is_resting = true;
            self.feed.bell().set_resting(true);
            if !self.feed.is_watched() {
                self.feed.rest();
            }
            self.metrics.rest();
            self.late = None;
        }
        comes_back
    }

    /// Comes back from its rest with a cursor and the nonce of another request, under the rules of an opening. Where
    /// it cannot, that request must be opened like any other. `is_watched` where somebody else still watches its
    /// channel.
    pub fn again(&mut self, cursor: Cursor, nonce: Nonce, is_watched: bool) -> bool {
        let now = Instant::now();
        let is_known = self.returns_until.is_some_and(|until| now < until);
        if !self.is_resting || !is_known || self.sessions.drain.has_begun() {
            return false;
        }
        let is_back = is_watched && self.feed.again_watched(cursor);
        if !is_back && self.feed.again(cursor).is_err() {
            return false;
        }
        if self
            .replay
            .is_some_and(|most| self.feed.is_far_behind(most))
        {
            // To be told by a hello.
            return false;
        }
        self.is_resting = false;
        self.metrics.again();
        self.session.come_back(&self.line);
        self.nonce = nonce;
        self.pace.opened = now;
        (self.is_parting, self.is_settled) = (false, false);
        self.appear().is_ok()
    }
}
