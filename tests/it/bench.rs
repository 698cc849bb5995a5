//! `triway bench`: every transport measured against a real hub, and a hub that is wrong found out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Output;

use serde_json::Value;

use crate::cli::{text, triway};

const READERS: u64 = 20;
const EVENTS: u64 = 150;

fn bench(arguments: &[&str]) -> Output {
    triway().arg("bench").args(arguments).output().unwrap()
}

/// The report on standard output of a bench that found nothing wrong.
fn report(arguments: &[&str]) -> Value {
    let out = bench(&[arguments, &["--quiet", "--json", "-"]].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn number(figures: &Value, pointer: &str) -> f64 {
    let found = figures.pointer(pointer).unwrap_or(&Value::Null);
    found
        .as_f64()
        .unwrap_or_else(|| panic!("{pointer}: {found} in {figures}"))
}

/// What must hold of every run: each event once at each reader, in order, in a time that can be.
fn judge(figures: &Value, events: u64) {
    for (name, expected) in [
        ("/readers", READERS),
        ("/events", events),
        ("/deliveries", READERS * events),
        ("/lost", 0),
        ("/twice", 0),
        ("/reordered", 0),
        ("/gaps", 0),
    ] {
        assert_eq!(
            figures.pointer(name).unwrap(),
            expected,
            "{name}: {figures}"
        );
    }
    let percentiles = [
        "/latency/p50_us",
        "/latency/p99_us",
        "/latency/p999_us",
        "/latency/max_us",
    ];
    let percentiles = percentiles.map(|name| number(figures, name));
    assert!(percentiles.is_sorted(), "{percentiles:?}");
    assert!((1.0..20e6).contains(&percentiles[0]), "{percentiles:?}");
    assert!(number(figures, "/connect/p50_ms") <= number(figures, "/connect/max_ms"));
    assert!(number(figures, "/events_per_second") > 1.0);
    // The event is a frame of over 100 bytes, whatever it is wrapped in.
    assert!((100.0..2_000.0).contains(&number(figures, "/bytes_per_event")));
}

#[test]
fn all_transports_are_measured_on_a_hub_of_its_own() {
    let (readers, events) = (READERS.to_string(), EVENTS.to_string());
    let report = report(&[
        "--readers",
        &readers,
        "--events",
        &events,
        "--rounds",
        "1",
        "--channels",
        "3",
    ]);
    let results = report["results"].as_array().unwrap();
    let transports: Vec<_> = results.iter().map(|one| &one["transport"]).collect();
    assert_eq!(transports, ["ws", "sse", "poll"]);
    for figures in results {
        // 20 readers on 3 channels are 7, 7 and 6, and the events go round.
        let mut whole = figures.clone();
        whole["deliveries"] = (READERS * EVENTS).into();
        judge(&whole, EVENTS);
        assert_eq!(figures["deliveries"], EVENTS / 3 * READERS);
        let requests = number(figures, "/requests_per_event");
        let is_poll = figures["transport"] == "poll";
        assert!(
            if is_poll {
                requests > 0.5
            } else {
                requests == 0.0
            },
            "{requests}"
        );
    }
}
