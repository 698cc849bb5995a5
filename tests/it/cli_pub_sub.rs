//! `triway pub` and `triway sub`: every published event is read, over every transport and across cuts and restarts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::process::Stdio;

use crate::cli::{Hub, Running, line_of, text, triway};

#[test]
fn published_events_are_read_over_each_transport() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let mut publishing = triway();
    publishing
        .args(["pub", "lobby", "-", "--url", &hub.url])
        .stdin(Stdio::piped());
    let mut publishing = Running::start(&mut publishing);
    publishing
        .0
        .stdin
        .take()
        .unwrap()
        .write_all("one\ntwo words\nü\n".as_bytes())
        .unwrap();
    assert!(publishing.ends().success(), "{}", publishing.errors());
    let published = hub.publish(&["lobby", r#"{"n":1.0}"#, "--json", "--name", "chat"]);
    assert!(published.status.success(), "{}", text(&published.stderr));
    for via in ["ws", "sse", "poll"] {
        let wanted = [
            "lobby", "--via", via, "--since", "all", "--count", "4", "--format",
        ];
        let (mut process, mut lines) = hub.subscribe(&[&wanted[..], &["data"]].concat());
        let read: Vec<_> = (0..4).map(|_| line_of(&mut lines)).collect();
        assert_eq!(read, ["one", "two words", "ü", r#"{"n":1.0}"#], "{via}");
        assert!(process.ends().success(), "{via}");
        let (_process, mut lines) = hub.subscribe(&[&wanted[..], &["full"]].concat());
        let full: Vec<_> = (0..4).map(|_| line_of(&mut lines)).collect();
        assert!(
            full[3].contains(r#""name":"chat""#)
                && full[3].contains(text(&published.stdout).trim()),
            "{via}: {full:?}"
        );
    }
}

#[test]
fn any_name_and_any_bytes_pass() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    for name in ["a b/ü", "..", "a//b", "100%&x=y"] {
        let mut publishing = triway();
        publishing
            .args(["pub", name, "--url", &hub.url])
            .stdin(Stdio::piped());
        let mut publishing = Running::start(&mut publishing);
        let mut input = publishing.0.stdin.take().unwrap();
        input.write_all(b"a\xff\0b\r\n\n").unwrap();
        drop(input);
        assert!(publishing.ends().success(), "{}", publishing.errors());
        for via in ["ws", "sse", "poll"] {
            let wanted = ["--via", via, "--since", "all", "--count", "2", "--format"];
            let (_process, mut lines) = hub.subscribe(&[&[name], &wanted[..], &["data"]].concat());
            let read = [line_of(&mut lines), line_of(&mut lines)];
            assert_eq!(read, ["Yf8AYg==", ""], "{name} over {via}");
        }
    }
}

#[test]
fn a_closed_pipe_ends_a_reader_and_a_publisher_without_an_error() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let mut publishing = triway();
    publishing
        .args(["pub", "lobby", "--url", &hub.url])
        .stdin(Stdio::piped());
    let mut publishing = Running::start(&mut publishing);
    drop(publishing.0.stdout.take());
    let mut input = publishing.0.stdin.take().unwrap();
    input.write_all(b"1\n").unwrap();
    assert_eq!(
        publishing.ends().code(),
        Some(141),
        "its input is still open"
    );
    assert_eq!(publishing.errors(), "");
    // A waiting reader ends too when its output is closed and no event arrives.
    for via in ["ws", "sse", "poll"] {
        let (mut reader, mut lines) =
            hub.subscribe(&["lobby", "--since", "all", "--format", "data", "--via", via]);
        assert_eq!(line_of(&mut lines), "1");
        drop(lines);
        assert!(reader.ends().success(), "{via}");
        assert_eq!(reader.errors(), "", "{via}");
    }
}

#[test]
fn json_that_cannot_be_decoded_to_a_value_reaches_every_reader() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let all = [r#""\ud83d""#, r#"{"\udc00":["\ud800x",1e999]}"#, "-1E+400"];
    for data in all {
        let published = hub.publish(&["lobby", data, "--json"]);
        assert!(published.status.success(), "{}", text(&published.stderr));
    }
    for (round, via) in ["ws", "sse", "poll"].into_iter().enumerate() {
        for (turn, format) in ["full", "data"].into_iter().enumerate() {
            let held = 3 + 2 * round + turn;
            let count = (held + 1).to_string();
            let wanted = ["lobby", "--via", via, "--since", "all", "--count", &count];
            let (mut process, mut lines) =
                hub.subscribe(&[&wanted[..], &["--format", format]].concat());
            for at in 0..held {
                let line = line_of(&mut lines);
                let data = all.get(at).unwrap_or(&all[0]);
                assert!(line.contains(data), "{via}, {format}: {line}");
            }
            // Live events too.
            hub.publish(&["lobby", all[0], "--json"]);
            assert!(line_of(&mut lines).contains(all[0]), "{via}, {format}");
            assert!(process.ends().success(), "{via}, {format}");
        }
    }
}

#[test]
fn a_reader_continues_after_a_restart_and_reports_the_gap() {
    for via in ["ws", "sse", "poll"] {
        let mut hub = Hub::start(&["--listen", "127.0.0.1:0"]);
        let address = hub.authority().to_owned();
        hub.publish(&["lobby", "before"]);
        let (mut reader, mut lines) =
            hub.subscribe(&["lobby", "--via", via, "--since", "all", "--format", "data"]);
        assert_eq!(line_of(&mut lines), "before", "{via}");
        hub.process.signal("KILL");
        hub.process.ends();
        let again = Hub::start(&["--listen", &address]);
        assert!(again.publish(&["lobby", "after"]).status.success());
        assert_eq!(line_of(&mut lines), "after", "{via}");
        reader.signal("KILL");
        reader.ends();
        let errors = reader.errors();
        assert!(errors.contains("trying again"), "{via}: {errors}");
        assert!(
            errors.contains("gap in lobby") && errors.contains("restart"),
            "{via}: {errors}"
        );
    }
}

#[test]
fn a_rate_limited_publisher_reports_once_that_it_retries_and_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let busy = r#"{"code":"busy","detail":"too many of them","hint":"wait","status":503}"#;
        let published = r#"{"id":"k-1","reached":{"ws":0,"sse":0,"poll":0}}"#;
        for (status, body) in [(503, busy), (503, busy), (201, published)] {
            let (mut peer, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            while !head.windows(6).any(|bytes| bytes == b"hello!") {
                let _read = peer.read(&mut head).unwrap();
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            peer.write_all(answer.as_bytes()).unwrap();
        }
    });
    let published = triway()
        .args(["pub", "lobby", "hello!", "--url", &url])
        .output()
        .unwrap();
    let errors = text(&published.stderr);
    assert!(published.status.success(), "{errors}");
    assert_eq!(text(&published.stdout), "k-1\n");
    let said = errors.matches("trying again for up to 60 s").count();
    assert_eq!(
        (said, errors.matches("too many of them").count()),
        (1, 1),
        "{errors}"
    );
    let help = triway().args(["pub", "--help"]).output().unwrap();
    assert!(text(&help.stdout).contains("60 s"));
}

#[test]
fn a_reader_returns_to_a_hub_after_its_drain() {
    for via in ["ws", "sse", "poll"] {
        let mut hub = Hub::start(&["--listen", "127.0.0.1:0"]);
        let address = hub.authority().to_owned();
        hub.publish(&["lobby", "before"]);
        let wanted = ["lobby", "--via", via, "--since", "all", "--format", "data"];
        let (_reader, mut lines) = hub.subscribe(&wanted);
        assert_eq!(line_of(&mut lines), "before", "{via}");
        hub.process.signal("TERM");
        assert!(hub.process.ends().success(), "{via}");
        let again = Hub::start(&["--listen", &address]);
        assert!(again.publish(&["lobby", "after"]).status.success());
        assert_eq!(line_of(&mut lines), "after", "{via}");
    }
}

#[test]
fn refusals_are_reported_and_end_the_command() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    for via in ["ws", "sse", "poll"] {
        let (mut refused, _lines) = hub.subscribe(&["lobby", "--via", via, "--since", "yesterday"]);
        assert_eq!(refused.ends().code(), Some(1), "{via}");
        let errors = refused.errors();
        assert!(
            errors.contains("400 bad_cursor") && errors.contains("last:20"),
            "{via}: {errors}"
        );
    }
    let refused = hub.publish(&["lobby", "hi", "--name", "open"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("400 bad_name"),
        "{}",
        text(&refused.stderr)
    );
    let refused = hub.publish(&["lobby", "{", "--json"]);
    assert!(text(&refused.stderr).contains("not JSON"));
    let same_key = |data| hub.publish(&["lobby", data, "--key", "k1"]);
    assert_eq!(
        same_key("once").stdout,
        same_key("once").stdout,
        "a key publishes once"
    );
    assert!(text(&same_key("other").stderr).contains("409 key_reused"));
}

#[test]
fn unsupported_addresses_are_refused_with_a_remedy() {
    for (url, way_out) in [
        ("https://rt.example.com", "for https use a proxy"),
        ("wss://rt.example.com", "--via ws"),
        ("ws://127.0.0.1:7333", "--via ws"),
        ("ftp://127.0.0.1", "http://127.0.0.1:7333"),
    ] {
        for command in ["pub", "sub"] {
            let mut asked = triway();
            asked.args([command, "lobby", "--url", url]);
            let refused = asked.stdin(Stdio::null()).output().unwrap();
            let errors = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(2), "{command} {url}: {errors}");
            assert!(errors.contains(way_out), "{command} {url}: {errors}");
        }
    }
}
