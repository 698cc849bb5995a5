//! An application that judges cookies and tokens over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::support::{Program, Via};

/// Answers a question: returns a status and a body, or `None` to stay silent.
type Judge = Arc<dyn Fn(&Value) -> Option<(u16, String)> + Send + Sync>;

/// An app with an authorizer.
struct App {
    url: String,
    questions: Arc<Mutex<Vec<Value>>>,
}

impl App {
    async fn start(judge: Judge) -> Self {
        let questions: Arc<Mutex<Vec<Value>>> = Arc::default();
        let asked = questions.clone();
        let respond = move |body: Bytes| {
            let (judge, asked) = (judge.clone(), asked.clone());
            async move {
                let question: Value = serde_json::from_slice(&body).unwrap();
                asked.lock().push(question.clone());
                let Some((status, text)) = judge(&question) else {
                    return std::future::pending().await;
                };
                Response::builder()
                    .status(status)
                    .header("location", "/elsewhere")
                    .body(Body::from(text))
                    .unwrap()
            }
        };
        let app = Router::new().route("/authorize", post(respond));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/authorize", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, questions }
    }

    async fn hub(&self) -> Program {
        Program::start(&["--authorize-url", &self.url, "--authorize-cookie", "sid"]).await
    }

    fn count(&self) -> usize {
        self.questions.lock().len()
    }
}

/// Knows the cookie of ann and the token of bob.
fn usual() -> Judge {
    Arc::new(|question| {
        let headers = &question["headers"];
        let user = match (
            headers["cookie"].as_str(),
            headers["authorization"].as_str(),
        ) {
            (Some("sid=anns"), _) => "ann",
            (_, Some("Bearer bobs")) => "bob",
            (Some("sid=banned"), _) => {
                return Some((403, json!({"reason": "You were banned."}).to_string()));
            }
            _ => return Some((401, json!({"reason": "Please log in."}).to_string())),
        };
        Some((
            200,
            json!({"user": user, "read": ["room/*"], "publish": ["room/1"], "info": {"of": user}})
                .to_string(),
        ))
    })
}

async fn with_cookie(wire: &Wire, cookie: &str, path: &str) -> Answer {
    wire.ask(wire.request("GET", path).header("cookie", cookie))
        .await
}

#[tokio::test]
async fn the_app_decides_by_cookie_and_by_token_and_its_reason_is_shown() {
    let app = App::start(usual()).await;
    let hub = app.hub().await;
    let wire = &hub.wire;
    let poll = "/poll/room/1?wait=0";
    let answer = with_cookie(wire, "theme=dark; sid=anns", poll).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["frames"][0]["session"]["user"], "ann");
    // Only the cookies that are named leave the hub.
    assert_eq!(app.questions.lock()[0]["headers"]["cookie"], "sid=anns");
    assert_eq!(app.questions.lock()[0]["channels"], json!(["room/1"]));
    assert_eq!(app.questions.lock()[0]["action"], "read");
    assert_eq!(
        ask_as(wire, "bobs", "POST", "/pub/room/1", "x")
            .await
            .status,
        201
    );
    assert_eq!(
        outcome(&ask_as(wire, "bobs", "POST", "/pub/room/2", "x").await),
        (403, "forbidden".into())
    );
    assert_eq!(
        outcome(&with_cookie(wire, "sid=anns", "/poll/lobby?wait=0").await),
        (403, "forbidden".into())
    );
    for (cookie, status, reason) in [
        ("sid=x", 401, "Please log in."),
        ("sid=banned", 403, "You were banned."),
    ] {
        let answer = with_cookie(wire, cookie, poll).await;
        assert_eq!(
            (answer.status, &answer.json()["detail"]),
            (status, &json!(reason))
        );
    }
    // Without a credential nobody is asked.
    let before = app.count();
    assert_eq!(wire.get(poll).await.status, 401);
    assert_eq!(with_cookie(wire, "theme=dark", poll).await.status, 401);
    assert_eq!(app.count(), before);
}

