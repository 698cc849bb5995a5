//! `triway bench`: it measures every transport against a real hub and detects a faulty hub.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod wrong;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::{Hub, Running, text, triway};
use wrong::{Fault, STALL, WrongHub};

const READERS: u64 = 20;
const EVENTS: u64 = 150;
/// Arguments for one round with few readers and few events.
const SHORT: &[&str] = &[
    "--readers",
    "20",
    "--events",
    "150",
    "--rounds",
    "1",
    "--quiet",
];
/// Longest time for one step of these tests. A slower step has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn bench(arguments: &[&str]) -> Output {
    triway().arg("bench").args(arguments).output().unwrap()
}

/// Returns the report that a bench without faults prints on standard output.
fn report(arguments: &[&str]) -> Value {
    let out = bench(&[SHORT, arguments, &["--json", "-"]].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn results(report: &Value) -> &[Value] {
    report["results"].as_array().unwrap()
}

#[track_caller]
fn number(figures: &Value, pointer: &str) -> f64 {
    let found = figures.pointer(pointer).unwrap_or(&Value::Null);
    let number = found.as_f64();
    number.unwrap_or_else(|| panic!("{pointer}: {found} in {figures}"))
}

/// Asserts the rules of every run: each event reaches each reader once and in order, with a plausible latency.
#[track_caller]
fn judge(figures: &Value, deliveries: u64) {
    for (name, expected) in [
        ("/readers", READERS),
        ("/deliveries", deliveries),
        ("/lost", 0),
        ("/twice", 0),
        ("/reordered", 0),
        ("/gaps", 0),
    ] {
        let found = figures.pointer(name).unwrap();
        assert_eq!(found, expected, "{name}: {figures}");
    }
    let percentiles = ["p50", "p99", "p999", "max"];
    let percentiles = percentiles.map(|name| number(figures, &format!("/latency/{name}_us")));
    assert!(percentiles.is_sorted(), "{percentiles:?}");
    assert!((1.0..20e6).contains(&percentiles[0]), "{percentiles:?}");
    assert!(number(figures, "/connect/p50_ms") <= number(figures, "/connect/max_ms"));
    assert!(number(figures, "/events_per_second") > 1.0);
    // An event is a frame of over 100 bytes on every transport.
    assert!((100.0..2_000.0).contains(&number(figures, "/bytes_per_event")));
}

#[test]
fn all_transports_are_measured_on_a_hub_of_its_own() {
    let report = report(&["--channels", "3"]);
    let transports: Vec<_> = results(&report)
        .iter()
        .map(|one| &one["transport"])
        .collect();
    assert_eq!(transports, ["ws", "sse", "poll"]);
    for figures in results(&report) {
        // 20 readers share 3 channels, and consecutive events go to consecutive channels.
        judge(figures, READERS * EVENTS / 3);
        assert_eq!(figures["events"], EVENTS);
        let requests = number(figures, "/requests_per_event");
        let is_poll = figures["transport"] == "poll";
        assert_eq!(requests > 0.0, is_poll, "{requests}");
    }
    let told = report["warnings"].to_string();
    assert_eq!(
        told.contains("debug build"),
        cfg!(debug_assertions),
        "{told}"
    );
}

/// CPU time and memory come from the operating system's figures for the server process.
#[cfg(target_os = "linux")]
#[test]
fn cpu_time_and_memory_of_the_server_process_are_measured() {
    let own = report(&["--transport", "sse"]);
    let hub = Hub::start(&["--listen", "127.0.0.1:0", "--publish-rate", "0"]);
    let pid = hub.process.0.id().to_string();
    let named = report(&[
        "--url",
        &hub.url,
        "--server-pid",
        &pid,
        "--transport",
        "sse,poll",
    ]);
    for figures in [&results(&own)[0], &results(&named)[0]] {
        assert!((500.0..5e6).contains(&number(figures, "/server_cpu_ns_per_delivery")));
        assert!((100.0..200_000.0).contains(&number(figures, "/idle_rss_bytes_per_connection")));
        assert!(number(figures, "/connect/server_cpu_us_per_connection") > 1.0);
        assert!(number(figures, "/load_cpu_share") > 0.0);
    }
    // The second run on one hub cannot measure idle memory: the hub still holds memory of the first run.
    assert!(results(&named)[1]["idle_rss_bytes_per_connection"].is_null());
}

#[test]
fn every_reader_may_publish_over_its_own_transport() {
    let report = report(&["--publishers", "all", "--channels", "4"]);
    for figures in results(&report) {
        judge(figures, EVENTS * READERS / 4);
    }
}

#[test]
fn the_window_and_the_rate_are_respected() {
    for figures in results(&report(&["--window", "16", "--payload", "70000"])) {
        let mut small = figures.clone();
        assert!(number(&small, "/bytes_per_event") > 70_000.0);
        small["bytes_per_event"] = 150.into();
        judge(&small, EVENTS * READERS);
    }
    let report = report(&["--rate", "300", "--transport", "ws"]);
    let figures = &results(&report)[0];
    judge(figures, EVENTS * READERS);
    let rate = number(figures, "/events_per_second");
    assert!(
        (30.0..310.0).contains(&rate),
        "never faster than the schedule: {rate}"
    );
    assert!(number(figures, "/late_p99_us") >= 0.0);
}

/// The bench measures a running hub, which keeps its own limits. It does not inspect the hub's process.
#[test]
fn a_running_hub_is_measured() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0", "--publish-rate", "0"]);
    let report = report(&["--url", &hub.url]);
    for figures in results(&report) {
        judge(figures, EVENTS * READERS);
        assert!(figures["server_cpu_ns_per_delivery"].is_null());
    }
    let told = report["warnings"].to_string();
    assert!(told.contains("--server-pid"), "{told}");
}

#[test]
fn the_html_page_is_self_contained_and_the_table_is_readable() {
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.html");
    let page_name = page.to_str().unwrap();
    let arguments = [
        "--readers",
        "20",
        "--events",
        "50",
        "--rounds",
        "2",
        "--html",
        page_name,
    ];
    let out = bench(&arguments);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let table = text(&out.stdout);
    let head: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["WebSocket", "SSE", "long", "polling"]);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
    assert_eq!(
        row("lost").split_whitespace().collect::<Vec<_>>(),
        ["lost", "0", "0", "0"]
    );
    assert!(row("deliveries  ").ends_with("2,000"), "{table}");
    assert!(row("latency, 99 %").contains('s'), "{table}");
    assert!(text(&out.stderr).contains("warning: "), "50 events are few");

    let page = std::fs::read_to_string(page).unwrap();
    for foreign in ["src=", "href=", "url(", "import ", "fetch(", "REPORT<"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let begin = page.find("id=\"report\">").unwrap() + "id=\"report\">".len();
    let end = begin + page[begin..].find("</script>").unwrap();
    let report: Value = serde_json::from_str(&page[begin..end]).unwrap();
    assert_eq!(results(&report).len(), 6);
    let curve = report["results"][0]["latency"]["curve"].as_array().unwrap();
    assert!(curve.len() > 5, "{curve:?}");
}

/// The bench counts and reports each fault of a hub, and then fails.
#[test]
fn a_hub_that_loses_repeats_or_reorders_is_detected() {
    let cases = [
        (Fault::Loses, "/lost", "1 lost, 0 twice, 0 out of order"),
        (Fault::Repeats, "/twice", "0 lost, 1 twice, 0 out of order"),
        (
            Fault::Reorders,
            "/reordered",
            "0 lost, 0 twice, 1 out of order",
        ),
    ];
    std::thread::scope(|scope| {
        for (fault, counted, told) in cases {
            scope.spawn(move || {
                let hub = WrongHub::start(fault);
                let arguments = [
                    "--transport",
                    "sse",
                    "--publishers",
                    "all",
                    "--readers",
                    "3",
                ];
                let more = [
                    "--events", "60", "--rounds", "1", "--json", "-", "--url", &hub.url,
                ];
                let out = bench(&[&arguments[..], &more].concat());
                let errors = text(&out.stderr);
                assert_eq!(out.status.code(), Some(1), "{fault:?}: {errors}");
                assert!(errors.contains(told), "{fault:?}: {errors}");
                let report: Value = serde_json::from_slice(&out.stdout).unwrap();
                assert_eq!(
                    report["results"][0].pointer(counted).unwrap(),
                    1,
                    "{report}"
                );
            });
        }
    });
}

/// At a fixed rate, a stall counts for every event that it delays, and not only for the events in flight (coordinated
/// omission). A stall of 0.8 s affects a quarter of the events of 3 s at 100 events per second.
#[test]
fn a_stall_counts_for_every_event_that_it_delays() {
    let hub = WrongHub::start(Fault::Stalls);
    let arguments = [
        "--url",
        &hub.url,
        "--transport",
        "sse",
        "--publishers",
        "all",
        "--readers",
        "3",
    ];
    let more = [
        "--rate",
        "100",
        "--seconds",
        "3",
        "--rounds",
        "1",
        "--quiet",
        "--json",
        "-",
    ];
    let out = bench(&[&arguments[..], &more].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let figures = &results(&report)[0];
    let curve = figures["latency"]["curve"].as_array().unwrap();
    let at_85 = curve
        .iter()
        .find(|point| number(point, "/0") >= 85.0)
        .unwrap();
    let stall_us = STALL.as_secs_f64() * 1e6;
    assert!(number(at_85, "/1") > stall_us / 8.0, "{at_85} of {curve:?}");
    assert!(number(figures, "/latency/max_us") > stall_us / 2.0);
}

#[test]
fn contradictory_and_invalid_options_are_refused_with_a_hint() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--rate", "5", "--window", "2"], 2, "--rate"),
        (&["--events", "5", "--seconds", "2"], 2, "--seconds"),
        (&["--server-pid", "1"], 2, "--url"),
        (&["--readers", "0"], 2, "--readers"),
        (&["--payload", "3"], 2, "--payload"),
        (&["--publishers", "some"], 2, "or all"),
        (&["--seconds", "0"], 2, "from 0.1"),
        (&["--transport", "wss"], 2, "ws"),
        (&["--url", "https://localhost"], 2, "only http"),
        (
            &["--readers", "2", "--channels", "5"],
            1,
            "each channel needs a reader",
        ),
        (
            &["--json", "-", "--html", "-"],
            1,
            "give one of them a file",
        ),
        (&["--html", "no/such/folder/x.html"], 1, "create it first"),
        (
            &["--rate", "100000", "--seconds", "3000"],
            1,
            "shorter time",
        ),
        (
            &["--url", "http://127.0.0.1:9"],
            1,
            "cannot connect to 127.0.0.1:9",
        ),
    ];
    for (arguments, code, hint) in cases {
        let out = bench(arguments);
        let errors = text(&out.stderr);
        assert_eq!(out.status.code(), Some(*code), "{arguments:?}: {errors}");
        assert!(errors.contains(hint), "{arguments:?}: {errors}");
    }
    let program = env!("CARGO_BIN_EXE_triway");
    let script = format!("ulimit -n 100; exec '{program}' bench --readers 200");
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    let errors = text(&out.stderr);
    assert!(
        errors.contains("ulimit -n 265") && errors.contains("may have 100"),
        "{errors}"
    );
}

