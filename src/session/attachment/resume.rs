//! An attachment that is parked between two polls. To everything else it is gone, until the next poll resumes it with
//! a cursor.
//!
//! The proof in a request counts only as long as its session key is valid. A poll without a key proves nothing: it has
//! the grants of anonymous clients.

use tokio::time::Instant;

use super::Attachment;
use crate::auth::{Grants, Signer};
use crate::protocol::cursor::{Cursor, Since};
use crate::protocol::{AttachRequest, ChannelName, Nonce, ShownIn};
use crate::session::{new_id, now_s};

/// Returns until when later polls may resume the attachment of this request, in seconds since 1970.
pub(super) fn resumes_until_s(
    request: &AttachRequest,
    channels: &[(ChannelName, Since)],
    grants: &Grants,
    has_key: bool,
    keyed_until_s: Option<u64>,
) -> Option<u64> {
    if request.why.is_some() {
        // The hub counts a fallback when it parses the request, so each such request must be parsed.
        return None;
    }
    if has_key {
        return keyed_until_s;
    }
    // Each poll without a key is a new session. No client can tell those apart, unless they are shown or read inboxes.
    let is_unseen =
        request.presence == ShownIn::Nowhere && !channels.iter().any(|(name, _)| name.is_inbox());
    is_unseen.then(|| Signer::expires_s(grants, now_s()))
}

impl Attachment {
    /// Returns whether another poll with the same request may reuse it.
    pub fn may_return(&self) -> bool {
        self.returns_until.is_some()
    }

    /// Parks the attachment: it leaves its channels and its presence as if it were dropped, and no longer counts
    /// among its session's attachments. Returns whether it may resume.
    pub fn park(&mut self) -> bool {
        let is_ended = self.feed.waker().is_called() && self.line.end.get().is_some();
        let comes_back = self.may_return() && !is_ended;
        if comes_back && !self.is_resting {
            self.is_resting = true;
            self.feed.waker().set_parked(true);
            if !self.feed.is_delegated() {
                self.feed.remaining();
            }
            self.metrics.rest();
            self.late = None;
        }
        comes_back
    }

    /// Resumes a parked attachment with the cursor and the nonce of another request, under the rules of an attach.
    /// Returns false if it cannot resume; that request must then be opened like any other. `is_watched` says whether
    /// its channel is still delegated.
    pub fn resume(&mut self, cursor: Cursor, nonce: Nonce, is_watched: bool) -> bool {
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
            // A reader that is this far behind must learn it from a hello.
            return false;
        }
        if !self.goes_on {
            self.renew_session();
        }
        self.is_resting = false;
        self.metrics.again();
        self.session.resume(&self.line);
        self.nonce = nonce;
        self.pace.opened = now;
        (self.is_parting, self.is_settled) = (false, false);
        self.appear().is_ok()
    }

    /// Prepares for a client that knows the session of the hello. A poll without that session's key continues as a new
    /// session.
    fn renew_session(&mut self) {
        self.session.detach(&self.line);
        self.session = self
            .sessions
            .session(&new_id(), &self.grants, self.session.network);
        let credential_id = self.grants.shared_credential_id();
        self.line = self.session.attach(self.feed.waker(), credential_id);
        self.goes_on = true;
    }
}
