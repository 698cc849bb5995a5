//! Turns the credentials of a request into grants. The form of a credential decides who judges it.
//!
//! A credential that is refused by its judge is never passed on to another one. This file does not know where a request
//! carries a credential.

use std::pin::Pin;
use std::sync::Arc;

use hyper::header::HeaderMap;

#[cfg(feature = "jwt")]
use super::jwt_verifier::JwtVerifier;
use crate::auth::{ApiKeys, Grants};
use crate::hub::now_ms;
use crate::protocol::{ChannelName, Code, CredentialPlace, Refusal};
use crate::session::Action;

/// The argument of an authorize hook: the credentials of one request.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The token, from any place in the request. It is never logged.
    pub token: Option<String>,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// What the client wants to do.
    pub action: Action,
    /// The channels of the request. Empty for a request of several commands, and for one that only begins a session.
    pub channels: Vec<ChannelName>,
}

/// What a request wants to do, where its credentials are judged.
#[derive(Clone, Debug)]
pub(super) struct Purpose {
    pub(super) action: Action,
    pub(super) channels: Vec<ChannelName>,
}

/// An authorize hook: returns grants, `None` if the request has no credential, or a refusal.
pub(crate) type Authorize = Arc<
    dyn Fn(Credentials) -> Pin<Box<dyn Future<Output = Result<Option<Grants>, Refusal>> + Send>>
        + Send
        + Sync,
>;

/// A token of a request, and where it was found.
pub(super) type Token = (CredentialPlace, String);

/// The judges of credentials. Without any, a hub judges nobody.
#[derive(Clone, Default)]
pub(crate) struct Authenticator {
    pub(crate) api_keys: Option<ApiKeys>,
    #[cfg(feature = "jwt")]
    pub(crate) jwt: Option<Arc<JwtVerifier>>,
    pub(crate) hook: Option<Authorize>,
}

impl Authenticator {
    /// Reports whether credentials are judged at all.
    pub(crate) fn is_set(&self) -> bool {
        #[cfg(feature = "jwt")]
        let has_jwt = self.jwt.is_some();
        #[cfg(not(feature = "jwt"))]
        let has_jwt = false;
        has_jwt || self.api_keys.is_some() || self.hook.is_some()
    }

    /// Returns the grants of a request with these tokens, or `None` if it has no credential.
    ///
    /// # Errors
    /// `unauthorized` for a token that is refused; `bad_parameter` for tokens of different users; the refusals of the
    /// hook.
    pub(super) async fn grants(
        &self,
        tokens: Vec<Token>,
        headers: &HeaderMap,
        purpose: &Purpose,
    ) -> Result<Option<Grants>, Refusal> {
        if tokens.is_empty() {
            return self.ask(None, headers, purpose).await;
        }
        let mut found: Option<(CredentialPlace, Grants)> = None;
        for (place, token) in tokens {
            let Some(grants) = self.judge(token, headers, purpose).await? else {
                continue;
            };
            match &found {
                None => found = Some((place, grants)),
                Some((first, its)) if !its.is_of_same_client(&grants) => {
                    let detail = format!("credentials of different users: {first} and {place}");
                    return Err(Refusal::bad_parameter(detail));
                }
                Some(_) => {}
            }
        }
        Ok(found.map(|(_, grants)| grants))
    }

    /// Returns the name of an API key with the scope `admin`.
    ///
    /// # Errors
    /// `unauthorized`, and `forbidden` for a key without the scope.
    pub(super) fn admin(&self, token: &str) -> Result<String, Refusal> {
        self.api_keys.as_ref().map_or_else(
            || {
                Err(Refusal::new(
                    Code::Unauthorized,
                    "the hub has no API keys (--api-keys)",
                ))
            },
            |keys| keys.admin(token),
        )
    }

    /// Returns the grants of one token.
    async fn judge(
        &self,
        token: String,
        headers: &HeaderMap,
        purpose: &Purpose,
    ) -> Result<Option<Grants>, Refusal> {
        if let Some(keys) = &self.api_keys
            && ApiKeys::is_key(&token)
        {
            let grants = keys.grants(&token)?;
            return Ok(Some(grants.judged_at(now_ms())));
        }
        #[cfg(feature = "jwt")]
        if let Some(verifier) = &self.jwt
            && JwtVerifier::is_jwt(&token)
        {
            return verifier.grants(&token).await.map(Some);
        }
        if self.hook.is_none() {
            let detail = "the hub does not accept credentials of this form";
            return Err(Refusal::new(Code::Unauthorized, detail));
        }
        self.ask(Some(token), headers, purpose).await
    }

    async fn ask(
        &self,
        token: Option<String>,
        headers: &HeaderMap,
        purpose: &Purpose,
    ) -> Result<Option<Grants>, Refusal> {
        let Some(hook) = &self.hook else {
            return Ok(None);
        };
        let Purpose { action, channels } = purpose.clone();
        let headers = headers.clone();
        // The hook may take long. What is revoked meanwhile must include its answer.
        let asked_ms = now_ms();
        let granted = hook(Credentials {
            token,
            headers,
            action,
            channels,
        })
        .await?;
        Ok(granted.map(|grants| grants.judged_at(asked_ms)))
    }
}
