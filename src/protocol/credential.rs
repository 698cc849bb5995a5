//! Where a request may carry its credential, as refusals name it.

/// Where a credential was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialPlace {
    /// The `Authorization` header.
    Header,
    /// A subprotocol of a WebSocket handshake.
    Subprotocol,
    /// The `token` of a body.
    Body,
    /// `?token=`.
    Query,
    /// The cookie that the hub was configured to read.
    Cookie,
}

impl CredentialPlace {
    /// The place as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Subprotocol => "subprotocol",
            Self::Body => "body",
            Self::Query => "query",
            Self::Cookie => "cookie",
        }
    }
}
