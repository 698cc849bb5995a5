//! The arithmetic of `cargo bench --bench ratios`, and the tables that its guard reads. A guard that cannot fail
//! protects nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "the bench uses the rest")]

#[path = "../../benches/ratios/ratio.rs"]
mod ratio;
#[path = "../../benches/ratios/report.rs"]
mod report;
#[path = "../../benches/ratios/rows.rs"]
mod rows;

use std::collections::HashSet;

use ratio::{Spread, is_worse};
use report::{Line, documented, guard_table, replaced, table};
use serde_json::json;

fn line(name: &str, ratios: &[f64], target: f64) -> Line {
    Line {
        name: name.into(),
        floor: "floor",
        target,
        is_absolute: false,
        unit: "ns",
        ours: Spread::of([1_500.0]),
        floors: Spread::of([1_250.0]),
        ratio: Spread::of(ratios.iter().copied()),
        others: "",
        busy_share: 0.0,
    }
}

#[test]
fn ratios_are_taken_round_by_round() {
    // Both sides were twice as slow in the second round, so their ratio did not change.
    let ours = [Some(110.0), Some(220.0), Some(130.0), None, Some(5.0)];
    let floor = [Some(100.0), Some(200.0), Some(100.0), Some(100.0), None];
    let spread = Spread::of_ratios(&ours, &floor).unwrap();
    let told = [spread.min, spread.median, spread.max].map(|ratio| format!("{ratio:.2}"));
    assert_eq!(told, ["1.10", "1.10", "1.30"]);
    assert_eq!(Spread::of([1.0, 4.0, 2.0, 3.0]).unwrap().median, 2.5);
    assert_eq!(Spread::of([]), None);
    assert_eq!(Spread::of_ratios(&[Some(1.0)], &[Some(0.0)]), None);
}

#[test]
fn the_guard_fails_only_beyond_the_documented_noise() {
    let calm = Spread::of([1.10, 1.10, 1.11]).unwrap();
    assert!(
        (calm.noise() - 0.055).abs() < 1e-9,
        "at least a twentieth: {}",
        calm.noise()
    );
    let restless = Spread::of([1.0, 1.1, 1.4]).unwrap();
    assert!((restless.noise() - 0.4).abs() < 1e-9);
    assert!(!is_worse(1.49, restless.median, restless.noise()));
    assert!(is_worse(1.51, restless.median, restless.noise()));
    assert!(!is_worse(0.5, restless.median, restless.noise()));
}

#[test]
fn the_guard_reads_the_written_table() {
    let empty = "a\n<!-- guard: begin -->\nold\n<!-- guard: end -->\nz";
    let lines = [
        line("WS fan-out", &[1.0, 1.1, 1.4], 1.2),
        line("SSE fan-out", &[2.0, 2.0, 2.0], 1.2),
    ];
    let text = replaced(empty, "guard", &guard_table(&lines)).unwrap();
    assert!(text.starts_with("a\n") && text.ends_with("\nz") && !text.contains("old"));
    assert_eq!(documented(&text, "WS fan-out"), Some((1.1, 0.4)));
    assert_eq!(documented(&text, "SSE fan-out"), Some((2.0, 0.1)));
    assert_eq!(documented(&text, "fan-out"), None);
    assert_eq!(replaced(&text, "elsewhere", ""), None);
    // A second write replaces the first.
    let again = replaced(&text, "guard", &guard_table(&lines)).unwrap();
    assert_eq!(again, text);
}

#[test]
fn the_table_shows_which_targets_are_met() {
    let mut lines = vec![
        line("good", &[1.0, 1.1, 1.4], 1.2),
        line("bad", &[1.0, 1.3, 1.4], 1.2),
        line("lost", &[], 1.2),
    ];
    // This line is judged by its own figure, not by the ratio.
    lines.push(Line {
        is_absolute: true,
        ours: Spread::of([2.4]),
        target: 2.5,
        unit: "KB",
        ..line("small", &[9.0], 0.0)
    });
    let table = table(&lines);
    let met: Vec<&str> = table
        .lines()
        .skip(2)
        .map(|row| row.split('|').nth(3).unwrap().trim())
        .collect();
    assert_eq!(met, ["yes", "**no**", "not measured", "yes"]);
    assert!(table.contains("| ≤ 2.5 KB |") && table.contains("1.00 / **1.10** / 1.40"));
}

#[test]
fn rows_have_unique_names_and_their_figures_are_found() {
    for rows in [rows::all("--seconds 2"), rows::short("--seconds 2")] {
        let names: HashSet<_> = rows.iter().map(|row| row.name.clone()).collect();
        assert_eq!(names.len(), rows.len());
    }
    let result = json!({
        "server_cpu_ns_per_delivery": 1_200.0,
        "idle_rss_bytes_per_connection": 2_048,
        "connect": { "max_ms": 250.0, "server_cpu_us_per_connection": null },
    });
    use rows::Figure;
    assert_eq!(Figure::CpuPerDelivery.of(&result), Some(1_200.0));
    assert_eq!(Figure::IdleMemory.of(&result), Some(2.0));
    assert_eq!(Figure::LongestConnect.of(&result), Some(0.25));
    assert_eq!(Figure::ConnectCpu.of(&result), None);
    assert_eq!(Figure::LatencyP99.of(&result), None);
}

/// Every row of the guard must have a documented figure. Without one, the guard could not fail.
#[test]
fn each_row_of_the_guard_is_documented() {
    let text = std::fs::read_to_string("docs/benchmarks.md").unwrap();
    for row in rows::short("") {
        assert!(documented(&text, &row.name).is_some(), "{}", row.name);
    }
}
