//! No secret in a log, a metric, a refusal or the list of processes, whatever a request does.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::cli::{Hub, triway};

/// An app that knows nobody.
async fn authorizer() -> String {
    let app = Router::new().route(
        "/",
        post(|| async { (axum::http::StatusCode::UNAUTHORIZED, "{}") }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// The folder of the files of these hubs.
fn path(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secrets");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name).to_str().unwrap().to_owned()
}

/// The secret of session keys.
const SESSION_SECRET: &str = "the secret of session keys";
/// Credentials that nobody knows.
const UNKNOWN_KEY: &str = "twk_unknown-key-of-a-back-end";
const OPAQUE: &str = "opaque-token-of-the-app";
const COOKIE: &str = "cookie-of-the-app";

/// Starts a hub with every source of credentials, whose log is at trace level. Returns an API key, too.
async fn logging() -> (Hub, String) {
    let _ = std::fs::remove_file(path("keys.toml"));
    let make = ["key", "new", "a", "--scope", "publish,read,admin"];
    let made = triway()
        .args(make)
        .args(["--api-keys", &path("keys.toml")])
        .output()
        .unwrap();
    std::fs::write(path("jwt"), SECRET).unwrap();
    std::fs::write(path("session"), SESSION_SECRET).unwrap();
    let mut command = triway();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "trace",
        "--token-in-query",
        "--cookie",
        "tok",
    ]);
    command.args([
        "--api-keys",
        &path("keys.toml"),
        "--jwt-secret-file",
        &path("jwt"),
    ]);
    command.args(["--secret-file", &path("session")]);
    command.args([
        "--authorize-url",
        &authorizer().await,
        "--authorize-cookie",
        "sid",
    ]);
    command.stderr(Stdio::from(File::create(path("log")).unwrap()));
    (
        Hub::of(&mut command),
        String::from_utf8(made.stdout).unwrap().trim().to_owned(),
    )
}

/// Sends a token in every way. Returns all responses.
async fn shown_with(wire: &Wire, token: &str) -> Vec<String> {
    let mut shown = Vec::new();
    for (method, path, body) in [
        ("GET", "/poll/a?wait=0", String::new()),
        ("POST", "/pub/a", "x".into()),
        (
            "POST",
            "/send",
            r#"[{"type":"publish","channel":"a","data":1},{"type":"nonsense"}]"#.into(),
        ),
        ("POST", "/session", String::new()),
        ("POST", "/session", json!({"token": token}).to_string()),
        (
            "POST",
            "/poll",
            json!({"channels": ["a"], "wait": 0, "token": token}).to_string(),
        ),
        ("POST", "/revoke", r#"{"session":"s"}"#.into()),
        ("GET", "/history/$x", String::new()),
        ("GET", "/nonsense", String::new()),
    ] {
        shown.push(ask_as(wire, token, method, path, &body).await.text());
    }
    shown.push(
        wire.get(&format!("/poll/a?wait=0&{}", query("token", token)))
            .await
            .text(),
    );
    let cookie = format!("tok={token}; sid={COOKIE}");
    let request = wire
        .request("GET", "/poll/a?wait=0")
        .header("cookie", cookie);
    shown.push(wire.ask(request).await.text());
    for via in Via::ALL {
        drop(wire.try_open(via, &reading("a", token)).await);
    }
    shown
}

#[tokio::test]
async fn no_secret_is_logged_at_trace_level_or_shown_anywhere() {
    let (hub, key) = logging().await;
    let wire = Wire::at(hub.authority().parse().unwrap());
    let good = token_of("ann", &["*"]);
    let wrong = good.replace('.', ".x");
    let session = session_key(&wire, &good).await;
    let mut shown = Vec::new();
    for token in [good.as_str(), &wrong, &key, UNKNOWN_KEY, OPAQUE] {
        shown.extend(shown_with(&wire, token).await);
    }
    for path in [
        "/poll/a?wait=0",
        "/history/a",
        "/pub/a?key=k&data=x",
        "/sse/%ff",
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        wire.get(&format!("{path}{mark}{}", query("session", &session)))
            .await;
    }
    shown.push(wire.get("/metrics").await.text());
    let arguments = format!("/proc/{}/cmdline", hub.process.0.id());
    let arguments = std::fs::read_to_string(arguments).unwrap_or_default();
    drop(hub);
    let log = std::fs::read_to_string(path("log")).unwrap();
    assert!(
        log.lines().count() > 50 && log.contains("TRACE"),
        "the log is at trace level"
    );
    let secrets = [
        &*good,
        &wrong,
        &key,
        UNKNOWN_KEY,
        OPAQUE,
        COOKIE,
        &session,
        SESSION_SECRET,
    ];
    for secret in secrets.into_iter().chain([str::from_utf8(SECRET).unwrap()]) {
        // The last part of a token is enough to tell it.
        let part = secret.rsplit('.').next().unwrap();
        for (place, text) in [("log", &log), ("arguments", &arguments)] {
            let line = text.lines().find(|line| line.contains(part));
            assert_eq!(line, None, "{secret} in the {place}");
        }
        let holds = |text: &&String| text.contains(part) && !text.contains("\"hello\"");
        let text = shown.iter().find(|text| secret != session && holds(text));
        assert_eq!(text, None, "{secret} in a response");
    }
}
