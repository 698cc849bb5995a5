//! Credentials that are refused, at every address and over every transport.

use serde_json::json;
use triway::Audience::Anyone;

use super::*;
use crate::support::Program;

/// Credentials that no address accepts.
fn bad_tokens() -> Vec<String> {
    let good = token_of("ann", &["*"]);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes");
    let claims = json!({"sub": "ann", "exp": now_s() + 60});
    vec![
        format!("{message}."),
        format!("{message}.{}", &signature[1..]),
        sign(&Header::default(), &claims, &other).unwrap(),
        token(&json!({"exp": now_s() - 1})),
        token(&json!({"nbf": now_s() + 60})),
        token(&json!({"sub": 7})),
        token(&json!({"triway": {"read": ["a*b"]}})),
        "twk_unknown".into(),
        "nonsense".into(),
        "a.b.c".into(),
    ]
}

#[tokio::test]
async fn a_bad_credential_is_refused_everywhere_and_never_counts_as_none() {
    // Everything is open to anyone, so that only the credential can be refused.
    let server = guarded(vec![rule("*", Anyone, Anyone)]);
    let wire = &server.wire;
    for token in bad_tokens() {
        for (method, path, body) in [
            ("POST", "/pub/open", "x"),
            (
                "POST",
                "/send",
                r#"[{"type":"publish","channel":"open","data":1}]"#,
            ),
            ("GET", "/history/open", ""),
            ("GET", "/presence/open", ""),
            ("GET", "/poll/open?wait=0", ""),
            ("GET", "/sse/open", ""),
            ("POST", "/poll", r#"{"channels":["open"],"wait":0}"#),
            ("POST", "/session", ""),
            ("POST", "/revoke", r#"{"user":"ann"}"#),
        ] {
            let answer = ask_as(wire, &token, method, path, body).await;
            assert_eq!(
                outcome(&answer),
                (401, "unauthorized".into()),
                "{method} {path} {token}"
            );
            assert!(
                !answer.text().contains(&token),
                "a refusal does not repeat the credential"
            );
        }
        for via in Via::ALL {
            let code = refused(wire, via, &reading("open", &token)).await;
            assert_eq!(code, "unauthorized", "{via:?} {token}");
        }
        let body = json!({"channels": ["open"], "wait": 0, "token": token}).to_string();
        let answer = wire.post("/poll", "application/json", body).await;
        assert_eq!(
            outcome(&answer),
            (401, "unauthorized".into()),
            "in the body: {token}"
        );
    }
}

#[tokio::test]
async fn other_schemes_are_not_ours_and_two_users_in_one_request_are_refused() {
    let server = guarded_with(vec![rule("open", Anyone, Anyone)], |builder| {
        builder.http.cookie = Some("sid".into());
    });
    let wire = &server.wire;
    let request = wire
        .request("GET", "/poll/open?wait=0")
        .basic_auth("proxy", Some("login"));
    assert_eq!(wire.ask(request).await.status, 200);
    let (ann, bob) = (token_of("ann", &["room/*"]), token_of("bob", &["room/*"]));
    let both = |header: &str, cookie: &str| {
        let request = wire
            .request("GET", "/poll/room/1?wait=0")
            .bearer_auth(header);
        wire.ask(request.header("cookie", format!("other=1; sid={cookie}")))
    };
    assert_eq!(both(&ann, &ann).await.status, 200);
    assert_eq!(
        both(&ann, &token_of("ann", &[])).await.status,
        200,
        "the first one counts"
    );
    let answer = both(&ann, &bob).await;
    assert_eq!(outcome(&answer), (400, "bad_parameter".into()));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("header") && detail.contains("cookie"),
        "{detail}"
    );
    assert_eq!(
        outcome(&both(&ann, PUBLISHER).await),
        (400, "bad_parameter".into())
    );
    assert_eq!(
        outcome(&both(&ann, "nonsense").await),
        (401, "unauthorized".into())
    );
}

#[tokio::test]
async fn a_request_without_a_credential_may_do_nothing_where_no_rule_opens_a_channel() {
    let server = guarded(Vec::new());
    for via in Via::ALL {
        assert_eq!(
            refused(&server.wire, via, &Ask::of(["lobby"])).await,
            "unauthorized"
        );
    }
    let answer = server.wire.post("/pub/lobby", "text/plain", "x").await;
    assert_eq!(outcome(&answer), (401, "unauthorized".into()));
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert_eq!(
        outcome(&server.wire.post("/session", "", "").await),
        (401, "unauthorized".into())
    );
}

#[tokio::test]
async fn an_open_hub_on_loopback_refuses_what_a_proxy_forwards() {
    let headers = [
        ("forwarded", "for=203.0.113.7"),
        ("via", "1.1 proxy"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "example.com"),
    ];
    let secret = concat!(env!("CARGO_TARGET_TMPDIR"), "/forwarded-secret");
    std::fs::write(secret, SECRET).unwrap();
    for (flags, status) in [
        (&[][..], 403),
        (&["--open"], 200),
        (&["--trusted-proxy", "127.0.0.1", "--host", "*"], 200),
        (&["--trusted-proxy", "10.0.0.0/8"], 403),
        (&["--jwt-secret-file", secret], 401),
    ] {
        let program = Program::start(flags).await;
        let wire = &program.wire;
        for (name, value) in headers {
            for path in ["/poll/a?wait=0", "/history/a"] {
                let answer = wire
                    .ask(wire.request("GET", path).header(name, value))
                    .await;
                assert_eq!(
                    answer.status,
                    status,
                    "{flags:?} {name} {path}: {}",
                    answer.text()
                );
                if status == 403 {
                    assert_eq!(answer.json()["code"], "not_open");
                    assert!(answer.json()["hint"].as_str().unwrap().contains("--open"));
                }
            }
            let probe = wire.request("GET", "/healthz").header(name, value);
            assert_eq!(wire.ask(probe).await.status, 200);
        }
        assert_eq!(
            wire.get("/poll/a?wait=0").await.status,
            if status == 401 { 401 } else { 200 }
        );
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_use_the_cookies_of_its_visitor() {
    let server = guarded_with(Vec::new(), |builder| {
        builder.http.cookie = Some("sid".into());
        builder.http.origins = vec!["https://app.example.com".into()];
    });
    let wire = &server.wire;
    let cookie = format!("sid={}", token_of("ann", &["*"]));
    for (site, origin, status) in [
        (None, None, 200),
        (Some("same-origin"), None, 200),
        (Some("none"), None, 200),
        (Some("cross-site"), None, 403),
        (Some("same-site"), None, 403),
        (Some("cross-site"), Some("https://app.example.com"), 200),
        (None, Some("https://app.example.com"), 200),
        // Other pages of this machine may use a hub on loopback, but not with the cookies of their visitor.
        (Some("same-site"), Some("http://127.0.0.1:1"), 403),
        (Some("cross-site"), Some("http://localhost:3000"), 403),
        (None, Some("http://localhost:3000"), 403),
        (Some("cross-site"), Some("https://evil.example"), 403),
        (Some("cross-site"), Some("null"), 403),
    ] {
        for (method, path) in [
            ("GET", "/poll/a?wait=0&presence=1"),
            ("GET", "/history/a"),
            ("POST", "/pub/a"),
            ("POST", "/session"),
        ] {
            let mut request = wire.request(method, path).header("cookie", &cookie);
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let answer = wire.ask(request).await;
            let is_ok = matches!(answer.status, 200 | 201);
            assert_eq!(
                is_ok,
                status == 200,
                "{site:?} {origin:?} {path}: {}",
                answer.text()
            );
            if !is_ok {
                assert_eq!(answer.json()["code"], "origin_refused");
            }
        }
    }
}
