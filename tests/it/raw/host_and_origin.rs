//! Access checks: Host against DNS rebinding, Origin against other sites' pages, and CORS for allowed origins.

use std::process::Stdio;

use super::exact_bytes::Server;
use super::refusals::{assert_common_headers, assert_refused};
use super::ws_client::{Ws, handshake};

const ADDRESSES: [&str; 9] = [
    "GET /",
    "GET /nowhere",
    "GET /metrics",
    "GET /sse/a",
    "GET /poll/a",
    "GET /ws/a",
    "GET /history/a",
    "GET /presence/a",
    "POST /pub/a",
];

fn request(line: &str, headers: &str) -> String {
    let length = if line.starts_with("POST") {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    format!("{line} HTTP/1.1\r\n{length}{headers}\r\n")
}

/// Returns the status of `GET /metrics` with these header lines.
async fn status(server: &Server, headers: &str) -> u16 {
    server.ask(request("GET /metrics", headers)).await.status
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_address() {
    let server = Server::start();
    for line in ADDRESSES {
        let answer = server
            .ask(request(line, "Host: attacker.example\r\n"))
            .await;
        let problem = assert_refused(&answer, 421, "host_refused");
        assert!(
            problem["hint"].as_str().unwrap().contains("--host"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_on_every_address() {
    let server = Server::start();
    for line in ADDRESSES {
        for origin in [
            "https://attacker.example",
            "null",
            "nonsense",
            "http://localhost.attacker.example",
        ] {
            let answer = server
                .ask(request(
                    line,
                    &format!("Host: localhost\r\nOrigin: {origin}\r\n"),
                ))
                .await;
            assert_refused(&answer, 403, "origin_refused");
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(origin),
                "the page reads why: {line}"
            );
        }
    }
}

#[tokio::test]
async fn loopback_names_pass_on_a_loopback_listener() {
    let server = Server::start();
    for host in [
        "localhost",
        "localhost:7333",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.9.8.7",
        "[::1]",
        "[::1]:80",
        "10.0.0.1",
        "[2001:db8::1]:80",
        "app.localhost",
    ] {
        assert_eq!(
            status(&server, &format!("Host: {host}\r\n")).await,
            200,
            "{host}"
        );
    }
    for host in [
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "attacker.example:127",
        "[::1].attacker.example",
        "10.0.0.1.attacker.example",
        "",
        "a@localhost.example",
    ] {
        assert_eq!(
            status(&server, &format!("Host: {host}\r\n")).await,
            421,
            "{host}"
        );
    }
    for origin in [
        "http://localhost:8080",
        "http://127.0.0.1:3000",
        "http://[::1]:9",
        "https://localhost",
    ] {
        assert_eq!(
            status(&server, &format!("Host: localhost\r\nOrigin: {origin}\r\n")).await,
            200,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_request_has_exactly_one_host() {
    let server = Server::start();
    assert_eq!(status(&server, "").await, 421, "no Host at all");
    for lines in [
        "Host: localhost\r\nHost: attacker.example\r\n",
        "Host: attacker.example\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
    ] {
        let refused = status(&server, lines).await;
        assert!(matches!(refused, 400 | 421), "{refused} for {lines:?}");
    }
    let absolute = "GET http://attacker.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_refused(&server.ask(absolute).await, 421, "host_refused");
    let absolute = "GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(server.ask(absolute).await.status, 200);
    // The hub trusts this header only from a trusted proxy.
    assert_eq!(
        status(
            &server,
            "Host: attacker.example\r\nX-Forwarded-Host: localhost\r\n"
        )
        .await,
        421
    );
}

#[tokio::test]
async fn configured_hosts_and_origins_pass_and_no_others() {
    let server = Server::with(|builder, _| {
        builder.http.hosts = vec!["rt.example.com".into(), "other.example.com:8443".into()];
        builder.http.origins = vec!["https://app.example.com".into()];
    });
    for host in [
        "rt.example.com",
        "rt.example.com:443",
        "RT.example.com",
        "other.example.com:8443",
        "app.example.com",
        "app.example.com:7333",
    ] {
        assert_eq!(
            status(&server, &format!("Host: {host}\r\n")).await,
            200,
            "{host}"
        );
    }
    for host in [
        "example.com",
        "x.rt.example.com",
        "other.example.com",
        "other.example.com:1",
        "x.app.example.com",
    ] {
        assert_eq!(
            status(&server, &format!("Host: {host}\r\n")).await,
            421,
            "{host}"
        );
    }
    for origin in [
        "https://app.example.com",
        "https://rt.example.com",
        "HTTPS://APP.example.com",
    ] {
        assert_eq!(
            status(
                &server,
                &format!("Host: rt.example.com\r\nOrigin: {origin}\r\n")
            )
            .await,
            200,
            "{origin}"
        );
    }
    for origin in [
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.attacker.example",
        "https://attacker.example",
        "null",
    ] {
        assert_eq!(
            status(
                &server,
                &format!("Host: rt.example.com\r\nOrigin: {origin}\r\n")
            )
            .await,
            403,
            "{origin}"
        );
    }
    // A browser's `Sec-Fetch-Site: same-origin` is enough, but never for the origin `null`.
    let same = "Host: rt.example.com\r\nSec-Fetch-Site: same-origin\r\nOrigin: ";
    assert_eq!(
        status(&server, &format!("{same}https://public.example\r\n")).await,
        200
    );
    assert_eq!(status(&server, &format!("{same}null\r\n")).await, 403);
    assert_eq!(status(&server, "Host: rt.example.com\r\nSec-Fetch-Site: same-site\r\nOrigin: https://public.example\r\n").await, 403);
}

#[tokio::test]
async fn a_star_for_host_allows_every_host_but_not_every_origin() {
    let server = Server::with(|builder, _| builder.http.hosts = vec!["*".into()]);
    assert_eq!(status(&server, "Host: whatever.example\r\n").await, 200);
    assert_eq!(
        status(
            &server,
            "Host: backend\r\nOrigin: https://attacker.example\r\n"
        )
        .await,
        403
    );
    assert_eq!(
        status(&server, "Host: backend\r\nOrigin: http://backend\r\n").await,
        200
    );
}

#[tokio::test]
async fn a_trusted_proxy_forwards_the_requested_host() {
    let server = Server::with(|builder, options| {
        builder.http.hosts = vec!["rt.example.com".into()];
        options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let forwarded = "Host: backend:7333\r\nX-Forwarded-Host: rt.example.com\r\n";
    assert_eq!(status(&server, forwarded).await, 200);
    assert_eq!(
        status(
            &server,
            &format!("{forwarded}Origin: https://rt.example.com\r\n")
        )
        .await,
        200
    );
    assert_eq!(status(&server, "Host: backend:7333\r\n").await, 421);
    assert_eq!(
        status(
            &server,
            "Host: rt.example.com\r\nX-Forwarded-Host: attacker.example\r\n"
        )
        .await,
        421
    );
}

#[tokio::test]
async fn http_1_0_needs_no_host_and_gets_no_chunks() {
    let server = Server::start();
    server.publish("a", "x").await;
    let bare = server.ask("GET /metrics HTTP/1.0\r\n\r\n").await;
    assert_eq!(bare.status, 200);
    for refused in [
        "GET /metrics HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.0\r\nOrigin: http://a.example\r\n\r\n",
        "GET /metrics HTTP/1.0\r\nHost: a.example\r\n\r\n",
    ] {
        assert_refused(&server.ask(refused).await, 421, "host_refused");
    }
    let answer = server
        .ask("GET /poll/a?since=all HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(
        (answer.status, answer.header("transfer-encoding")),
        (200, None)
    );
    assert_eq!(answer.json()["frames"][1]["data"], "x");
    let mut stream = server
        .send("GET /sse/a?since=all HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .await;
    let head = stream.head().await;
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    stream.until("data: x\n\n").await;
    assert_eq!(
        server
            .ask(handshake("/ws/a", "").replace("HTTP/1.1", "HTTP/1.0"))
            .await
            .status,
        426,
        "an upgrade is HTTP/1.1's"
    );
}

#[tokio::test]
async fn http_2_has_the_same_rules() {
    let server = Server::start();
    for (host, origin, expected) in [
        ("localhost", None, "200"),
        ("attacker.example", None, "421"),
        ("localhost", Some("https://attacker.example"), "403"),
        ("localhost", Some("http://localhost:3000"), "200"),
    ] {
        let mut curl = tokio::process::Command::new("curl");
        let connect = format!(
            "{host}:80:{}:{}",
            server.address.ip(),
            server.address.port()
        );
        curl.args([
            "-s",
            "--http2-prior-knowledge",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--connect-to",
            &connect,
        ]);
        if let Some(origin) = origin {
            curl.args(["-H", &format!("Origin: {origin}")]);
        }
        let output = curl
            .arg(format!("http://{host}/metrics"))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{host} {origin:?}"
        );
    }
}

#[tokio::test]
async fn a_preflight_lists_what_pages_may_send() {
    let server =
        Server::with(|builder, _| builder.http.origins = vec!["https://app.example.com".into()]);
    let preflight = |target: &str, origin: &str| {
        format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: authorization,content-type,idempotency-key,last-event-id\r\n\r\n"
        )
    };
    for target in ["/pub/a", "/sse/a", "/poll/a", "/send", "/history/a"] {
        let answer = server
            .ask(preflight(target, "https://app.example.com"))
            .await;
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example.com")
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(
            methods.contains("GET") && methods.contains("POST"),
            "{methods}"
        );
        let headers = answer.header("access-control-allow-headers").unwrap();
        for header in [
            "authorization",
            "content-type",
            "idempotency-key",
            "last-event-id",
        ] {
            assert!(headers.contains(header), "{header} in {headers}");
        }
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_common_headers(&answer);
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_can_read_answers_and_refusals() {
    let server =
        Server::with(|builder, _| builder.http.origins = vec!["https://app.example.com".into()]);
    let origin = "Host: localhost\r\nOrigin: https://app.example.com\r\n";
    for line in [
        "GET /poll/a",
        "GET /poll/a?since=x",
        "GET /ws/a",
        "GET /nowhere/x",
        "DELETE /pub/a",
    ] {
        let answer = server.ask(request(line, origin)).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example.com"),
            "{line}"
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true"),
            "{line}"
        );
        let exposed = answer
            .header("access-control-expose-headers")
            .unwrap_or_default()
            .to_ascii_lowercase();
        assert!(exposed.contains("retry-after"), "{line}: {exposed}");
    }
    let script = server.ask(request("GET /client.mjs", origin)).await;
    assert_eq!(script.status, 200);
    assert_eq!(script.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn pages_that_read_an_answer_see_its_timing() {
    let server = Server::plain(|builder, _| {
        builder.http.origins = vec!["https://app.example.com".into()];
    });
    let host = "Host: localhost\r\n";
    let origin = format!("{host}Origin: https://app.example.com\r\n");
    for (line, allowed) in [
        ("GET /poll/a", "https://app.example.com"),
        ("GET /sse/a", "https://app.example.com"),
        ("GET /history/a", "https://app.example.com"),
        ("POST /pub/a", "https://app.example.com"),
        ("GET /poll/a?since=x", "https://app.example.com"),
        ("GET /healthz", "https://app.example.com"),
        ("OPTIONS /pub/a", "https://app.example.com"),
        ("GET /client.mjs", "*"),
    ] {
        let answer = server.send(request(line, &origin)).await.head().await;
        for name in ["access-control-allow-origin", "timing-allow-origin"] {
            assert_eq!(answer.header(name), Some(allowed), "{line}");
        }
        // Without an Origin, only the files that are identical for every page carry the header.
        let answer = server.send(request(line, host)).await.head().await;
        let open = answer.header("access-control-allow-origin");
        assert_eq!(answer.header("timing-allow-origin"), open, "{line}");
    }
    let (_, socket) = Ws::open_with(&server, "/ws/a", "Origin: https://app.example.com\r\n").await;
    assert_eq!(
        socket.header("timing-allow-origin"),
        Some("https://app.example.com")
    );
}
