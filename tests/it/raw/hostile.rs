//! Several hundred hostile inputs: each gets a clear refusal or a close, and the service stays intact.
//!
//! The submodules hold the cases in tables by kind. This file runs them and checks the rules that hold around them.

mod heads;
mod sockets;
mod words;

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use super::exact_bytes::{Answer, Wire, eventually, get, in_time};
use super::process::Process;

/// Server limits that the slow cases reach.
const LIMITS: [&str; 11] = [
    "--open",
    "--head-timeout",
    "1s",
    "--body-timeout",
    "3s",
    "--idle-timeout",
    "3s",
    "--write-timeout",
    "2s",
    "--publish-rate",
    "0",
];
/// A case without a response or a close within this time counts as hung.
const HANGS: Duration = Duration::from_secs(18);
/// Memory that the program may retain, in KiB.
const KEPT_KIB: u64 = 50 * 1024;

/// The required outcome of an input.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// This status. If the code is not empty, also this code.
    Refused(u16, &'static str),
    /// Any status from 400 to 505 except 500, or a close without a response: unreadable HTTP never reaches the hub, so
    /// its refusals do not apply.
    NoHttp,
    /// The request is served: it is unusual, but valid.
    Served,
    /// Served or refused. A refusal must be clear.
    Clear,
    /// Closed by the server, with or without a response before it.
    Closed,
}

/// One hostile input.
#[derive(Clone, Debug)]
pub(super) struct Case {
    what: String,
    /// Parts of the input. The client pauses between them.
    sent: Vec<Vec<u8>>,
    expect: Expect,
}

pub(super) fn case(what: impl Into<String>, sent: impl Into<Vec<u8>>, expect: Expect) -> Case {
    Case {
        what: what.into(),
        sent: vec![sent.into()],
        expect,
    }
}

/// The observed outcome.
#[derive(Debug)]
enum Outcome {
    Answered(Answer),
    Closed,
    Hung,
}

async fn run(address: std::net::SocketAddr, case: &Case) -> Outcome {
    let mut wire = Wire::to(address).await;
    let closed_only = matches!(case.expect, Expect::Closed);
    let talk = async {
        for (number, piece) in case.sent.iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if !wire.try_send(piece).await {
                break;
            }
        }
        if closed_only {
            wire.drain().await;
            return Outcome::Closed;
        }
        match wire.try_answer().await {
            Some(answer) => Outcome::Answered(answer),
            None => Outcome::Closed,
        }
    };
    tokio::time::timeout(HANGS, talk)
        .await
        .unwrap_or(Outcome::Hung)
}

/// Returns a description of an unexpected outcome, or `None`.
fn complaint(case: &Case, outcome: &Outcome) -> Option<String> {
    let fits = match (&case.expect, outcome) {
        (_, Outcome::Hung) => false,
        (Expect::Refused(status, code), Outcome::Answered(answer)) => {
            answer.status == *status && (code.is_empty() || answer.code() == *code)
        }
        (Expect::NoHttp, Outcome::Answered(answer)) => {
            (400..=505).contains(&answer.status) && answer.status != 500
        }
        (Expect::NoHttp | Expect::Closed, Outcome::Closed) => true,
        (Expect::Served, Outcome::Answered(answer)) => answer.status < 300,
        (Expect::Clear, Outcome::Answered(answer)) => answer.status < 500 || answer.status == 503,
        (Expect::Closed, Outcome::Answered(_))
        | (Expect::Refused(..) | Expect::Served | Expect::Clear, Outcome::Closed) => false,
    };
    (!fits).then(|| format!("{}: expected {:?}, was {outcome:?}", case.what, case.expect))
}

