//! Where a request may carry its credential, as refusals name it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a credential was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl fmt::Display for CredentialPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the Authorization header",
            Self::Subprotocol => "the subprotocol",
            Self::Body => "the body",
            Self::Query => "the query",
            Self::Cookie => "the cookie",
        })
    }
}
