//! Signals, pipes and the environment of the real program.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use crate::cli::{Hub, text, triway};

/// Requests the health of a hub over a new connection.
fn health_of(authority: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn unrelated_signals_do_not_end_the_hub() {
    for end in ["QUIT", "TERM", "INT"] {
        let mut hub = Hub::start(&["--listen", "127.0.0.1:0", "--drain", "1s"]);
        let (mut reader, mut lines) = hub.subscribe(&["a", "--since", "all"]);
        for signal in [
            "HUP", "USR1", "USR2", "PIPE", "ALRM", "VTALRM", "PROF", "XCPU", "XFSZ", "IO", "PWR",
            "STKFLT", "WINCH", "URG", "CONT", "CHLD", "34", "50", "64",
        ] {
            hub.process.signal(signal);
        }
        assert!(hub.publish(&["a", "still here"]).status.success());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains("still here"));
        hub.process.signal(end);
        assert!(hub.process.ends().success(), "{end} drains");
        reader.signal("KILL");
        reader.ends();
    }
}

/// Starts a hub that logs much. Returns it with the pipe of its log.
fn talkative() -> (Hub, std::process::ChildStderr) {
    let mut hub = Hub::start(&["--listen", "127.0.0.1:0", "--log", "trace"]);
    let log = hub.process.0.stderr.take().unwrap();
    (hub, log)
}

#[test]
fn a_hub_outlives_the_reader_of_its_log() {
    // Case 1: the pipe is closed.
    let (mut hub, log) = talkative();
    drop(log);
    for _ in 0..50 {
        assert!(health_of(hub.authority()).contains("200 OK"));
    }
    hub.process.signal("TERM");
    assert!(hub.process.ends().success());
    // Case 2: the pipe is not read. It is full after 64 KiB.
    let (mut hub, log) = talkative();
    for _ in 0..2_000 {
        assert!(health_of(hub.authority()).contains("200 OK"));
    }
    hub.process.signal("TERM");
    assert!(hub.process.ends().success());
    drop(log);
}

#[test]
fn the_log_names_the_started_version() {
    let mut hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let mut log = BufReader::new(hub.process.0.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(
        line.contains("started") && line.contains(env!("CARGO_PKG_VERSION")),
        "{line}"
    );
}

#[test]
fn an_error_in_an_environment_variable_names_it() {
    for (name, value) in [
        ("TRIWAY_LISTEN", "nowhere"),
        ("TRIWAY_OPEN", "perhaps"),
        ("TRIWAY_LOG", "loud"),
        ("TRIWAY_HEARTBEAT", "1h"),
        ("TRIWAY_HISTORY_BYTES", "many"),
        ("TRIWAY_ORIGIN", "https://a.example,nonsense"),
        ("TRIWAY_TRUSTED_PROXY", "x"),
        ("TRIWAY_SECRET", "too short"),
    ] {
        let mut command = triway();
        command.arg("serve").env(name, value);
        if name != "TRIWAY_LISTEN" {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let out = command.output().unwrap();
        let told = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{name}: {told}");
        assert!(
            told.contains(name) && (told.contains(", found") || told.contains("expected")),
            "{told}"
        );
        assert_eq!(told.contains(value), name != "TRIWAY_SECRET", "{told}");
    }
    // A flag takes precedence over the environment.
    let mut command = triway();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TRIWAY_LISTEN", "nowhere");
    Hub::of(&mut command);
    let out = triway()
        .args(["pub", "a", "b"])
        .env("TRIWAY_URL", "ftp://x")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(text(&out.stderr).contains("TRIWAY_URL"));
}

#[test]
fn an_invalid_log_filter_is_refused() {
    for bad in ["loud", "info,loud", "triway=loud", "=info", ","] {
        let out = triway().args(["serve", "--log", bad]).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{bad}");
        assert!(text(&out.stderr).contains("a level (off,"), "{bad}");
    }
    for good in ["INFO", "warn,triway=debug", "off", "h2=trace,info"] {
        Hub::start(&["--listen", "127.0.0.1:0", "--log", good]);
    }
}

#[test]
fn unrequested_ping_acknowledgements_write_no_log_lines() {
    let mut hub = Hub::start(&["--listen", "127.0.0.1:0", "--log", "info"]);
    let mut stream = TcpStream::connect(hub.authority()).unwrap();
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for _ in 0..100 {
        sent.extend(b"\0\0\x08\x06\x01\0\0\0\0unasked!");
    }
    // An HTTP/2 ping: its answer proves that the server has read all frames before it.
    sent.extend(b"\0\0\x08\x06\0\0\0\0\0question");
    stream.write_all(&sent).unwrap();
    let mut seen: Vec<u8> = Vec::new();
    let mut room = [0; 1024];
    while !seen.windows(8).any(|part| part == b"question") {
        let count = stream.read(&mut room).unwrap();
        assert!(count > 0, "{seen:?}");
        seen.extend(&room[..count]);
    }
    hub.process.signal("TERM");
    hub.process.ends();
    let log = hub.process.errors();
    assert!(!log.contains("h2"), "{log}");
}