/// Runs all cases concurrently while an ordinary reader and an ordinary writer continue.
async fn attack(cases: Vec<Case>) {
    let process = Process::start(&LIMITS).await;
    let mut reader = process.send(get("/sse/healthy")).await;
    reader.head().await;
    process.publish("healthy", b"warm").await;
    reader.until("data: warm\n").await;
    let before = process.resident_kib();
    let address = process.address;
    let mut running = JoinSet::new();
    for case in cases {
        running.spawn(async move {
            let outcome = run(address, &case).await;
            complaint(&case, &outcome)
        });
    }
    let (mut wrong, mut slowest) = (Vec::new(), Duration::ZERO);
    let mut number = 0;
    while !running.is_empty() {
        while let Some(done) = running.try_join_next() {
            wrong.extend(done.unwrap());
        }
        let began = Instant::now();
        number += 1;
        let text = format!("beat {number}");
        assert_eq!(
            process.publish("healthy", text.as_bytes()).await.status,
            201
        );
        reader.until(&format!("data: {text}\n")).await;
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(wrong, [""; 0]);
    assert!(
        slowest < Duration::from_secs(3),
        "others waited {slowest:?}"
    );
    eventually("all are gone", async || {
        process.metric("triway_connections").await <= 2.0
    })
    .await;
    eventually("memory is back", async || {
        process.resident_kib() < before + KEPT_KIB
    })
    .await;
    let smuggled = process.get("/history/smuggled").await.json();
    assert_eq!(
        smuggled["frames"].as_array().unwrap().len(),
        0,
        "{smuggled}"
    );
    let errors = process.errors();
    assert!(!errors.contains("panicked"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_heads_and_bodies_are_refused() {
    attack(heads::cases()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meaningless_parameters_and_bodies_are_refused() {
    attack(words::cases()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_with_invalid_frames_are_closed() {
    attack(sockets::cases()).await;
}

#[test]
fn there_are_at_least_two_hundred_hostile_cases() {
    let count = heads::cases().len() + words::cases().len() + sockets::cases().len();
    assert!(count >= 200, "{count}");
}

#[tokio::test]
async fn requests_pipelined_behind_a_stream_wait_and_cost_little() {
    let process = Process::start(&LIMITS).await;
    let before = process.resident_kib();
    let mut streams = Vec::new();
    let cursor = process.publish("a", b"before").await.json()["id"].clone();
    let poll = format!("/poll/a?since={}&wait=60&early=1", cursor.as_str().unwrap());
    for target in ["/sse/a?heartbeat=1", &poll] {
        for _ in 0..20 {
            let mut wire = process.send(get(target)).await;
            wire.head().await;
            // This is far more than the server reads ahead: the sender blocks, and the stream continues.
            let behind =
                "POST /pub/behind HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
                    .repeat(200_000);
            let sending =
                tokio::time::timeout(Duration::from_millis(50), wire.try_send(behind)).await;
            assert!(sending.is_err(), "all of it was taken");
            streams.push(wire);
        }
    }
    assert!(
        process.resident_kib() < before + KEPT_KIB,
        "{before} {}",
        process.resident_kib()
    );
    assert_eq!(process.publish("a", b"to the streams").await.status, 201);
    for wire in &mut streams[..20] {
        wire.until("data: to the streams\n").await;
    }
    drop(streams.split_off(20));
    let behind = process.get("/history/behind?limit=1000").await.json();
    let count = behind["frames"].as_array().unwrap().len();
    assert!(
        count <= 20 * 300,
        "only what was read ahead of an answered poll may follow it: {count}"
    );
    drop(streams);
    eventually("all are gone", async || {
        process.metric("triway_connections").await <= 1.0
    })
    .await;
    assert_eq!(process.errors(), "");
}

#[tokio::test]
async fn slow_heads_and_bodies_end_at_their_limits() {
    let process = Process::start(&LIMITS).await;
    let began = Instant::now();
    let mut slow = JoinSet::new();
    let address = process.address;
    for (start, drip) in [
        ("GET /sse/a HTTP/1.1\r\n", "X: 1\r\n"),
        ("GET /", "a"),
        ("", "\r\n"),
        (
            "POST /pub/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
            "x",
        ),
        (
            "POST /send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
        ),
        (
            "POST /poll HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;",
            "x",
        ),
    ] {
        slow.spawn(async move {
            let mut wire = Wire::to(address).await;
            wire.send(start).await;
            loop {
                if !wire.try_send(drip).await {
                    return;
                }
                let mut byte = [0; 256];
                let waited =
                    tokio::time::timeout(Duration::from_millis(50), wire.stream.read(&mut byte))
                        .await;
                if matches!(waited, Ok(Ok(0) | Err(_))) {
                    return;
                }
            }
        });
    }
    in_time(slow.join_all()).await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(process.get("/healthz").await.status, 200);
    assert_eq!(process.errors(), "");
}
