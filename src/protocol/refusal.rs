//! Refusals: one list of stable codes, each with a status, a title and a hint.
//!
//! Knows the form of a refusal as RFC 9457 JSON. Knows no HTTP header and no client.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::answer::to_json;
use super::{ByeReason, CredentialPlace, Problem, RefusedChannel};

/// The reason for a refusal. The text of a code never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "each variant is its code, explained by its hint"
)]
pub enum Code {
    BadChannel,
    BadCursor,
    BadJson,
    BadParameter,
    BadName,
    BadCommand,
    Unauthorized,
    SessionExpired,
    Forbidden,
    OriginRefused,
    HostRefused,
    NotOpen,
    NotFound,
    MethodNotAllowed,
    UpgradeMissing,
    UnsupportedEncoding,
    BodyTimeout,
    TooLarge,
    RateLimited,
    TooManyChannels,
    TooManyConnections,
    TooManyBodies,
    KeyReused,
    KeyOutOfOrder,
    Draining,
    BrokerUnavailable,
    AuthorizerUnavailable,
    Internal,
}

impl Code {
    /// All codes in the order of the enum, for tests and documents that list them.
    pub const ALL: [Self; 28] = [
        Self::BadChannel,
        Self::BadCursor,
        Self::BadJson,
        Self::BadParameter,
        Self::BadName,
        Self::BadCommand,
        Self::Unauthorized,
        Self::SessionExpired,
        Self::Forbidden,
        Self::OriginRefused,
        Self::HostRefused,
        Self::NotOpen,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UpgradeMissing,
        Self::UnsupportedEncoding,
        Self::BodyTimeout,
        Self::TooLarge,
        Self::RateLimited,
        Self::TooManyChannels,
        Self::TooManyConnections,
        Self::TooManyBodies,
        Self::KeyReused,
        Self::KeyOutOfOrder,
        Self::Draining,
        Self::BrokerUnavailable,
        Self::AuthorizerUnavailable,
        Self::Internal,
    ];

    /// Returns the HTTP status, the code as text, a title, and a hint that says what to do.
    #[must_use]
    pub const fn facts(self) -> (u16, &'static str, &'static str, &'static str) {
        FACTS[self as usize]
    }

    /// Returns the code as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.facts().1
    }

    /// Returns the bye reason with which a WebSocket, or a stream that has begun, ends because of this refusal.
    #[doc(hidden)]
    #[must_use]
    pub const fn bye(self) -> ByeReason {
        match self {
            Self::Unauthorized | Self::SessionExpired => ByeReason::Unauthorized,
            Self::Forbidden | Self::OriginRefused | Self::HostRefused | Self::NotOpen => {
                ByeReason::Forbidden
            }
            Self::TooLarge
            | Self::RateLimited
            | Self::TooManyChannels
            | Self::TooManyConnections
            | Self::TooManyBodies
            | Self::AuthorizerUnavailable => ByeReason::Limit,
            Self::Draining | Self::BrokerUnavailable | Self::Internal => ByeReason::Drain,
            _ => ByeReason::BadRequest,
        }
    }

    /// Returns whether the same request may succeed later. Such a refusal does not use up an idempotency key.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::TooManyConnections
                | Self::TooManyBodies
                | Self::Draining
                | Self::BrokerUnavailable
                | Self::AuthorizerUnavailable
                | Self::Internal
                | Self::BodyTimeout
        )
    }
}

