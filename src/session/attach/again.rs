//! An attach that rests between two polls: everybody else sees it gone, and it comes back with a cursor.
//!
//! What a request had to prove stays proven only as long as its session key is good.

use tokio::time::Instant;

use super::Attach;
use crate::cursor::Cursor;
use crate::hub::now_ms;
use crate::protocol::ChannelName;
use crate::session::pace::Pace;

impl Attach {
    /// Leaves its session, its channels and its presence, as if it were dropped. Whether it may come back: with the
    /// key of a session, and where nothing is counted or told at the opening alone.
    pub fn pause(&mut self) -> bool {
        let comes_back = self.known_until_s.is_some()
            && self.goes_on()
            && self.opening().is_some_and(|opening| opening.why.is_none())
            && self.line.end.get().is_none();
        if comes_back && !self.is_resting {
            self.is_resting = true;
            self.session.detach(&self.line, Instant::now());
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
    pub fn again(&mut self, cursor: Cursor, nonce: Option<String>, is_watched: bool) -> bool {
        let now_s = now_ms() / 1_000;
        let is_known = self.known_until_s.is_some_and(|until| now_s < until);
        if !self.is_resting || !is_known || self.sessions.drain.has_begun() {
            return false;
        }
        let is_back = is_watched && self.feed.again_watched(cursor);
        if !is_back && self.feed.again(cursor).is_err() {
            return false;
        }
        self.is_resting = false;
        self.metrics.again();
        self.session.attach_line(&self.line);
        let Some(opening) = &mut self.opening else {
            return false;
        };
        opening.nonce = nonce;
        let presence = opening.presence;
        let expires = self.grants.expires_s();
        let alarm = std::mem::take(&mut self.pace.alarm);
        self.pace = Pace {
            // Its bell is still to be nudged at the time of before.
            alarm,
            ..Pace::new(opening, self.sessions.options.heartbeat, expires)
        };
        (self.is_parting, self.is_settled) = (false, false);
        !presence || self.appear_again()
    }

    fn appear_again(&mut self) -> bool {
        let names: Vec<ChannelName> = self.feed.channels().cloned().collect();
        self.appear(names.iter()).is_ok()
    }
}