#[tokio::test]
async fn equal_questions_are_asked_once_and_different_ones_each() {
    let app = App::start(usual()).await;
    let hub = app.hub().await;
    let asks = (0..50).map(|_| with_cookie(&hub.wire, "sid=anns", "/history/room/1"));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(app.count(), 1);
    for (cookie, path) in [
        ("sid=anns", "/history/room/2"),
        ("sid=other", "/history/room/1"),
    ] {
        let before = app.count();
        with_cookie(&hub.wire, cookie, path).await;
        assert_eq!(app.count(), before + 1, "{cookie} {path}");
    }
    let request = hub
        .wire
        .request("GET", "/history/room/1")
        .header("cookie", "sid=anns");
    hub.wire.ask(request.bearer_auth("bobs")).await;
    let last = app.questions.lock().last().unwrap().clone();
    assert_eq!(last["headers"]["authorization"], "Bearer bobs");
}

#[tokio::test]
async fn no_answer_is_neither_yes_nor_no() {
    for (status, body) in [
        (500, "{}"),
        (302, ""),
        (204, ""),
        (404, "<html>"),
        (200, "<html>"),
        (200, "{}"),
        (200, "[]"),
        (200, r#"{"user":7}"#),
        (200, r#"{"usr":"ann","read":["room/*"]}"#),
        (
            200,
            r#"{"user":"ann","read":["room/*"],"expires":1800000000000}"#,
        ),
        (200, r#"{"user":"ann","read":["a*b"]}"#),
        (200, r#"{"user":"ann","read":"room/*"}"#),
        (0, ""),
    ] {
        let answers = (status > 0).then(|| (status, body.to_owned()));
        let app = App::start(Arc::new(move |_| answers.clone())).await;
        let hub = app.hub().await;
        let began = Instant::now();
        let answer = with_cookie(&hub.wire, "sid=anns", "/poll/room/1?wait=0").await;
        assert_eq!(
            outcome(&answer),
            (503, "authorizer_unavailable".into()),
            "{status} {body}"
        );
        assert!(!answer.header("retry-after").is_empty());
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(hub.wire.get("/healthz").await.status, 200);
        hub.kill_9().await;
    }
}

#[tokio::test]
async fn an_answer_is_kept_until_it_expires_and_a_refusal_for_a_second() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let app = App::start(Arc::new(move |question| {
        count.fetch_add(1, Ordering::SeqCst);
        if question["headers"]["cookie"] == "sid=late" && count.load(Ordering::SeqCst) < 3 {
            return Some((401, "{}".into()));
        }
        Some((
            200,
            json!({"user": "ann", "read": ["room/*"], "expires": now_s() + 2}).to_string(),
        ))
    }))
    .await;
    let hub = app.hub().await;
    // A login that comes a moment after the first look.
    crate::support::until("the login counts", async || {
        with_cookie(&hub.wire, "sid=late", "/history/room/1")
            .await
            .status
            == 200
    })
    .await;
    assert_eq!(
        asked.load(Ordering::SeqCst),
        3,
        "each refusal was kept for a second"
    );
    let began = Instant::now();
    crate::support::until("the answer expires", async || {
        with_cookie(&hub.wire, "sid=late", "/history/room/1").await;
        asked.load(Ordering::SeqCst) > 3
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_page_with_a_cookie_reads_over_every_transport() {
    let app = App::start(usual()).await;
    let hub = app.hub().await;
    // A session made by the cookie opens what cannot send one.
    let request = hub
        .wire
        .request("POST", "/session")
        .header("cookie", "sid=anns");
    let session = hub.wire.ask(request).await.json();
    for via in Via::ALL {
        let ask = Ask::of(["room/1"])
            .session(session["key"].as_str().unwrap())
            .with("presence", 1);
        let mut reader = hub.wire.open(via, &ask).await;
        assert_eq!(reader.expect_type("hello").await["session"]["user"], "ann");
        let members = with_cookie(&hub.wire, "sid=anns", "/presence/room/1")
            .await
            .json();
        assert_eq!(
            members["members"][0]["info"],
            json!({"of": "ann"}),
            "{via:?} {members}"
        );
    }
}