#[test]
fn every_option_is_documented() {
    let help = text(&bench(&["--help"]).stdout);
    let document = std::fs::read_to_string("docs/benchmarks.md").unwrap();
    let flags = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"));
    let flags: Vec<_> = flags
        .map(|flag| flag.trim_end_matches(|c: char| !c.is_alphanumeric()))
        .filter(|flag| *flag != "--help")
        .collect();
    assert!(flags.len() > 15, "{flags:?}");
    for flag in flags {
        assert!(document.contains(&format!("`{flag}")), "{flag}");
    }
}

/// The server that a bench starts ends together with the bench.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_also_ends_the_server() {
    let mut command = triway();
    command.args(["bench", "--readers", "5", "--seconds", "600", "--quiet"]);
    let mut bench = Running::start(&mut command);
    let children = format!("/proc/{0}/task/{0}/children", bench.0.id());
    let began = Instant::now();
    let server = loop {
        let children = std::fs::read_to_string(&children).unwrap();
        if let Some(child) = children.split_whitespace().next() {
            break child.to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "no server");
        std::thread::sleep(Duration::from_millis(5));
    };
    bench.signal("INT");
    assert_eq!(bench.ends().code(), Some(1));
    assert!(bench.errors().contains("interrupted"));
    let server = format!("/proc/{server}/status");
    let is_over =
        || !std::fs::read_to_string(&server).is_ok_and(|status| !status.contains("State:\tZ"));
    while !is_over() {
        assert!(began.elapsed() < PATIENCE, "the server goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}
