//! The report as plain text: one column per transport, with the medians of its rounds.
//!
//! This file measures nothing.

use std::fmt::Write;

use super::report::{Figures, Report};

/// The unit in which a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    Ns,
    Us,
    Ms,
    Bytes,
    Count,
    Share,
}

/// A row: its label, its figure and its unit.
type Row = (&'static str, fn(&Figures) -> Option<f64>, Unit);

const ROWS: &[Row] = &[
    ("latency, median", |one| one.latency.p50_us, Unit::Us),
    ("latency, 99 %", |one| one.latency.p99_us, Unit::Us),
    ("latency, 99.9 %", |one| one.latency.p999_us, Unit::Us),
    ("latency, largest", |one| one.latency.max_us, Unit::Us),
    (
        "events per second",
        |one| Some(one.events_per_second),
        Unit::Count,
    ),
    (
        "deliveries per second",
        |one| Some(one.deliveries_per_second),
        Unit::Count,
    ),
    (
        "server CPU per delivery",
        |one| one.server_cpu_ns_per_delivery,
        Unit::Ns,
    ),
    ("bytes per delivery", |one| one.bytes_per_event, Unit::Bytes),
    (
        "requests per delivery",
        |one| one.requests_per_event,
        Unit::Count,
    ),
    (
        "memory per idle reader",
        |one| one.idle_rss_bytes_per_connection,
        Unit::Bytes,
    ),
    ("connect, median", |one| one.connect.p50_ms, Unit::Ms),
    ("connect, 99 %", |one| one.connect.p99_ms, Unit::Ms),
    ("connect, largest", |one| one.connect.max_ms, Unit::Ms),
    (
        "server CPU per connection",
        |one| one.connect.server_cpu_us_per_connection,
        Unit::Us,
    ),
    (
        "server, of its core",
        |one| one.server_cpu_share,
        Unit::Share,
    ),
    ("load, of its core", |one| one.load_cpu_share, Unit::Share),
];

/// A figure that is summed over all rounds, with its label.
type Count = (&'static str, fn(&Figures) -> u64);

const COUNTS: &[Count] = &[
    ("deliveries", |one| one.deliveries),
    ("lost", |one| one.lost),
    ("twice", |one| one.twice),
    ("out of order", |one| one.reordered),
];

pub(super) fn table(report: &Report<'_>) -> String {
    let vias = &report.options.transports;
    let of = |name: &str| -> Vec<&Figures> {
        report
            .results
            .iter()
            .filter(|one| one.transport == name)
            .collect()
    };
    let columns: Vec<_> = vias.iter().map(|via| of(via.name())).collect();
    let mut lines = vec![(
        String::new(),
        vias.iter().map(|via| via.label().to_owned()).collect(),
    )];
    for (name, figure, unit) in ROWS {
        let cell = |rounds: &Vec<&Figures>| {
            let figures = rounds.iter().filter_map(|one| figure(one)).collect();
            median(figures).map_or_else(|| "-".to_owned(), |figure| unit.write(figure))
        };
        lines.push(((*name).to_owned(), columns.iter().map(cell).collect()));
    }
    for (name, count) in COUNTS {
        let cell = |rounds: &Vec<&Figures>| grouped(rounds.iter().map(|one| count(one)).sum());
        lines.push(((*name).to_owned(), columns.iter().map(cell).collect()));
    }
    aligned(&lines)
}

/// Aligns names to the left and figures to the right.
fn aligned(lines: &[(String, Vec<String>)]) -> String {
    let width = |text: &String| text.chars().count();
    let names = lines
        .iter()
        .map(|(name, _)| width(name))
        .max()
        .unwrap_or_default();
    let cells = lines
        .iter()
        .flat_map(|(_, cells)| cells.iter().map(width))
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for (name, row) in lines {
        let _ = write!(text, "{name:<names$}");
        for cell in row {
            let _ = write!(text, "   {cell:>cells$}");
        }
        text.push('\n');
    }
    text
}

pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (upper, lower) = (figures.len() / 2, figures.len().checked_sub(1)? / 2);
    Some(f64::midpoint(figures[lower], figures[upper]))
}

impl Unit {
    fn write(self, figure: f64) -> String {
        const TIMES: &[(f64, &str)] = &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
        const SIZES: &[(f64, &str)] = &[(1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "B")];
        match self {
            Self::Ns => scaled(figure, TIMES),
            Self::Us => scaled(figure * 1e3, TIMES),
            Self::Ms => scaled(figure * 1e6, TIMES),
            Self::Bytes => scaled(figure, SIZES),
            Self::Count => digits(figure),
            Self::Share => format!("{} %", digits(figure * 100.0)),
        }
    }
}

fn scaled(figure: f64, units: &[(f64, &str)]) -> String {
    let fits = units.iter().find(|(size, _)| figure >= *size);
    let (size, unit) = fits.or(units.last()).expect("there are units");
    format!("{} {unit}", digits(figure / size))
}

/// Formats a figure with three significant digits, or as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are neither negative nor near the end of u64"
)]
fn digits(figure: f64) -> String {
    match figure {
        0.0 => "0".to_owned(),
        figure if figure < 0.1 => format!("{figure:.3}"),
        figure if figure < 9.995 => format!("{figure:.2}"),
        figure if figure < 99.95 => format!("{figure:.1}"),
        figure => grouped(figure.round() as u64),
    }
}

/// Formats a number with thousands separators: 1,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let mut text = digits[..head].to_owned();
    for (n, digit) in digits[head..].chars().enumerate() {
        if n % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let cases = [
            (Unit::Ns, 216.4, "216 ns"),
            (Unit::Us, 12_632.1, "12.6 ms"),
            (Unit::Us, 0.5, "500 ns"),
            (Unit::Ms, 0.0421, "42.1 µs"),
            (Unit::Bytes, 3_227.6, "3.15 KiB"),
            (Unit::Count, 0.0, "0"),
            (Unit::Count, 0.0625, "0.062"),
            (Unit::Count, 1_234_567.0, "1,234,567"),
            (Unit::Share, 0.129, "12.9 %"),
        ];
        for (unit, figure, expected) in cases {
            assert_eq!(unit.write(figure), expected);
        }
        assert_eq!(
            [0, 7, 999, 1_000, 1_000_000].map(grouped),
            ["0", "7", "999", "1,000", "1,000,000"]
        );
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn columns_are_aligned() {
        let row =
            |name: &str, cells: [&str; 2]| (name.to_owned(), cells.map(str::to_owned).to_vec());
        let text = aligned(&[row("", ["WS", "SSE"]), row("bytes", ["1.00 KiB", "7 µs"])]);
        assert_eq!(
            text,
            "              WS        SSE\nbytes   1.00 KiB       7 µs\n"
        );
    }
}
