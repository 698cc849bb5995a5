//! The HTTP authorizer: an application's own address that says who a client is, by its cookie or its token.
//!
//! Equal questions are asked once, and an answer is kept until it expires. That nothing was answered is neither yes nor
//! no.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cookie::Cookie;
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderMap, ORIGIN};
use moka::Expiry;
use moka::future::Cache;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::capped::{Body, body_of};
use crate::auth::{Grants, Reach};
use crate::http::Credentials;
use crate::hub::now_ms;
use crate::protocol::{Code, INFO_BYTES_MAX, Refusal};

/// How long a question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// The most questions at once; others wait for their turn, as long as a question may take.
const QUESTIONS_MAX: usize = 64;
/// The longest time for which an answer is kept.
const KEPT_MAX: Duration = Duration::from_secs(300);
/// The same for a refusal: a user who has just logged in is not kept out.
const REFUSAL_KEPT: Duration = Duration::from_secs(1);
/// The most answers that are kept.
const ANSWERS_MAX: u64 = 10_000;
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The longest reason that is shown, in bytes.
const REASON_BYTES_MAX: usize = 200;
/// The pause that a client is asked for while nothing answers, in seconds.
const RETRY_AFTER_S: u64 = 2;

/// What the authorizer is asked. It is the key of the cache, so it holds everything that is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Question {
    headers: QuestionHeaders,
    channels: Vec<String>,
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct QuestionHeaders {
    cookie: Option<String>,
    authorization: Option<String>,
    origin: Option<String>,
}

/// An answer with status 200.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    user: Option<String>,
    read: Option<Vec<String>>,
    publish: Option<Vec<String>>,
    info: Option<Value>,
    /// Seconds since 1970.
    expires: Option<u64>,
}

#[derive(Deserialize)]
struct Denied {
    reason: Option<String>,
}

/// A decision, kept for a time.
#[derive(Clone, Debug)]
struct Decision {
    granted: Result<Grants, Refusal>,
    kept: Duration,
}

/// The authorizer of an application.
pub(super) struct Authorizer {
    url: Url,
    cookies: Vec<String>,
    client: Client,
    turns: Semaphore,
    answers: Cache<Question, Decision>,
}

struct KeptFor;

impl Expiry<Question, Decision> for KeptFor {
    fn expire_after_create(
        &self,
        _: &Question,
        decision: &Decision,
        _: Instant,
    ) -> Option<Duration> {
        Some(decision.kept)
    }
}

impl Authorizer {
    /// Returns the authorizer at this address. Cookies with these names are credentials.
    ///
    /// # Errors
    /// Fails if no HTTP client can be made.
    pub(super) fn new(url: Url, cookies: Vec<String>) -> anyhow::Result<Arc<Self>> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(ANSWER_LIMIT)
            .build()?;
        let answers = Cache::builder()
            .max_capacity(ANSWERS_MAX)
            .expire_after(KeptFor)
            .build();
        Ok(Arc::new(Self {
            url,
            cookies,
            client,
            turns: Semaphore::new(QUESTIONS_MAX),
            answers,
        }))
    }

    /// Returns the grants of a request, or `None` if it brings no credential.
    ///
    /// # Errors
    /// `unauthorized` and `forbidden` as the authorizer decides; `authorizer_unavailable` if it does not.
    pub(super) async fn grants(&self, asked: Credentials) -> Result<Option<Grants>, Refusal> {
        let Some(question) = self.question(asked) else {
            return Ok(None);
        };
        let decided = self
            .answers
            .try_get_with_by_ref(&question, self.ask(&question));
        let decision = decided.await.map_err(|refusal| Refusal::clone(&refusal))?;
        decision.granted.map(Some)
    }

    fn question(&self, asked: Credentials) -> Option<Question> {
        let cookie = self.cookies_of(&asked.headers);
        let authorization = asked.token.map(|token| format!("Bearer {token}"));
        if cookie.is_none() && authorization.is_none() {
            return None;
        }
        let origin = asked
            .headers
            .get(ORIGIN)
            .and_then(|origin| origin.to_str().ok());
        Some(Question {
            headers: QuestionHeaders {
                cookie,
                authorization,
                origin: origin.map(str::to_owned),
            },
            channels: asked.channels.iter().map(ToString::to_string).collect(),
            action: asked.action.as_str(),
        })
    }

    /// Returns the cookies that are credentials, as a header. Others are not sent on.
    fn cookies_of(&self, headers: &HeaderMap) -> Option<String> {
        let values = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let named: Vec<String> = values
            .flat_map(Cookie::split_parse)
            .flatten()
            .filter(|cookie| self.cookies.iter().any(|name| name == cookie.name()))
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
            .collect();
        (!named.is_empty()).then(|| named.join("; "))
    }

    async fn ask(&self, question: &Question) -> Result<Decision, Refusal> {
        // A user who is revoked meanwhile must be refused, so the answer counts from the question.
        let asked_ms = now_ms();
        let asked = async {
            let _turn = self
                .turns
                .acquire()
                .await
                .map_err(|_| "it is closed".to_owned())?;
            let body = serde_json::to_vec(question).map_err(|error| error.to_string())?;
            let request = self.client.post(self.url.clone());
            let request = request.header(CONTENT_TYPE, "application/json").body(body);
            let response = request
                .send()
                .await
                .map_err(|error| error.without_url().to_string())?;
            let status = response.status();
            match body_of(response, ANSWER_BYTES_MAX).await {
                Body::Whole(body) => decision(status, &body, asked_ms),
                Body::TooLarge => Err("the answer is larger than 1 MiB".to_owned()),
                Body::CutOff(cause) => Err(cause),
            }
        };
        let answered = tokio::time::timeout(ANSWER_LIMIT, asked).await;
        answered
            .unwrap_or_else(|_| Err("it did not answer in time".to_owned()))
            .map_err(|cause| {
                tracing::warn!(
                    host = self.url.host_str().unwrap_or_default(),
                    cause,
                    "the authorizer gave no answer"
                );
                let detail = "the authorizer gave no answer";
                Refusal::passing(Code::AuthorizerUnavailable, detail, RETRY_AFTER_S)
            })
    }
}