/// The facts of each code, in the order of [`Code::ALL`]: the HTTP status, the code as text, a title, and a hint that
/// says what to do.
const FACTS: [(u16, &str, &str, &str); 28] = [
    (
        400,
        "bad_channel",
        "Invalid channel name",
        "Use 1 to 128 bytes of UTF-8 without control characters. Separate names by commas, and percent-encode special characters.",
    ),
    (
        400,
        "bad_cursor",
        "Invalid start",
        "`since` accepts `now`, `all`, `last:20`, a duration such as `10m`, or an id from this hub.",
    ),
    (
        400,
        "bad_json",
        "Invalid JSON",
        "Send one valid JSON value in UTF-8. For plain text use Content-Type: text/plain.",
    ),
    (
        400,
        "bad_parameter",
        "Invalid parameter",
        "See the table of parameters in docs/protocol.md.",
    ),
    (
        400,
        "bad_name",
        "Invalid event name",
        "Use up to 128 bytes without control characters. `open`, `error` and names that begin with `$` are reserved.",
    ),
    (
        400,
        "bad_command",
        "Invalid command",
        "Send a JSON object whose `type` is publish, subscribe, unsubscribe, presence, history, ping or leave.",
    ),
    (
        401,
        "unauthorized",
        "Credentials required",
        "Send a valid token as Authorization: Bearer TOKEN, or as the subprotocol triway.bearer.TOKEN.",
    ),
    (
        401,
        "session_expired",
        "Session expired",
        "Open a reader again. Its hello has a new session key.",
    ),
    (
        403,
        "forbidden",
        "Not allowed by the credentials",
        "Use credentials that allow this on the channel.",
    ),
    (
        403,
        "origin_refused",
        "Origin not allowed",
        "Start the hub with --origin and the page's origin.",
    ),
    (
        421,
        "host_refused",
        "Unknown Host",
        "Start the hub with --host and this name, or with --origin and the page's origin. Behind a trusted proxy use --host '*'.",
    ),
    (
        403,
        "not_open",
        "The hub is open to this machine only",
        "Configure credentials (docs/auth.md), or start the hub with --open if everyone who reaches the proxy may read and write. Name a proxy of your own with --trusted-proxy.",
    ),
    (
        404,
        "not_found",
        "No such address",
        "See docs/protocol.md for the addresses: /pub, /ws, /sse, /poll, /history, /presence and /send.",
    ),
    (
        405,
        "method_not_allowed",
        "Method not allowed for this address",
        "Use a method that the Allow header lists.",
    ),
    (
        426,
        "upgrade_missing",
        "The Upgrade header is missing",
        "A proxy on the way may have removed it. For nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; or use /sse or /poll.",
    ),
    (
        415,
        "unsupported_encoding",
        "Content-Encoding not supported",
        "Send the body uncompressed, without Content-Encoding.",
    ),
    (
        408,
        "body_timeout",
        "The body arrived too slowly",
        "Send the whole body within the time limit, or raise --body-timeout.",
    ),
    (
        413,
        "too_large",
        "Too large",
        "Send less at once, or raise --max-data.",
    ),
    (
        429,
        "rate_limited",
        "Too many publishes",
        "Wait for the time in Retry-After, or raise --publish-rate.",
    ),
    (
        403,
        "too_many_channels",
        "Too many channels",
        "Read fewer channels, or raise --session-channels or --hub-channels.",
    ),
    (
        503,
        "too_many_connections",
        "Too many connections",
        "Try again after Retry-After, or raise --connections or --address-connections.",
    ),
    (
        503,
        "too_many_bodies",
        "Too many request bodies in flight",
        "Try again after Retry-After, or raise --bodies-total.",
    ),
    (
        409,
        "key_reused",
        "The idempotency key belongs to another publish",
        "A key belongs to one channel, name and body. Use a new key for a new event.",
    ),
    (
        409,
        "key_out_of_order",
        "A numbered key is missing before this one",
        "Send the key with the number in `expected` first.",
    ),
    (
        503,
        "draining",
        "The hub is shutting down",
        "Reconnect with the same cursor after Retry-After.",
    ),
    (
        503,
        "broker_unavailable",
        "The broker cannot be reached",
        "Try again after Retry-After with the same key.",
    ),
    (
        503,
        "authorizer_unavailable",
        "Credentials cannot be judged now",
        "Try again after Retry-After. Check that the authorizer, or the address of the JWK set, answers.",
    ),
    (
        500,
        "internal",
        "Internal error",
        "Report it with the request_id. It is safe to try again with the same key.",
    ),
];

