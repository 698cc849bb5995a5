//! Invalid input on WebSockets and HTTP/2: the server closes each connection.

use super::super::ws_client::{BINARY, FIN, PING, TEXT, close, frame, handshake, text};
use super::{Case, Expect, case};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) fn cases() -> Vec<Case> {
    let mut all = websockets();
    all.extend(http2());
    all.extend(floods());
    all
}

fn on_socket(what: &str, target: &str, sent: &[u8]) -> Case {
    let mut case = case(what, handshake(target, ""), Expect::Closed);
    case.sent.push(sent.to_vec());
    case
}

/// Returns inputs that close a WebSocket. A client that sends nothing more is closed by the heartbeat within one or two
/// seconds.
fn websockets() -> Vec<Case> {
    let bare = "/ws/a?format=data&heartbeat=1";
    let full = "/ws/a?heartbeat=1";
    let random: Vec<u8> = (0..10_000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut all = vec![
        on_socket(
            "an HTTP request",
            bare,
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        on_socket(
            "a TLS greeting",
            bare,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ),
        on_socket("random bytes", bare, &random),
        on_socket("zeros", bare, &[0; 10_000]),
        on_socket("ones", bare, &[0xff; 10_000]),
        on_socket(
            "a frame that never ends",
            bare,
            &frame(FIN | BINARY, &[0; 60_000])[..30_000],
        ),
        on_socket("half a header", bare, &[FIN | TEXT]),
        on_socket("silence", full, b""),
        on_socket(
            "words behind a close",
            full,
            &[close(1000, ""), text("{}"), random.clone()].concat(),
        ),
        on_socket(
            "two closes",
            full,
            &[close(1000, ""), close(1000, "")].concat(),
        ),
        on_socket(
            "a compressed frame",
            full,
            &frame(FIN | TEXT | 0x40, b"\xaa\x56\x4a"),
        ),
    ];
    all.extend(headers_of_frames());
    all
}

/// Returns frames with impossible lengths, opcodes and bits.
fn headers_of_frames() -> Vec<Case> {
    let bare = "/ws/a?format=data&heartbeat=1";
    let full = "/ws/a?heartbeat=1";
    let mut all = Vec::new();
    for (name, first, length) in [
        ("2^63", 0x80, 0),
        ("2^63-1", 0x7f, 0xff),
        ("2^32", 0, 1),
        ("2^40", 1, 0),
    ] {
        let head = [
            FIN | BINARY,
            0xff,
            first,
            length,
            0,
            if name == "2^32" { 1 } else { 0 },
            0,
            0,
            0,
            0,
            1,
            2,
            3,
            4,
        ];
        all.push(on_socket(&format!("a length of {name}"), bare, &head));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        all.push(on_socket(
            &format!("opcode {opcode}"),
            full,
            &frame(FIN | opcode, b"x"),
        ));
    }
    for bits in [0x40, 0x20, 0x10, 0x70] {
        all.push(on_socket(
            &format!("bits {bits:x}"),
            full,
            &frame(FIN | TEXT | bits, b"x"),
        ));
    }
    all
}

/// Encodes an HTTP/2 frame: type, flags, stream, payload.
fn h2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn on_h2(what: &str, frames: &[Vec<u8>]) -> Case {
    let sent = [PREFACE.to_vec(), h2(4, 0, 0, b""), frames.concat()].concat();
    case(format!("HTTP/2 {what}"), sent, Expect::Closed)
}

/// Returns inputs that violate HTTP/2. A client without a request is idle, and is closed after three seconds.
fn http2() -> Vec<Case> {
    // GET / of localhost over http, from the static table.
    let get = [
        0x82, 0x84, 0x86, 0x41, 0x09, b'l', b'o', b'c', b'a', b'l', b'h', b'o', b's', b't',
    ];
    vec![
        case("HTTP/2 half a preface", &PREFACE[..10], Expect::Closed),
        case("HTTP/2 a preface and nothing", PREFACE, Expect::Closed),
        case(
            "HTTP/2 a preface and text",
            [PREFACE, b"GET / HTTP/1.1\r\n\r\n"].concat(),
            Expect::Closed,
        ),
        on_h2("a frame beyond the size", &[h2(0, 0, 1, &vec![0; 100_000])]),
        on_h2("an unknown frame", &[h2(99, 255, 0, b"x")]),
        on_h2("headers that are none", &[h2(1, 5, 1, &[0xff; 50])]),
        on_h2("headers of stream 0", &[h2(1, 5, 0, &get)]),
        on_h2("headers of an even stream", &[h2(1, 5, 2, &get)]),
        on_h2("streams that fall", &[h2(1, 5, 5, &get), h2(1, 5, 3, &get)]),
        on_h2("a continuation of nothing", &[h2(9, 4, 1, &get)]),
        on_h2(
            "headers without end",
            &[h2(1, 1, 1, &get), h2(6, 0, 0, &[0; 8])],
        ),
        on_h2("data of stream 0", &[h2(0, 1, 0, b"x")]),
        on_h2("data of an idle stream", &[h2(0, 1, 7, b"x")]),
        on_h2("a reset of an idle stream", &[h2(3, 0, 7, &[0; 4])]),
        on_h2("a promise", &[h2(5, 4, 1, &get)]),
        on_h2("a window of nothing", &[h2(8, 0, 0, &[0; 4])]),
        on_h2(
            "a window beyond all",
            &[
                h2(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
                h2(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            ],
        ),
        on_h2("settings of odd length", &[h2(4, 0, 0, &[0; 5])]),
        on_h2("settings of a stream", &[h2(4, 0, 1, &[0; 6])]),
        on_h2("a short ping", &[h2(6, 0, 0, &[0; 4])]),
        on_h2(
            "a stream of itself",
            &[h2(1, 0x25, 1, &[&[0, 0, 0, 1, 16], &get[..]].concat())],
        ),
        on_h2(
            "padding beyond the frame",
            &[h2(1, 0x0d, 1, &[&[200], &get[..]].concat())],
        ),
        on_h2("a farewell", &[h2(7, 0, 0, &[0; 8])]),
        on_h2(
            "a request with a body that never comes",
            &[h2(1, 4, 1, &[&[0x83], &get[1..]].concat())],
        ),
    ]
}

/// Returns inputs that are harmless once and hostile in large numbers.
fn floods() -> Vec<Case> {
    let get = [
        0x82, 0x84, 0x86, 0x41, 0x09, b'l', b'o', b'c', b'a', b'l', b'h', b'o', b's', b't',
    ];
    let resets: Vec<Vec<u8>> = (0..5_000)
        .flat_map(|number| {
            [
                h2(1, 5, 2 * number + 1, &get),
                h2(3, 0, 2 * number + 1, &[0, 0, 0, 8]),
            ]
        })
        .collect();
    let continued: Vec<Vec<u8>> = std::iter::once(h2(1, 1, 1, &get))
        .chain((0..2_000).map(|_| h2(9, 0, 1, &[0; 100])))
        .collect();
    let pings: Vec<u8> = (0..20_000)
        .flat_map(|_| frame(FIN | PING, b"ping"))
        .collect();
    let commands: Vec<u8> = (0..20_000).flat_map(|_| text("{}")).collect();
    let fragments: Vec<u8> = std::iter::once(frame(TEXT, b""))
        .chain((0..50_000).map(|_| frame(0, b"")))
        .flatten()
        .collect();
    let questions = (0..2_000)
        .flat_map(|_| text("{\"type\":\"history\",\"channel\":\"healthy\",\"limit\":1000}"))
        .collect::<Vec<u8>>();
    vec![
        on_h2("rapid resets", &resets),
        on_h2(
            "settings",
            &vec![h2(4, 0, 0, &[0, 3, 0, 0, 0, 100]); 10_000],
        ),
        on_h2("pings", &vec![h2(6, 0, 0, &[7; 8]); 10_000]),
        on_h2(
            "empty data",
            &[
                vec![h2(1, 4, 1, &[&[0x83], &get[1..]].concat())],
                vec![h2(0, 0, 1, b""); 10_000],
            ]
            .concat(),
        ),
        on_h2("continuations", &continued),
        on_h2("windows", &vec![h2(8, 0, 0, &[0, 0, 0, 1]); 10_000]),
        on_socket("pings", "/ws/a?heartbeat=1", &pings),
        on_socket("commands that are none", "/ws/a?heartbeat=1", &commands),
        on_socket("empty fragments", "/ws/a?heartbeat=1", &fragments),
        on_socket("questions", "/ws/a?heartbeat=1", &questions),
    ]
}
