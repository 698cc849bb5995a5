//! The JWK set at a URL: fetched at the start, from time to time, and when a token names an unknown key.
//!
//! A set that cannot be used keeps the old one. That nothing could be looked up is never an answer to a token.

use std::sync::{Arc, Weak};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::capped::{Body, body_of};
use crate::auth::jwt::{JwtOptions, KeySet};
use crate::http::JwtVerifier;
use crate::protocol::{Code, Refusal};

/// Time between two attempts to fetch, whatever the outcome.
const ATTEMPT_EVERY: Duration = Duration::from_secs(10);
/// Time between two fetches that no token caused, so that removed keys end.
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// How long an attempt may take.
const FETCH_LIMIT: Duration = Duration::from_secs(5);
/// How long keys are used while the URL does not answer.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// The largest set, in bytes.
const SET_BYTES_MAX: usize = 1024 * 1024;

/// The keys at a URL.
struct KeySource {
    url: Url,
    client: Client,
    /// Keys of files, which are used besides those of the URL.
    own: KeySet,
    state: Mutex<FetchState>,
}

#[derive(Default)]
struct FetchState {
    attempted: Option<Instant>,
    fetched: Option<Instant>,
    /// The number of sets that were fetched.
    count: u64,
}

/// Returns a verifier whose keys come from files and from this URL.
///
/// # Errors
/// Fails if no HTTP client can be made.
pub(super) fn verifier(
    own: KeySet,
    options: JwtOptions,
    url: Url,
) -> anyhow::Result<Arc<JwtVerifier>> {
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(FETCH_LIMIT)
        .connect_timeout(FETCH_LIMIT)
        .build()?;
    let source = Arc::new(KeySource {
        url,
        client,
        own: own.clone(),
        state: Mutex::default(),
    });
    let verifier = Arc::new_cyclic(|verifier: &Weak<JwtVerifier>| {
        let (source, verifier) = (source.clone(), verifier.clone());
        JwtVerifier::new(own, options).with_refresh(move || {
            let (source, verifier) = (source.clone(), verifier.clone());
            async move { source.look_up(&verifier).await }
        })
    });
    tokio::spawn(keep_fresh(source, Arc::downgrade(&verifier)));
    Ok(verifier)
}

async fn keep_fresh(source: Arc<KeySource>, verifier: Weak<JwtVerifier>) {
    while verifier.strong_count() > 0 {
        let mut state = source.state.lock().await;
        source.fetch(&mut state, &verifier).await;
        let pause = match state.fetched {
            Some(_) => REFRESH_EVERY,
            None => ATTEMPT_EVERY,
        };
        drop(state);
        tokio::time::sleep(pause).await;
    }
}

impl KeySource {
    /// Looks for newer keys, unless that was just done.
    ///
    /// # Errors
    /// `authorizer_unavailable` if nothing could be looked up.
    async fn look_up(&self, verifier: &Weak<JwtVerifier>) -> Result<(), Refusal> {
        let asked = Instant::now();
        // Tokens that arrive during an attempt wait for it.
        let mut state = self.state.lock().await;
        if state.fetched.is_some_and(|fetched| fetched >= asked) {
            return Ok(());
        }
        let wait = state.attempted.map_or(Duration::ZERO, |attempted| {
            ATTEMPT_EVERY.saturating_sub(attempted.elapsed())
        });
        if !wait.is_zero() {
            let detail =
                "the key of the token is unknown, and the JWK set was fetched a moment ago";
            let seconds = wait.as_secs() + 1;
            return Err(Refusal::passing(
                Code::AuthorizerUnavailable,
                detail,
                seconds,
            ));
        }
        let before = state.count;
        self.fetch(&mut state, verifier).await;
        if state.count == before {
            let detail = "the key of the token is unknown, and the JWK set cannot be fetched";
            let seconds = ATTEMPT_EVERY.as_secs();
            return Err(Refusal::passing(
                Code::AuthorizerUnavailable,
                detail,
                seconds,
            ));
        }
        Ok(())
    }

    /// Makes one attempt.
    async fn fetch(&self, state: &mut FetchState, verifier: &Weak<JwtVerifier>) {
        state.attempted = Some(Instant::now());
        let Some(verifier) = verifier.upgrade() else {
            return;
        };
        match self.fetched().await {
            Ok((keys, skipped)) => {
                for key in &skipped {
                    tracing::warn!(%key, host = self.url.host_str().unwrap_or_default(), "left out a key of the JWK set");
                }
                verifier.replace_keys(self.own.clone().and(keys));
                state.fetched = state.attempted;
                state.count += 1;
            }
            Err(cause) => {
                tracing::warn!(
                    host = self.url.host_str().unwrap_or_default(),
                    cause,
                    "cannot fetch the JWK set"
                );
                if state
                    .fetched
                    .is_some_and(|fetched| fetched.elapsed() > KEPT_FOR)
                {
                    state.fetched = None;
                    verifier.replace_keys(self.own.clone());
                }
            }
        }
    }

    async fn fetched(&self) -> Result<(KeySet, Vec<crate::auth::jwt::SkippedKey>), String> {
        let request = self.client.get(self.url.clone());
        let response = request
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the status is {}", response.status()));
        }
        match body_of(response, SET_BYTES_MAX).await {
            Body::Whole(body) => KeySet::from_jwk_set(&body, false).map_err(|bad| bad.to_string()),
            Body::TooLarge => Err("the body is larger than 1 MiB".to_owned()),
            Body::CutOff(cause) => Err(cause),
        }
    }
}
