//! The tables: on the terminal, and between their markers in the document.
//!
//! This module is pure: texts in, texts out. `ratio` interprets the documented figures.

use super::ratio::Spread;

/// The figures of one row.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// The name of the floor.
    pub(crate) floor: &'static str,
    pub(crate) target: f64,
    /// Whether the target is a figure in `unit` and not a ratio.
    pub(crate) is_absolute: bool,
    pub(crate) unit: &'static str,
    pub(crate) ours: Option<Spread>,
    pub(crate) floors: Option<Spread>,
    pub(crate) ratio: Option<Spread>,
    pub(crate) others: &'static str,
    /// The largest share of the machine's CPU time that other processes used in one of the runs.
    pub(crate) busy_share: f64,
}

impl Line {
    /// Returns the figures to compare with the target.
    pub(crate) fn judged(&self) -> Option<Spread> {
        if self.is_absolute {
            self.ours
        } else {
            self.ratio
        }
    }

    fn met(&self) -> &'static str {
        match self.judged() {
            Some(spread) if spread.median <= self.target => "yes",
            Some(_) => "**no**",
            None => "not measured",
        }
    }

    fn target(&self) -> String {
        if self.is_absolute {
            format!("≤ {} {}", self.target, self.unit)
        } else {
            format!("≤ {} × {}", self.target, self.floor)
        }
    }

    /// Returns the line in the table of targets.
    pub(crate) fn of_table(&self) -> String {
        let dash = || "–".to_owned();
        let ratio = self.ratio.map_or_else(dash, |spread| told(spread, ""));
        let figures = |spread: Option<Spread>| {
            spread.map_or_else(dash, |spread| figure(spread.median, self.unit))
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            self.name,
            self.target(),
            self.met(),
            ratio,
            figures(self.ours),
            figures(self.floors),
            self.others
        )
    }

    /// Returns the line in the guard's table, or `None` without a ratio.
    pub(crate) fn of_guard(&self) -> Option<String> {
        let ratio = self.ratio?;
        Some(format!(
            "| {} | {:.2} | {:.2} |",
            self.name,
            ratio.median,
            ratio.noise()
        ))
    }
}

fn told(spread: Spread, unit: &str) -> String {
    let Spread { min, median, max } = spread;
    format!("{min:.2} / **{median:.2}** / {max:.2}{unit}")
}

fn figure(number: f64, unit: &str) -> String {
    if number < 10.0 {
        format!("{number:.2} {unit}")
    } else {
        format!("{number:.0} {unit}")
    }
}

/// Returns the table of targets.
pub(crate) fn table(lines: &[Line]) -> String {
    let head = "| row | target | met | × floor: minimum / **median** / maximum | triway | floor | others |\n| --- | --- | --- | --- | --- | --- | --- |";
    joined(head, lines.iter().map(Line::of_table))
}

/// Returns the guard's table.
pub(crate) fn guard_table(lines: &[Line]) -> String {
    let head = "| row | × floor | noise |\n| --- | --- | --- |";
    joined(head, lines.iter().filter_map(Line::of_guard))
}

fn joined(head: &str, rows: impl Iterator<Item = String>) -> String {
    rows.fold(head.to_owned(), |table, row| table + "\n" + &row)
}

/// Returns the documented ratio of a row in the guard's table, and its noise.
pub(crate) fn documented(document: &str, name: &str) -> Option<(f64, f64)> {
    let (begin, end) = place(document, "guard")?;
    document[begin..end].lines().find_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        (cells.next()? == name).then_some(())?;
        Some((cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
    })
}

/// Returns the document with this text between the markers of this name, or `None` if the markers are missing.
pub(crate) fn replaced(document: &str, marker: &str, text: &str) -> Option<String> {
    let (begin, end) = place(document, marker)?;
    Some(format!(
        "{}\n{text}\n{}",
        &document[..begin],
        &document[end..]
    ))
}

/// Returns the range between the markers of this name.
fn place(document: &str, marker: &str) -> Option<(usize, usize)> {
    let (open, close) = (
        format!("<!-- {marker}: begin -->"),
        format!("<!-- {marker}: end -->"),
    );
    let begin = document.find(&open)? + open.len();
    let end = begin + document[begin..].find(&close)?;
    Some((begin, end))
}