/// A refusal: its code, a detail, and fields that only some codes have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// What exactly was wrong, in one sentence.
    pub detail: Cow<'static, str>,
    /// Seconds after which the client may retry, if the refusal is temporary.
    pub retry_after_s: Option<u64>,
    /// The sequence number that was expected, for `key_out_of_order`.
    pub(crate) expected: Option<u64>,
    /// The nonce of the request.
    pub(crate) nonce: Option<Box<str>>,
    /// Where the request carried a credential, for the codes that are about one.
    pub(crate) credential: Option<CredentialPlace>,
    /// All channels of a request that names several, if none of them is opened.
    pub(crate) refused: Option<Arc<[RefusedChannel]>>,
}

impl Refusal {
    /// Returns a refusal with this code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_s = matches!(
            code,
            Code::RateLimited
                | Code::TooManyConnections
                | Code::Draining
                | Code::BrokerUnavailable
                | Code::AuthorizerUnavailable
        )
        .then_some(1);
        Self {
            code,
            detail: detail.into(),
            retry_after_s,
            expected: None,
            nonce: None,
            credential: None,
            refused: None,
        }
    }

    /// Returns the same refusal as the answer to a request with this nonce and with its credential at this place. The
    /// refusals of single channels repeat both.
    #[must_use]
    pub(crate) fn answering(
        mut self,
        nonce: Option<Box<str>>,
        credential: Option<CredentialPlace>,
    ) -> Self {
        if let Some(refused) = &self.refused {
            let answering =
                |refused: &RefusedChannel| refused.answering(nonce.as_deref(), credential);
            self.refused = Some(refused.iter().map(answering).collect());
        }
        let is_about_credentials = matches!(
            self.code,
            Code::Unauthorized | Code::SessionExpired | Code::Forbidden
        );
        self.nonce = nonce;
        self.credential = credential.filter(|_| is_about_credentials);
        self
    }

    /// Returns a temporary refusal. The client may retry after `retry_after_s` seconds.
    #[must_use]
    pub fn passing(code: Code, detail: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(code, detail)
        }
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        self.code.is_passing() || self.retry_after_s.is_some()
    }

    /// Returns the HTTP status: that of the code, or 503 if `too_many_channels` is temporary.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match (self.code, self.retry_after_s) {
            (Code::TooManyChannels, Some(_)) => 503,
            (code, _) => code.facts().0,
        }
    }

    /// Returns the bye reason with which an attachment ends because of this refusal.
    #[must_use]
    pub(crate) const fn bye(&self) -> ByeReason {
        match (self.code.bye(), self.retry_after_s) {
            (ByeReason::Limit, Some(_)) => ByeReason::Busy,
            (reason, _) => reason,
        }
    }

    /// Returns a `bad_channel` refusal.
    #[must_use]
    pub(crate) fn bad_channel(detail: &'static str) -> Self {
        Self::new(Code::BadChannel, detail)
    }

    /// Returns a `bad_json` refusal.
    #[must_use]
    pub(crate) fn bad_json(error: &serde_json::Error) -> Self {
        Self::new(Code::BadJson, error.to_string())
    }

    /// Returns a `bad_name` refusal.
    #[must_use]
    pub(crate) fn bad_name(detail: &'static str) -> Self {
        Self::new(Code::BadName, detail)
    }

    /// Returns a `bad_parameter` refusal.
    #[must_use]
    pub(crate) fn bad_parameter(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadParameter, detail)
    }

    /// Returns the refusal as RFC 9457 JSON, with the id of the request if it has one.
    #[must_use]
    pub(crate) fn to_json(&self, request_id: Option<&str>) -> String {
        to_json(&Problem {
            request_id: request_id.map(Cow::from),
            ..Problem::from(self)
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_stable_text_with_a_hint() {
        let mut seen = std::collections::HashSet::new();
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "the list is in the order of the enum");
            let (status, text, title, hint) = code.facts();
            assert!((400..600).contains(&status), "{text}");
            assert!(seen.insert(text), "{text} twice");
            assert!(
                text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{text}"
            );
            assert!(!title.is_empty() && hint.ends_with('.'), "{text}");
        }
    }
}
