//! The arithmetic of `cargo bench --bench ratios`, its guard and its tables: a guard that cannot fail guards nothing.

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
use report::{Line, guard_table, replaced, table};
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
        before: None,
        ratio: Spread::of(ratios.iter().copied()),
        others: "",
        busy_share: None,
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
fn the_guard_fails_beyond_the_noise_of_its_own_run_and_not_within() {
    let spread = |figures: [f64; 3]| Spread::of(figures).unwrap();
    let before = spread([100.0, 104.0, 110.0]);
    assert!(is_worse(spread([111.0, 115.0, 140.0]), before));
    assert!(
        !is_worse(spread([109.0, 130.0, 140.0]), before),
        "they meet"
    );
    assert!(!is_worse(spread([50.0, 60.0, 70.0]), before));
    // Even in a calm run, two builds of one source differ by some percent.
    let calm = spread([100.0, 100.0, 100.0]);
    assert!(!is_worse(spread([104.0, 104.0, 104.0]), calm));
    assert!(is_worse(spread([106.0, 106.0, 106.0]), calm));
}

#[test]
fn the_guard_says_what_changed() {
    let changed = Line {
        before: Spread::of([1_000.0]),
        ..line("WS fan-out", &[1.2], 1.2)
    };
    let table = guard_table(&[changed, line("SSE fan-out", &[1.2], 1.2)]);
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert!(rows[0].starts_with("| WS fan-out | 1.50 | 1500.00 / **1500.00** / 1500.00 ns |"));
    assert!(rows[1].starts_with("| SSE fan-out | – |") && rows[1].ends_with("| – |"));
}

#[test]
fn a_table_replaces_the_one_between_its_markers() {
    let old = "a\n<!-- targets: begin -->\nold\n<!-- targets: end -->\nz";
    let new = table(&[line("WS fan-out", &[1.0], 1.2)]);
    let text = replaced(old, "targets", &new).unwrap();
    assert!(text.starts_with("a\n") && text.ends_with("\nz") && !text.contains("old"));
    assert_eq!(replaced(&text, "targets", &new).unwrap(), text);
    assert_eq!(replaced(&text, "elsewhere", ""), None);
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
fn rows_have_names_of_their_own_and_figures_are_found() {
    for rows in [rows::all(2.0), rows::short(1.0)] {
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
    assert_eq!(Figure::CpuPerRequest.of(&result), None);
    assert_eq!(Figure::IdleMemory.of(&result), Some(2.0));
    assert_eq!(Figure::LongestConnect.of(&result), Some(0.25));
    assert_eq!(Figure::ConnectCpu.of(&result), None);
    assert_eq!(Figure::LatencyP99.of(&result), None);
}
