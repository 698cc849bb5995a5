//! Credentials and channel rules: who may read and publish, over every transport and at every address.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod authorizer;
mod command_line;
mod key_set;
mod refusals;
mod revocation;
mod rules;
mod secrets;
mod sessions;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode as sign};
use serde_json::{Value, json};
use triway::{
    ApiKey, ApiKeys, Audience, Builder, ChannelRule, ChannelRules, JwtOptions, JwtVerifier,
    KeyHash, KeyScope, KeySet,
};

use crate::support::{Answer, Ask, End, Server, Via, Wire, encode};

/// The secret of the tokens in these tests.
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// API keys by scope.
const PUBLISHER: &str = "twk_publisher";
const READER: &str = "twk_reader";
const ADMIN: &str = "twk_admin";

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Returns a token with these claims, of the user ann and valid for a minute unless they say otherwise.
fn token(claims: &Value) -> String {
    let mut all = json!({"sub": "ann", "iat": now_s(), "exp": now_s() + 60});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    sign(&Header::default(), &all, &EncodingKey::from_secret(SECRET)).unwrap()
}

/// Returns a token of a user who may read and publish in these channels.
fn token_of(user: &str, channels: &[&str]) -> String {
    token(&json!({"sub": user, "triway": {"read": channels, "publish": channels}}))
}

fn verifier() -> Arc<JwtVerifier> {
    let keys = KeySet::from_secret(SECRET).unwrap();
    Arc::new(JwtVerifier::new(keys, JwtOptions::default()))
}

/// Returns a key for all channels, which has its text as its name.
fn api_key(text: &str, scope: KeyScope) -> ApiKey {
    ApiKey::new(text, KeyHash::of(text), &[scope], None).unwrap()
}

fn api_keys() -> ApiKeys {
    ApiKeys::new(vec![
        api_key(PUBLISHER, KeyScope::Publish),
        api_key(READER, KeyScope::Read),
        api_key(ADMIN, KeyScope::Admin),
    ])
}

/// Returns a rule for the channels of a pattern.
fn rule(pattern: &str, read: Audience, publish: Audience) -> ChannelRule {
    let mut rule = ChannelRule::new(pattern.parse().unwrap());
    (rule.read, rule.publish) = (read, publish);
    rule
}

/// A hub that accepts API keys and tokens, with these rules.
fn guarded(rules: Vec<ChannelRule>) -> Server {
    guarded_with(rules, |_| {})
}

fn guarded_with(rules: Vec<ChannelRule>, change: impl FnOnce(&mut Builder)) -> Server {
    Server::with(|builder| {
        builder.http.token_in_query = true;
        let rules = ChannelRules::new(rules).unwrap();
        let own = std::mem::take(builder);
        *builder = own
            .api_keys(api_keys())
            .jwt(verifier())
            .channel_rules(rules);
        change(builder);
    })
}

/// Sends a request with a bearer token.
async fn ask_as(wire: &Wire, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let request = wire.request(method, path).bearer_auth(token);
    wire.ask(request.body(body.to_owned())).await
}

/// Returns the status and the code of a response; the code is empty for a success.
fn outcome(answer: &Answer) -> (u16, String) {
    let code = match answer.status {
        200..300 => String::new(),
        _ => answer.json()["code"].as_str().unwrap().to_owned(),
    };
    (answer.status, code)
}

/// Returns the key of a new session for this token.
async fn session_key(wire: &Wire, token: &str) -> String {
    let answer = ask_as(wire, token, "POST", "/session", "").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["key"].as_str().unwrap().to_owned()
}

/// Returns a request of a reader with a token in its address.
fn reading(channel: &str, token: &str) -> Ask {
    Ask::of([channel]).with("token", token)
}

/// Opens a reader that the hub must refuse. Returns the code of the refusal, which a WebSocket gets in a bye.
async fn refused(wire: &Wire, via: Via, ask: &Ask) -> String {
    let problem = match wire.try_open(via, ask).await {
        Err(End::Refused(_, problem)) => problem,
        Ok(mut reader) => {
            let (frames, end) = reader.expect_end().await;
            match (frames.as_slice(), end) {
                ([], End::Refused(_, problem)) => problem,
                ([bye], _) => bye["error"].clone(),
                other => panic!("{via:?}: {other:?}"),
            }
        }
        Err(other) => panic!("{via:?}: {other:?}"),
    };
    problem["code"].as_str().unwrap().to_owned()
}

fn query(name: &str, value: &str) -> String {
    format!("{name}={}", encode(value))
}
