//! Keys of tokens at a URL: rotation while readers are attached, and addresses that answer nonsense.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::support::{Program, Via, until};

/// A server of key sets, whose answer can be changed.
struct KeyServer {
    url: String,
    answer: Arc<Mutex<Answers>>,
}

#[derive(Clone)]
enum Answers {
    Keys(Value),
    Text(u16, String),
    Redirect(String),
    Silence,
}

impl KeyServer {
    async fn start(answers: Answers) -> Self {
        let answer = Arc::new(Mutex::new(answers));
        let app = Router::new()
            .route("/keys", get(respond))
            .with_state(answer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, answer }
    }

    fn set(&self, answers: Answers) {
        *self.answer.lock() = answers;
    }
}

async fn respond(State(answer): State<Arc<Mutex<Answers>>>) -> Response {
    let answers = answer.lock().clone();
    let response = Response::builder();
    match answers {
        Answers::Keys(keys) => response.body(Body::from(json!({"keys": keys}).to_string())),
        Answers::Text(status, text) => response.status(status).body(Body::from(text)),
        Answers::Redirect(to) => response
            .status(302)
            .header("location", to)
            .body(Body::empty()),
        Answers::Silence => std::future::pending().await,
    }
    .unwrap()
}

/// A key pair of Ed25519 with this id: the private key, and the public one as a JWK.
fn key_pair(id: &str) -> (EncodingKey, Value) {
    let pem = include_bytes!("../../keys/ed25519.pem");
    let key = EncodingKey::from_ed_pem(pem).unwrap();
    let der = pem_body(include_str!("../../keys/ed25519.pub.pem"));
    let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    (
        key,
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id}),
    )
}

fn pem_body(pem: &str) -> Vec<u8> {
    let lines: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(lines)
        .unwrap()
}

fn signed_by(key: &EncodingKey, id: &str) -> String {
    let claims =
        json!({"sub": "ann", "iat": now_s(), "exp": now_s() + 60, "triway": {"read": ["*"]}});
    let header = Header {
        kid: Some(id.to_owned()),
        ..Header::new(Algorithm::EdDSA)
    };
    sign(&header, &claims, key).unwrap()
}

/// Starts the program with the keys at this address, and an open channel.
async fn program(url: &str) -> Program {
    let program = Program::start(&["--jwks-url", url, "--token-in-query"]).await;
    until("the program answers", async || {
        program.wire.get("/healthz").await.status == 200
    })
    .await;
    program
}

#[tokio::test]
async fn keys_rotate_while_readers_are_attached() {
    let (key, first) = key_pair("first");
    let (_, second) = key_pair("second");
    let keys = KeyServer::start(Answers::Keys(json!([first, {"kty": "new"}, null]))).await;
    let program = program(&keys.url).await;
    let wire = &program.wire;
    let old = signed_by(&key, "first");
    until("the first set was fetched", async || {
        ask_as(wire, &old, "GET", "/history/a", "").await.status == 200
    })
    .await;
    let mut readers = Vec::new();
    for via in Via::ALL {
        let mut reader = wire.open(via, &reading("a", &old)).await;
        reader.expect_type("hello").await;
        readers.push(reader);
    }
    keys.set(Answers::Keys(json!([second])));
    // The set was fetched a moment ago, so the new key is "cannot tell" at first, and known within ten seconds.
    let new = signed_by(&key, "second");
    let answer = ask_as(wire, &new, "GET", "/history/a", "").await;
    assert_eq!(outcome(&answer), (503, "authorizer_unavailable".into()));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=11).contains(&wait), "{wait}");
    until("the second set was fetched", async || {
        ask_as(wire, &new, "GET", "/history/a", "").await.status == 200
    })
    .await;
    // The removed key is refused. Readers that were accepted stay until their token ends.
    let answer = ask_as(wire, &old, "GET", "/history/a", "").await;
    assert!(matches!(answer.status, 401 | 503), "{}", answer.text());
    // Each poll brings its token again.
    for reader in readers.iter_mut().filter(|reader| reader.via != Via::Poll) {
        assert!(
            tokio::time::timeout(Duration::from_millis(50), reader.frame())
                .await
                .map_or(true, |frame| frame.is_ok())
        );
    }
}

#[tokio::test]
async fn an_address_that_answers_nonsense_neither_blocks_nor_opens_the_hub() {
    let (key, good) = key_pair("good");
    let elsewhere = KeyServer::start(Answers::Keys(json!([good]))).await;
    for answers in [
        Answers::Text(500, "{}".into()),
        Answers::Text(200, "<html>".into()),
        Answers::Text(200, "[]".into()),
        Answers::Text(200, r#"{"keys":[{"kty":"RSA""#.into()),
        Answers::Text(200, "x".repeat(5_000_000)),
        Answers::Redirect(elsewhere.url.clone()),
        Answers::Silence,
    ] {
        let keys = KeyServer::start(answers).await;
        let program = program(&keys.url).await;
        let wire = &program.wire;
        let began = Instant::now();
        for token in [signed_by(&key, "good"), token_of("ann", &["*"])] {
            let answer = ask_as(wire, &token, "GET", "/history/a", "").await;
            assert_eq!(outcome(&answer), (503, "authorizer_unavailable".into()));
        }
        assert!(
            began.elapsed() < Duration::from_secs(12),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(wire.get("/healthz").await.status, 200);
        assert_eq!(
            wire.get("/history/a").await.status,
            401,
            "no credential is no"
        );
        program.kill_9().await;
    }
}

#[tokio::test]
async fn a_bad_set_keeps_the_old_one() {
    let (key, good) = key_pair("good");
    let keys = KeyServer::start(Answers::Keys(json!([good]))).await;
    let program = program(&keys.url).await;
    let wire = &program.wire;
    let known = signed_by(&key, "good");
    until("the set was fetched", async || {
        ask_as(wire, &known, "GET", "/history/a", "").await.status == 200
    })
    .await;
    keys.set(Answers::Text(200, "<html>".into()));
    let unknown = signed_by(&key, "other");
    // Past the pause between two attempts, the bad answer arrives.
    let limit = Instant::now() + Duration::from_secs(11);
    while Instant::now() < limit {
        assert_eq!(
            ask_as(wire, &known, "GET", "/history/a", "").await.status,
            200
        );
        let answer = ask_as(wire, &unknown, "GET", "/history/a", "").await;
        assert_eq!(outcome(&answer), (503, "authorizer_unavailable".into()));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
