//! The first frames of an attachment: hello, and the channels of its request that were refused.

use std::net::IpAddr;

use super::Attachment;
use crate::protocol::{ChannelName, Hello, RefusedChannel};

impl Attachment {
    /// Returns the hello frame, with a renewed session key and a tag of the client's network.
    #[must_use]
    pub fn hello(&self, client: Option<IpAddr>) -> String {
        let network = self.sessions.signer.network_tag(client);
        let session = self.sessions.signed(&self.session.id, &self.grants);
        let channels: Vec<ChannelName> = self.feed.channels().cloned().collect();
        let heartbeat = self
            .pace
            .heartbeat
            .unwrap_or(self.sessions.options.heartbeat);
        let (id, places) = self.feed.starts();
        let nonce = self
            .attach_request()
            .and_then(|attach_request| attach_request.nonce.clone());
        Hello::new(id, session, channels, &places)
            .with(nonce, heartbeat.as_secs(), network)
            .with_limits(self.sessions.limits())
            .behind(self.is_behind)
            .json()
    }

    /// Returns the frame after hello if some channels of the request were refused.
    #[must_use]
    pub fn refused_frame(&self) -> Option<String> {
        let refused: Vec<RefusedChannel> = self.refused().cloned().collect();
        (!refused.is_empty()).then(|| RefusedChannel::frame(&refused))
    }
}
