//! Request lines, headers and bodies that no honest client sends, and request smuggling.

use super::super::exact_bytes::post;
use super::{Case, Expect, case};

fn with_header(line: &str) -> Vec<u8> {
    format!("GET /presence/a HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n").into_bytes()
}

fn with_body(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /pub/a HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n{body}").into_bytes()
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = lines();
    all.extend(headers());
    all.extend(lengths());
    all.extend(chunks());
    all.extend(smuggling());
    all.extend(methods());
    all
}

/// First lines that are not request lines.
const LINES: &[&str] = &[
    "GET",
    "GET /",
    "GET / \r\n\r\n",
    "GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\0\0\0\0\r\n\r\n",
    "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "GET /healthz HTTP/1.1 x\r\nHost: localhost\r\n\r\n",
    "GET /healthz FTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "G\u{1}T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    " GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET\t/\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "SSH-2.0-OpenSSH_9.9\r\n",
    "EHLO mail.example\r\n",
    "{\"type\":\"ping\"}\n\n",
    "<html>\r\n\r\n",
    "*1\r\n$4\r\nPING\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];

/// Returns the cases of request lines.
fn lines() -> Vec<Case> {
    let long = "a".repeat(200_000);
    let mut all: Vec<Case> = LINES
        .iter()
        .map(|text| case(format!("line {text:?}"), *text, Expect::NoHttp))
        .collect();
    all.push(case(
        "a TLS greeting",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(4),
        Expect::NoHttp,
    ));
    all.push(case(
        "bytes",
        (0..=255_u8).cycle().take(100_000).collect::<Vec<_>>(),
        Expect::NoHttp,
    ));
    all.push(case("zeros", vec![0; 1_000_000], Expect::NoHttp));
    all.push(case("line ends", b"\r\n".repeat(100_000), Expect::NoHttp));
    all.push(case(
        "a long method",
        format!("{long} / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Expect::NoHttp,
    ));
    all.push(case(
        "a long address",
        format!("GET /poll/{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Expect::NoHttp,
    ));
    all.push(case(
        "a head without end",
        format!("GET / HTTP/1.1\r\nX: {long}"),
        Expect::NoHttp,
    ));
    all.push(case(
        "a star",
        "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Expect::NoHttp,
    ));
    all.push(case(
        "an authority",
        "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Expect::NoHttp,
    ));
    all.push(case(
        "another scheme",
        "GET gopher://localhost/1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Expect::NoHttp,
    ));
    all.push(case("HTTP/0.9", "GET /healthz\r\n\r\n", Expect::NoHttp));
    all
}

/// Headers that are malformed or contradictory.
const WRONG_HEADERS: &[&str] = &[
    "no colon here",
    "Space : before",
    ": no name",
    "Na me: x",
    "Na\0me: x",
    "Name: a\0b",
    "Name: a\rb",
    "N\u{e9}: x",
    "X: 1\r\n folded: 2",
    "Host: attacker.example",
    "Host: localhost\r\nHost: localhost",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, gzip",
    "Content-Length: -1",
    "Content-Length: +1",
    "Content-Length: 0x1",
    "Content-Length: 1 1",
    "Content-Length: 1, 2",
    "Content-Length: \u{661}",
    "Content-Length: 18446744073709551616",
    "Content-Length: 99999999999999999999999999",
    "Content-Length: 1\r\nContent-Length: 2",
];

/// Headers that are unusual, and which the hub ignores.
const STRANGE_HEADERS: &[&str] = &[
    "X: ",
    "X:y",
    "X: \u{e9}",
    "X:\t tab \t",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    "Upgrade: TLS/1.0\r\nConnection: Upgrade",
    "Connection: close, close",
    "Range: bytes=0-18446744073709551615",
    "Expect: 100-continue",
    "If-None-Match: \"\", W/\"x\", *",
    "Accept-Encoding: gzip;q=nan",
    "Cookie: a=b; c",
    "Last-Event-ID: \u{1f600}",
    "X-Forwarded-For: 1.2.3.4, ::1, unknown, [",
    "Forwarded: for=\"[::1\"",
    "Priority: u=9",
];

/// Returns the cases of header fields.
fn headers() -> Vec<Case> {
    let mut all: Vec<Case> = WRONG_HEADERS
        .iter()
        .map(|line| {
            case(
                format!("header {line:?}"),
                with_header(line),
                Expect::NoHttp,
            )
        })
        .collect();
    all.extend(STRANGE_HEADERS.iter().map(|line| {
        case(
            format!("header {line:?}"),
            with_header(line),
            Expect::Served,
        )
    }));
    let many: String = (0..1_000)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    all.push(case(
        "a thousand headers",
        with_header(many.trim_end()),
        Expect::NoHttp,
    ));
    all.push(case(
        "a large header",
        with_header(&format!("X: {}", "y".repeat(100_000))),
        Expect::NoHttp,
    ));
    all.push(case(
        "a large Host",
        "GET / HTTP/1.1\r\nHost: ".to_owned() + &"h".repeat(50_000) + "\r\n\r\n",
        Expect::Refused(421, "host_refused"),
    ));
    all.push(case(
        "a Host of bytes",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n".to_vec(),
        Expect::Refused(421, "host_refused"),
    ));
    all.push(case(
        "a strange Origin",
        with_header("Origin: \u{e9}://x"),
        Expect::Refused(403, "origin_refused"),
    ));
    all.push(case(
        "a large Origin",
        with_header(&format!("Origin: https://{}", "o".repeat(50_000))),
        Expect::Refused(403, "origin_refused"),
    ));
    all
}

/// Returns the cases of wrong body lengths.
fn lengths() -> Vec<Case> {
    vec![
        case(
            "a body that never comes",
            with_body("Content-Length: 10", ""),
            Expect::Refused(408, "body_timeout"),
        ),
        case(
            "half a body",
            with_body("Content-Length: 10", "half"),
            Expect::Refused(408, "body_timeout"),
        ),
        case(
            "an absurd length",
            with_body("Content-Length: 18446744073709551615", "x"),
            Expect::Clear,
        ),
        case(
            "a terabyte",
            with_body("Content-Length: 1099511627776", "x"),
            Expect::Refused(413, "too_large"),
        ),
        case(
            "no length at all",
            with_body("X: y", "ignored"),
            Expect::Clear,
        ),
        case(
            "a large body",
            post("/pub/a", &[], &vec![b'x'; 3_000_000]),
            Expect::Refused(413, "too_large"),
        ),
        case(
            "a large opening",
            post("/poll", &[], &vec![b' '; 3_000_000]),
            Expect::Refused(413, "too_large"),
        ),
        case(
            "large commands",
            post("/send", &[], &vec![b' '; 3_000_000]),
            Expect::Refused(413, "too_large"),
        ),
        case(
            "a body that is not text",
            post("/pub/a", &[("Content-Type", "text/plain")], b"\xff\xfe"),
            Expect::Refused(400, "bad_parameter"),
        ),
        case(
            "a body on a GET",
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            Expect::Served,
        ),
    ]
}

/// Invalid chunked bodies.
const WRONG_CHUNKS: &[&str] = &[
    "zz\r\nx\r\n0\r\n\r\n",
    "-1\r\nx\r\n0\r\n\r\n",
    "+1\r\nx\r\n0\r\n\r\n",
    "0x1\r\nx\r\n0\r\n\r\n",
    "1\r\nxx\r\n0\r\n\r\n",
    "1\nx\n0\n\n",
    "\r\n\r\n",
    "10000000000000000\r\nx",
    "ffffffffffffffffffff\r\nx",
    "1\r\nx\r\n0\r\nX\0: y\r\n\r\n",
    ";\r\nx\r\n0\r\n\r\n",
    "1 1\r\nx\r\n0\r\n\r\n",
];

/// Chunked bodies that are unusual but valid.
const STRANGE_CHUNKS: &[&str] = &[
    "1\r\nx\r\n0\r\n\r\n",
    "0001\r\nx\r\n0\r\n\r\n",
    "1;a=b\r\nx\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n0\r\nTrailer: y\r\n\r\n",
];

/// Returns the cases of chunked bodies.
fn chunks() -> Vec<Case> {
    let head = "Transfer-Encoding: chunked";
    let mut all: Vec<Case> = WRONG_CHUNKS
        .iter()
        .map(|body| {
            case(
                format!("chunks {body:?}"),
                with_body(head, body),
                Expect::NoHttp,
            )
        })
        .collect();
    all.extend(STRANGE_CHUNKS.iter().map(|body| {
        case(
            format!("chunks {body:?}"),
            with_body(head, body),
            Expect::Served,
        )
    }));
    all.push(case(
        "no last chunk",
        with_body(head, "1\r\nx\r\n"),
        Expect::Refused(408, "body_timeout"),
    ));
    all.push(case(
        "the largest size",
        with_body(head, "ffffffffffffffff\r\nx"),
        Expect::Clear,
    ));
    all.push(case(
        "an endless extension",
        with_body(
            head,
            &format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(100_000)),
        ),
        Expect::NoHttp,
    ));
    // A few thousand chunks are enough: a debug build on a busy machine reads about ten thousand a second, and the time
    // limit on a body includes them.
    let chunks = |count| "8\r\nxxxxxxxx\r\n".repeat(count) + "0\r\n\r\n";
    all.push(case(
        "many small chunks",
        with_body(head, &chunks(7_500)),
        Expect::Served,
    ));
    all.push(case(
        "too many small chunks",
        with_body(head, &chunks(8_750)),
        Expect::Refused(413, "too_large"),
    ));
    let trailers: String = (0..5_000)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    all.push(case(
        "thousands of trailers",
        with_body(head, &format!("1\r\nx\r\n0\r\n{trailers}\r\n")),
        Expect::NoHttp,
    ));
    all
}

/// Returns requests with two lengths: a proxy may believe one of them, and the hub the other. If the hub serves such a
/// request at all, it must not read another request after it.
fn smuggling() -> Vec<Case> {
    let inner = "POST /pub/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    let behind = format!("0\r\n\r\n{inner}");
    let shape = |headers: &str, expect| {
        let what = format!("smuggling {headers:?}");
        case(what, with_body(headers, &behind), expect)
    };
    let refused = [
        "Transfer-Encoding: xchunked\r\nContent-Length: 4",
        "Transfer-Encoding : chunked\r\nContent-Length: 4",
        "Transfer-Encoding:\u{b}chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 4",
        "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 4",
    ];
    let closed = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ];
    let refused = refused.iter().map(|headers| shape(headers, Expect::NoHttp));
    let closed = closed.iter().map(|headers| shape(headers, Expect::Closed));
    refused.chain(closed).collect()
}

/// Returns the cases of methods.
fn methods() -> Vec<Case> {
    let mut all = Vec::new();
    for method in [
        "TRACE", "PROPFIND", "PUT", "DELETE", "PATCH", "BREW", "get", "GETT",
    ] {
        for target in ["/pub/a", "/sse/a", "/history/a"] {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            all.push(case(
                format!("{method} {target}"),
                request,
                Expect::Refused(405, "method_not_allowed"),
            ));
        }
    }
    all.push(case(
        "CONNECT",
        "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Expect::NoHttp,
    ));
    all.push(case(
        "OPTIONS *",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        Expect::Clear,
    ));
    all
}
