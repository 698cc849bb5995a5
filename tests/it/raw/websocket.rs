//! WebSockets according to RFC 6455: the handshake, frames of every kind, and the closing handshake of each end.

use serde_json::json;

use super::exact_bytes::Server;
use super::refusals::assert_refused;
use super::ws_client::{BINARY, CLOSE, FIN, PING, PONG, TEXT, Ws, close, frame, handshake, text};

const CONTINUATION: u8 = 0;

/// Opens a WebSocket with `format=data` on a hub that accepts 1,000 bytes of data.
async fn echo() -> (Server, Ws) {
    let server = Server::with(|builder, _| builder.broker.max_data = 1_000);
    let ws = Ws::open(&server, "/ws/echo?format=data").await;
    (server, ws)
}

#[tokio::test]
async fn a_handshake_is_accepted_with_its_key_and_our_subprotocol() {
    let server = Server::start();
    let (_, answer) = Ws::open_with(&server, "/ws/a", "").await;
    // The example of RFC 6455 section 1.3.
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(
        answer
            .header("upgrade")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("websocket")
    );
    assert_eq!(
        answer
            .header("connection")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("upgrade")
    );
    assert_eq!(
        answer.header("sec-websocket-protocol"),
        None,
        "none was offered"
    );
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    assert_eq!(answer.header("content-length"), None);
    for (offered, selected) in [
        ("triway.v1", Some("triway.v1")),
        ("chat, triway.v1, triway.bearer.Zm9v", Some("triway.v1")),
        ("chat", None),
        ("triway.bearer.Zm9v", None),
    ] {
        let lines = format!(
            "Sec-WebSocket-Protocol: {offered}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        );
        let (_, answer) = Ws::open_with(&server, "/ws/a", &lines).await;
        assert_eq!(
            answer.header("sec-websocket-protocol"),
            selected,
            "{offered}"
        );
    }
}

#[tokio::test]
async fn replies_to_commands_before_a_close_are_sent_before_its_echo() {
    let server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a").await;
    let command = text(r#"{"type":"publish","channel":"a","data":1,"ref":7}"#);
    ws.send([command, close(1000, "done")].concat()).await;
    let (code, _, before) = ws.until_close().await;
    let kinds: Vec<_> = before
        .iter()
        .map(|frame| frame.json()["type"].clone())
        .collect();
    assert_eq!(code, Some(1000));
    assert_eq!(kinds, ["hello", "reply", "event"]);
    ws.ends().await;
}

#[tokio::test]
async fn an_invalid_handshake_is_refused_before_the_upgrade() {
    let server = Server::start();
    let good = handshake("/ws/a", "");
    let version = server.ask(good.replace("Version: 13", "Version: 8")).await;
    assert_refused(&version, 426, "upgrade_missing");
    assert_eq!(
        version.header("sec-websocket-version"),
        Some("13"),
        "RFC 6455 section 4.4"
    );
    let without = |line: &str| {
        good.lines()
            .filter(|kept| !kept.starts_with(line))
            .collect::<Vec<_>>()
            .join("\r\n")
            + "\r\n\r\n"
    };
    assert_refused(
        &server.ask(without("Sec-WebSocket-Version")).await,
        426,
        "upgrade_missing",
    );
    assert_refused(
        &server.ask(without("Sec-WebSocket-Key")).await,
        400,
        "bad_parameter",
    );
    for key in [
        "",
        "short",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZSBvZiAyMiBieXRlcw==",
        "!!!!IHNhbXBsZSBub25jZQ==",
    ] {
        let bad = good.replace("dGhlIHNhbXBsZSBub25jZQ==", key);
        assert_refused(&server.ask(bad).await, 400, "bad_parameter");
    }
    assert_refused(
        &server.ask(good.replace("GET", "POST")).await,
        426,
        "upgrade_missing",
    );
}

#[tokio::test]
async fn a_token_may_come_as_a_subprotocol() {
    let server = Server::built(|builder, _| {
        builder.authorize(|asked| async move {
            Ok(match asked.token.as_deref() {
                Some("foo") => Some(triway::Grants::everything().with_user("ann")?),
                _ => None,
            })
        })
    });
    let (mut ws, answer) = Ws::open_with(
        &server,
        "/ws/a,@",
        "Sec-WebSocket-Protocol: triway.v1, triway.bearer.Zm9v\r\n",
    )
    .await;
    assert_eq!(answer.header("sec-websocket-protocol"), Some("triway.v1"));
    let hello = ws.json().await;
    assert!(
        hello["channels"]
            .as_array()
            .unwrap()
            .contains(&json!("@ann")),
        "{hello}"
    );
    for wrong in [
        "triway.v1, triway.bearer.YmFy",
        "triway.v1, triway.bearer.!",
        "triway.v1",
    ] {
        let (mut ws, _) = Ws::open_with(
            &server,
            "/ws/a",
            &format!("Sec-WebSocket-Protocol: {wrong}\r\n"),
        )
        .await;
        assert_eq!(ws.until_close().await.0, Some(3501), "{wrong}");
    }
}

#[tokio::test]
async fn bare_data_is_echoed_as_it_was_sent() {
    let (_server, mut ws) = echo().await;
    for (sent, kind) in [
        (&b"hello"[..], TEXT),
        (b"", TEXT),
        ("\u{0}\u{2028}\r\n\u{1f600}".as_bytes(), TEXT),
        (b"{\"a\": 1}", TEXT),
        (b"\"quoted\"", TEXT),
        (b"\x00\xff\xfe", BINARY),
        (b"", BINARY),
    ] {
        ws.send(frame(FIN | kind, sent)).await;
        let back = ws.frame().await;
        assert_eq!((back.first, back.payload.as_slice()), (FIN | kind, sent));
    }
}

#[tokio::test]
async fn fragments_are_one_message_and_control_frames_may_come_between() {
    let (_server, mut ws) = echo().await;
    ws.send(frame(TEXT, "fr\u{e4}".as_bytes().split_at(3).0))
        .await;
    ws.send(frame(FIN | PING, b"between")).await;
    assert_eq!(ws.frame().await.payload, b"between");
    ws.send(frame(CONTINUATION, &"\u{e4}".as_bytes()[1..]))
        .await;
    ws.send(frame(CONTINUATION, b"")).await;
    ws.send(frame(FIN | CONTINUATION, b"gments")).await;
    let back = ws.frame().await;
    assert_eq!(
        (
            back.opcode(),
            String::from_utf8(back.payload).unwrap().as_str()
        ),
        (TEXT, "fr\u{e4}gments")
    );
    // The same byte by byte.
    for byte in [frame(BINARY, b"ab"), frame(FIN | CONTINUATION, b"c")].concat() {
        ws.send([byte]).await;
    }
    assert_eq!(ws.frame().await.payload, b"abc");
}

#[tokio::test]
async fn a_ping_is_answered_by_a_pong_with_its_bytes() {
    let (_server, mut ws) = echo().await;
    for payload in [&b""[..], b"x", &[7; 125]] {
        ws.send(frame(FIN | PING, payload)).await;
        let pong = ws.frame().await;
        assert_eq!((pong.first, pong.payload.as_slice()), (FIN | PONG, payload));
    }
    ws.send(frame(FIN | PONG, b"unasked")).await;
    ws.send(text("still here")).await;
    assert_eq!(ws.frame().await.payload, b"still here");
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_then_the_end() {
    for (sent, answered) in [
        (close(1000, ""), Some(1000)),
        (close(1001, "the page goes away"), Some(1001)),
        (close(3000, "own"), Some(3000)),
        (close(4999, "own"), Some(4999)),
        (frame(FIN | CLOSE, b""), None),
        (frame(FIN | CLOSE, b"\x03"), Some(1002)),
        (close(999, ""), Some(1002)),
        (close(1005, ""), Some(1002)),
        (close(1006, ""), Some(1002)),
        (close(5000, ""), Some(1002)),
        (frame(FIN | CLOSE, b"\x03\xe8\xff"), Some(1007)),
    ] {
        let (_server, mut ws) = echo().await;
        ws.send(&sent).await;
        let (code, _, before) = ws.until_close().await;
        assert_eq!((code, before.len()), (answered, 0), "{sent:?}");
        ws.ends().await;
    }
}

/// Returns inputs that break the protocol or a limit of 1,000 bytes, and the close code for each.
fn broken() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = |payload: &[u8]| frame(FIN | TEXT, payload);
    let over = [b'x'; 1_001];
    let huge = |first_length: u8| {
        [
            &[FIN | BINARY, 0xff, first_length][..],
            &[0xff; 7],
            &[1, 2, 3, 4],
        ]
        .concat()
    };
    let halves = [frame(BINARY, &over[..600]), frame(FIN, &over[..600])].concat();
    vec![
        ("text that is not UTF-8", text(b"\xc3\x28"), 1007),
        ("a surrogate", text(b"\xed\xa0\x80"), 1007),
        ("half a character at the end", text(b"\xe2\x82"), 1007),
        (
            "a fragment that is not UTF-8",
            [frame(TEXT, b"a\xff"), frame(FIN, b"b")].concat(),
            1007,
        ),
        ("one byte too many", text(&over), 1009),
        ("one binary byte too many", frame(FIN | BINARY, &over), 1009),
        ("too many in fragments", halves, 1009),
        ("a length beyond all", huge(0x7f), 1009),
        ("a length with its sign", huge(0xff), 1002),
        ("no mask", vec![FIN | TEXT, 1, b'x'], 1002),
        ("a reserved bit", frame(FIN | TEXT | 0x40, b"x"), 1002),
        ("a reserved opcode", frame(FIN | 3, b"x"), 1002),
        ("a reserved control opcode", frame(FIN | 11, b"x"), 1002),
        ("a fragmented ping", frame(PING, b"x"), 1002),
        ("a long ping", frame(FIN | PING, &over[..126]), 1002),
        ("a long close", frame(FIN | CLOSE, &over[..126]), 1002),
        (
            "a continuation of nothing",
            frame(FIN | CONTINUATION, b"x"),
            1002,
        ),
        (
            "a message within a message",
            [frame(TEXT, b"a"), text(b"b")].concat(),
            1002,
        ),
    ]
}

#[tokio::test]
async fn protocol_violations_are_closed_with_their_code() {
    for (what, sent, code) in broken() {
        let (server, mut ws) = echo().await;
        ws.send(&sent).await;
        let (said, _, before) = ws.until_close().await;
        // An impossible length is either too large or a protocol violation.
        let fits = said == Some(code)
            || (what.starts_with("a length") && matches!(said, Some(1002 | 1009)));
        assert!(fits && before.is_empty(), "{what}: {said:?} {before:?}");
        ws.send(close(code, "")).await;
        ws.wire.finish().await;
        ws.ends().await;
        assert_eq!(
            server.get("/history/echo").await.json()["frames"],
            json!([]),
            "{what} is not published"
        );
    }
}

#[tokio::test]
async fn the_largest_message_passes_and_the_limit_is_exact() {
    let (server, mut ws) = echo().await;
    for payload in [vec![b'x'; 1_000], vec![b'"'; 1_000]] {
        for kind in [TEXT, BINARY] {
            ws.send(frame(FIN | kind, &payload)).await;
            assert_eq!(ws.frame().await.payload, payload);
        }
    }
    ws.send([frame(TEXT, &[b'x'; 500]), frame(FIN, &[b'y'; 500])].concat())
        .await;
    assert_eq!(ws.frame().await.payload.len(), 1_000);
    assert_eq!(echoed(&server).await, 5);
}

/// Returns how many events the channel `echo` holds.
async fn echoed(server: &Server) -> usize {
    let history = server.get("/history/echo").await.json();
    history["frames"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn messages_before_a_violation_still_count() {
    let (server, mut ws) = echo().await;
    ws.send([text("one"), text("two"), frame(FIN | TEXT, b"\xff")].concat())
        .await;
    let (code, _, before) = ws.until_close().await;
    assert_eq!(code, Some(1007));
    let told: Vec<_> = before
        .iter()
        .map(|frame| frame.payload.as_slice())
        .collect();
    assert_eq!(told, [&b"one"[..], b"two"]);
    assert_eq!(echoed(&server).await, 2);
}

#[tokio::test]
async fn a_bare_socket_is_closed_with_3006_instead_of_a_gap() {
    let server = Server::with(|builder, _| builder.hub.history_events = Some(2));
    let first = server.publish("a", "1").await;
    for number in 2..6 {
        server.publish("a", &number.to_string()).await;
    }
    let mut ws = Ws::open(&server, &format!("/ws/a?format=data&since={first}")).await;
    let (code, reason, before) = ws.until_close().await;
    assert_eq!(
        (code, reason.as_str(), before.len()),
        (Some(3006), "gap", 0)
    );
    let mut ws = Ws::open(&server, "/ws/a?format=data&since=all").await;
    assert_eq!(
        [ws.frame().await.payload, ws.frame().await.payload],
        [b"4", b"5"]
    );
}

#[tokio::test]
async fn a_refused_publish_of_a_bare_socket_closes_with_its_code() {
    let server = Server::built(|builder, _| {
        use triway::{Grants, Reach};
        builder.anonymous(Some(Grants::new(Reach::All, Reach::Some(vec![]))))
    });
    let mut ws = Ws::open(&server, "/ws/a?format=data").await;
    ws.send(text("hello")).await;
    let (code, reason, before) = ws.until_close().await;
    assert_eq!(
        (code, reason.as_str(), before.len()),
        (Some(3502), "forbidden", 0)
    );
}

#[tokio::test]
async fn in_format_full_bytes_follow_a_line_of_json_in_both_directions() {
    let server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a").await;
    assert_eq!(ws.json().await["type"], "hello");
    let message = [
        &b"{\"type\":\"publish\",\"channel\":\"a\",\"name\":\"pic\",\"ref\":1}\n"[..],
        b"\x00\n\xff{",
    ]
    .concat();
    ws.send(frame(FIN | BINARY, &message)).await;
    let (mut event, mut reply) = (None, None);
    for _ in 0..2 {
        let frame = ws.frame().await;
        if frame.json()["type"] == "reply" {
            reply = Some(frame)
        } else {
            event = Some(frame)
        }
    }
    assert_eq!(reply.unwrap().json()["ok"], true);
    let event = event.unwrap();
    assert_eq!(event.first, FIN | BINARY);
    let head = event.json();
    assert_eq!(
        (&head["name"], head.get("data64"), head.get("data")),
        (&json!("pic"), None, None),
        "{head}"
    );
    let end = event
        .payload
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap();
    assert_eq!(&event.payload[end + 1..], b"\x00\n\xff{");
    // Data in two places is refused, and the socket stays open.
    let twice = [
        &b"{\"type\":\"publish\",\"channel\":\"a\",\"data\":1,\"ref\":2}\n"[..],
        b"x",
    ]
    .concat();
    ws.send(frame(FIN | BINARY, &twice)).await;
    assert_eq!(ws.json().await["error"]["code"], "bad_command");
    assert_eq!(ws.command(json!({"type": "ping"})).await["ok"], true);
}

#[tokio::test]
async fn invalid_commands_are_refused_and_the_socket_stays_open() {
    let server = Server::start();
    let mut ws = Ws::open(&server, "/ws/a").await;
    ws.json().await;
    for (sent, code) in [
        ("", "bad_json"),
        ("{", "bad_json"),
        ("[]", "bad_command"),
        ("null", "bad_command"),
        ("{\"type\":\"hello\"}", "bad_command"),
    ] {
        ws.send(text(sent)).await;
        let reply = ws.json().await;
        assert_eq!(
            (&reply["ok"], &reply["error"]["code"]),
            (&json!(false), &json!(code)),
            "{sent:?}"
        );
    }
    ws.send(text(&"[".repeat(100_000))).await;
    assert_eq!(ws.json().await["ok"], false);
    assert_eq!(ws.command(json!({"type": "ping"})).await["ok"], true);
}
