//! Where credentials come from: a header, a subprotocol, a body, a cookie, the query. One place reads them for all
//! paths.
//!
//! Does not check them; the authorize hook does.

use std::pin::Pin;
use std::sync::Arc;

use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::Cookie;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, SEC_WEBSOCKET_PROTOCOL};

use super::{App, RefusalResponse};
use crate::auth::Grants;
use crate::protocol::{
    AttachRequest, BodyEcho, Code, CredentialPlace, Refusal, decode_query, nonce_of_query,
};
use crate::session::Credential;

/// The subprotocol that carries a token, because a browser's WebSocket cannot set headers.
const BEARER_PROTOCOL: &str = "triway.bearer.";

/// The argument of an authorize hook: the credentials of one request.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The token, from any place in the request. It is never logged.
    pub token: Option<String>,
    /// The headers of the request.
    pub headers: HeaderMap,
}

/// An authorize hook: returns grants, `None` if the request has no credential, or a refusal.
pub type Authorize = Arc<
    dyn Fn(Credentials) -> Pin<Box<dyn Future<Output = Result<Option<Grants>, Refusal>> + Send>>
        + Send
        + Sync,
>;

impl App {
    /// Returns the grants of this request itself, apart from its session key.
    pub(super) async fn credential(
        &self,
        parts: &Parts,
        token: Option<String>,
    ) -> Result<Credential, Refusal> {
        self.check_query_token(has_token(parts.uri.query().unwrap_or_default()))?;
        self.authorized(parts, token).await
    }

    /// Refuses a token in the query if that is not allowed. URLs end up in logs and histories, so a token that is there
    /// by mistake must not go unnoticed.
    fn check_query_token(&self, has_token: bool) -> Result<(), Refusal> {
        if has_token && !self.options.token_in_query {
            return Err(Refusal::new(
                Code::Unauthorized,
                "a token in the address is not accepted here (--token-in-query)",
            ));
        }
        Ok(())
    }

    async fn authorized(
        &self,
        parts: &Parts,
        token: Option<String>,
    ) -> Result<Credential, Refusal> {
        let Some(authorize) = &self.authorize else {
            return Ok(Credential::Absent(self.options.anonymous.clone()));
        };
        let token = token.or_else(|| self.token_of(parts));
        let granted = authorize(Credentials {
            token,
            headers: parts.headers.clone(),
        })
        .await?;
        Ok(match granted {
            Some(grants) => Credential::Given(Arc::new(grants)),
            None => Credential::Absent(self.options.anonymous.clone()),
        })
    }

    /// Returns the credential of a reader's request.
    pub(super) async fn reader_credential(
        &self,
        parts: &Parts,
        attach_request: &AttachRequest,
    ) -> Result<Credential, Refusal> {
        self.check_query_token(attach_request.token_in_query)?;
        self.authorized(parts, attach_request.token.clone()).await
    }

    /// Adds the nonce of this request and the place of its credential to a refusal.
    pub(super) fn refused(&self, parts: &Parts, refusal: Refusal) -> RefusalResponse {
        let (nonce, place) = self.echo_of(parts);
        RefusalResponse(refusal.answering(nonce, place))
    }

    /// Returns the parts of this request that refusals repeat: its nonce, and the place of its credential.
    pub(super) fn echo_of(&self, parts: &Parts) -> (Option<Box<str>>, Option<CredentialPlace>) {
        let nonce = nonce_of_query(parts.uri.query().unwrap_or_default());
        (nonce, self.place_of(parts))
    }

    /// Returns the parts that refusals repeat of a request with a body. The body may state the same as the query, and
    /// takes precedence.
    pub(super) fn body_echo(
        &self,
        parts: &Parts,
        body: &BodyEcho,
    ) -> (Option<Box<str>>, Option<CredentialPlace>) {
        let query = parts.uri.query().unwrap_or_default();
        let nonce = body.nonce().or_else(|| nonce_of_query(query));
        let place = if body.has_token() {
            Some(CredentialPlace::Body)
        } else if has_token(query) {
            Some(CredentialPlace::Query)
        } else {
            self.place_of(parts)
        };
        (nonce, place)
    }

    /// Returns where a request carries its credential, in the order of precedence. A credential in the query is found
    /// even if the query is not accepted.
    fn place_of(&self, parts: &Parts) -> Option<CredentialPlace> {
        if bearer(&parts.headers).is_some() {
            Some(CredentialPlace::Header)
        } else if from_subprotocol(&parts.headers).is_some() {
            Some(CredentialPlace::Subprotocol)
        } else if self.cookie_token(&parts.headers).is_some() {
            Some(CredentialPlace::Cookie)
        } else {
            has_token(parts.uri.query().unwrap_or_default()).then_some(CredentialPlace::Query)
        }
    }

    fn token_of(&self, parts: &Parts) -> Option<String> {
        bearer(&parts.headers)
            .or_else(|| from_subprotocol(&parts.headers))
            .or_else(|| self.cookie_token(&parts.headers))
            .or_else(|| self.query_token(parts))
    }

    fn cookie_token(&self, headers: &HeaderMap) -> Option<String> {
        let name = self.options.cookie.as_deref()?;
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(Cookie::split_parse).flatten();
        pairs
            .find(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
    }

    fn query_token(&self, parts: &Parts) -> Option<String> {
        let query = parts.uri.query().filter(|_| self.options.token_in_query)?;
        decode_query(query)
            .ok()?
            .into_iter()
            .find(|(name, _)| name == "token")
            .map(|(_, value)| value.into_owned())
    }
}

fn has_token(query: &str) -> bool {
    let pairs = decode_query(query).unwrap_or_default();
    pairs.iter().any(|(name, _)| name == "token")
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

fn from_subprotocol(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let token = text
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix(BEARER_PROTOCOL))?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?).ok()
}
