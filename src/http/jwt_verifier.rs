//! Verifies JWTs with keys that may be replaced at any time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::auth::Grants;
use crate::auth::jwt::{JwtError, JwtOptions, KeySet, check_jwt, is_jwt};
use crate::hub::now_ms;
use crate::protocol::Refusal;

/// Looks for newer keys, because a token names a key that is unknown. An error is the answer to the token.
type Refresh =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>> + Send + Sync>;

/// Verifies JSON Web Tokens.
pub struct JwtVerifier {
    keys: RwLock<Arc<KeySet>>,
    options: JwtOptions,
    refresh: Option<Refresh>,
}

impl JwtVerifier {
    /// Returns a verifier with these keys.
    #[must_use]
    pub fn new(keys: KeySet, options: JwtOptions) -> Self {
        Self {
            keys: RwLock::new(Arc::new(keys)),
            options,
            refresh: None,
        }
    }

    /// Calls `refresh` when a token names an unknown key. It may call [`replace_keys`](Self::replace_keys), after which the
    /// token is verified again. An error is the answer to the token.
    #[must_use]
    pub fn with_refresh<F>(mut self, refresh: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.refresh = Some(Arc::new(move || Box::pin(refresh())));
        self
    }

    /// Uses these keys from now on.
    pub fn replace_keys(&self, keys: KeySet) {
        *self.keys.write() = Arc::new(keys);
    }

    /// Reports whether a token has the form of a JWT.
    pub(super) fn is_jwt(token: &str) -> bool {
        is_jwt(token)
    }

    /// Returns the grants of a token.
    ///
    /// # Errors
    /// `unauthorized`, and the refusals of the refresh.
    pub async fn grants(&self, token: &str) -> Result<Grants, Refusal> {
        match (self.check(token), &self.refresh) {
            (Err(JwtError::UnknownKey { .. }), Some(refresh)) => {
                refresh().await?;
                Ok(self.check(token)?)
            }
            (checked, _) => Ok(checked?),
        }
    }

    fn check(&self, token: &str) -> Result<Grants, JwtError> {
        let keys = self.keys.read().clone();
        check_jwt(token, &keys, &self.options, now_ms() / 1_000)
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtVerifier")
    }
}
