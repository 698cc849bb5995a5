//! Where credentials come from: a header, a subprotocol, a body, a cookie, the query. One place reads them for all
//! paths.
//!
//! Does not judge them; the authenticator does.

use std::sync::Arc;

use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::Cookie;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, ORIGIN, SEC_WEBSOCKET_PROTOCOL};

use super::authenticator::{Purpose, Token};
use super::guard::origin_is_own;
use super::{App, RefusalResponse};
use crate::hub::now_ms;
use crate::protocol::{
    AttachRequest, BodyEcho, ChannelName, Code, CredentialPlace, Refusal, decode_query,
    nonce_of_query,
};
use crate::session::{Action, Credential};

/// The subprotocol that carries a token, because a browser's WebSocket cannot set headers.
const BEARER_PROTOCOL: &str = "triway.bearer.";

impl App {
    /// Returns the grants of this request itself, apart from its session key. `token` comes from its body.
    pub(super) async fn credential(
        &self,
        parts: &Parts,
        token: Option<String>,
        purpose: Purpose,
    ) -> Result<Credential, Refusal> {
        self.check_query_token(has_token(parts.uri.query().unwrap_or_default()))?;
        let given = token.map(|token| (CredentialPlace::Body, token));
        self.authenticate(parts, given, || purpose).await
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

    /// Returns the name of the API key with the scope `admin` that a request carries in its header.
    pub(super) fn admin(&self, parts: &Parts) -> Result<String, Refusal> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            let detail = "the request needs an API key with the scope `admin`";
            Refusal::new(Code::Unauthorized, detail)
        })?;
        self.authenticator.admin(&token)
    }

    /// Refuses a request that a page of another origin made with the cookies of its visitor. Some have no `Origin` that
    /// the guard could check, such as that of an image or a script.
    fn check_foreign_cookie(&self, parts: &Parts) -> Result<(), Refusal> {
        let headers = &parts.headers;
        let judges_cookies = self.options.cookie.is_some() || self.authenticator.hook.is_some();
        if !judges_cookies || !headers.contains_key(COOKIE) {
            return Ok(());
        }
        let is_foreign = match (headers.get(ORIGIN), headers.get("sec-fetch-site")) {
            (Some(origin), _) => !origin_is_own(self, origin, parts),
            (None, Some(site)) => site != "same-origin" && site != "none",
            (None, None) => false,
        };
        if is_foreign {
            let detail = "a page of another origin sent the cookies of its visitor";
            return Err(Refusal::new(Code::OriginRefused, detail));
        }
        Ok(())
    }

    async fn authenticate(
        &self,
        parts: &Parts,
        given: Option<Token>,
        purpose: impl FnOnce() -> Purpose,
    ) -> Result<Credential, Refusal> {
        let absent = || Credential::Absent(self.options.anonymous.clone());
        if !self.authenticator.is_set() {
            return Ok(absent());
        }
        self.check_foreign_cookie(parts)?;
        let tokens = self.tokens(parts, given);
        let granted = self
            .authenticator
            .grants(tokens, &parts.headers, &purpose())
            .await?;
        Ok(granted.map_or_else(absent, |grants| {
            let grants = grants.by_credential().presented_at(now_ms() / 1_000);
            Credential::Given(Arc::new(grants))
        }))
    }

    /// Returns the credential of a reader's request.
    pub(super) async fn reader_credential(
        &self,
        parts: &Parts,
        attach_request: &AttachRequest,
    ) -> Result<Credential, Refusal> {
        self.check_query_token(attach_request.token_in_query)?;
        let place = match attach_request.token_in_query {
            true => CredentialPlace::Query,
            false => CredentialPlace::Body,
        };
        let given = attach_request.token.clone().map(|token| (place, token));
        let purpose = || Purpose {
            action: Action::Read,
            channels: names_of(attach_request),
        };
        self.authenticate(parts, given, purpose).await
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

    /// Returns the different tokens of a request, in the order of precedence.
    fn tokens(&self, parts: &Parts, given: Option<Token>) -> Vec<Token> {
        let headers = &parts.headers;
        let found = [
            given,
            bearer(headers).map(|token| (CredentialPlace::Header, token)),
            from_subprotocol(headers).map(|token| (CredentialPlace::Subprotocol, token)),
            self.cookie_token(headers)
                .map(|token| (CredentialPlace::Cookie, token)),
            self.query_token(parts)
                .map(|token| (CredentialPlace::Query, token)),
        ];
        let mut tokens: Vec<Token> = Vec::new();
        for (place, token) in found.into_iter().flatten() {
            if tokens.iter().all(|(_, other)| *other != token) {
                tokens.push((place, token));
            }
        }
        tokens
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

fn names_of(attach_request: &AttachRequest) -> Vec<ChannelName> {
    let names = attach_request.channels.iter().flatten();
    names.map(|(name, _)| name.clone()).collect()
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
