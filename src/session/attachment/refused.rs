//! The refused channels of an attachment's request, each with the parts of the request that its refusal repeats.
//!
//! This file does not know why a channel is refused.

use super::Attachment;
use crate::protocol::{CredentialPlace, RefusedChannel, Transport};

impl Attachment {
    /// Returns whether it refused channels of its request, or may refuse commands. Only a WebSocket carries commands.
    #[must_use]
    pub fn may_refuse(&self) -> bool {
        self.transport == Transport::Ws || self.refused().next().is_some()
    }

    /// Sets the nonce of the request and the place of its credential. Refusals of channels repeat both; refusals of
    /// later commands repeat the place.
    #[must_use]
    pub fn answering(mut self, nonce: Option<&str>, credential: Option<CredentialPlace>) -> Self {
        self.credential = credential;
        let channels = self
            .attach_request
            .iter_mut()
            .flat_map(|attach_request| &mut attach_request.channels);
        for refused in channels.filter_map(|channel| channel.as_mut().err()) {
            **refused = refused.answering(nonce, credential);
        }
        self
    }

    pub(super) fn refused(&self) -> impl Iterator<Item = &RefusedChannel> {
        let channels = self
            .attach_request
            .iter()
            .flat_map(|attach_request| &attach_request.channels);
        channels
            .filter_map(|channel| channel.as_ref().err())
            .map(|refused| &**refused)
    }
}
