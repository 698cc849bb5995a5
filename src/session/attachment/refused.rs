//! The channels of an attach's request that were refused, each with what the answer to that request repeats.
//!
//! Does not know why a channel is refused.

use super::Attach;
use crate::protocol::{CredentialPlace, RefusedChannel, Transport};

impl Attach {
    /// Whether it refused channels of its request, or may refuse commands, which come over WebSocket alone.
    #[must_use]
    pub fn may_refuse(&self) -> bool {
        self.transport == Transport::Ws || self.refused().next().is_some()
    }

    /// Its request had this nonce, and carried its credential at this place: refusals of channels repeat both, those of
    /// later commands the place.
    #[must_use]
    pub fn answering(mut self, nonce: Option<&str>, credential: Option<CredentialPlace>) -> Self {
        self.credential = credential;
        let channels = self
            .opening
            .iter_mut()
            .flat_map(|opening| &mut opening.channels);
        for refused in channels.filter_map(|channel| channel.as_mut().err()) {
            **refused = refused.answering(nonce, credential);
        }
        self
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = &RefusedChannel> {
        let channels = self.opening.iter().flat_map(|opening| &opening.channels);
        channels
            .filter_map(|channel| channel.as_ref().err())
            .map(|refused| &**refused)
    }
}