/// Returns what an answer decides, or why it decides nothing.
fn decision(status: StatusCode, body: &[u8], asked_ms: u64) -> Result<Decision, String> {
    let code = match status {
        StatusCode::OK => return allowed(body, asked_ms),
        StatusCode::UNAUTHORIZED => Code::Unauthorized,
        StatusCode::FORBIDDEN => Code::Forbidden,
        other => return Err(format!("the status is {other}")),
    };
    let denied: Option<Denied> = serde_json::from_slice(body).ok();
    let reason = denied.and_then(|denied| denied.reason);
    let reason = reason.map_or_else(
        || "the authorizer refused the credential".to_owned(),
        |reason| shortened(&reason),
    );
    Ok(Decision {
        granted: Err(Refusal::new(code, reason)),
        kept: REFUSAL_KEPT,
    })
}

fn shortened(reason: &str) -> String {
    let fits = reason.chars().filter(|character| !character.is_control());
    let mut bytes = 0;
    fits.take_while(|character| {
        bytes += character.len_utf8();
        bytes <= REASON_BYTES_MAX
    })
    .collect()
}

fn allowed(body: &[u8], asked_ms: u64) -> Result<Decision, String> {
    /// Beyond this, a number of seconds is a mistake, such as milliseconds.
    const LATEST_S: u64 = 100_000_000_000;
    let answer: Allowed = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is not what was expected: {error}"))?;
    if answer.user.is_none() && answer.read.is_none() && answer.publish.is_none() {
        return Err("the answer has neither `user` nor `read` nor `publish`".to_owned());
    }
    if answer.expires.is_some_and(|expires| expires > LATEST_S) {
        return Err("`expires` is no time in seconds since 1970".to_owned());
    }
    let reach = |patterns: Option<Vec<String>>| {
        Reach::of_patterns(patterns.unwrap_or_default()).map_err(|bad| bad.to_string())
    };
    let mut grants = Grants::new(reach(answer.read)?, reach(answer.publish)?);
    if let Some(user) = &answer.user {
        grants = grants
            .with_user(user)
            .map_err(|refusal| refusal.detail.into_owned())?;
    }
    let info = answer.info.map(|info| info.to_string());
    if info
        .as_ref()
        .is_some_and(|info| info.len() > INFO_BYTES_MAX)
    {
        return Err(format!("`info` is longer than {INFO_BYTES_MAX} bytes"));
    }
    grants = grants.showing(info).judged_at(asked_ms);
    let left = answer
        .expires
        .map(|expires| expires.saturating_sub(asked_ms / 1_000));
    if let Some(expires) = answer.expires {
        grants = grants.until(expires);
    }
    let kept = left.map_or(KEPT_MAX, Duration::from_secs).min(KEPT_MAX);
    Ok(Decision {
        granted: Ok(grants),
        kept,
    })
}
