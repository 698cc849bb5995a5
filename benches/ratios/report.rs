//! The tables: on the terminal, and between their markers in the document.
//!
//! Pure: texts in, texts out.

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
    /// The figures of the build before, if there is one.
    pub(crate) before: Option<Spread>,
    pub(crate) ratio: Option<Spread>,
    pub(crate) others: &'static str,
    /// The largest share of the machine's CPU time that other processes used in one of its runs, if the load reports
    /// it.
    pub(crate) busy_share: Option<f64>,
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

    /// Returns the line in the table of changes.
    fn of_guard(&self) -> String {
        let figures = |spread: Option<Spread>| {
            spread.map_or_else(|| "–".to_owned(), |spread| told(spread, self.unit))
        };
        let change = self.ours.zip(self.before).map_or_else(
            || "–".to_owned(),
            |(now, before)| format!("{:.2}", now.median / before.median),
        );
        format!(
            "| {} | {change} | {} | {} |",
            self.name,
            figures(self.ours),
            figures(self.before)
        )
    }
}

fn told(spread: Spread, unit: &str) -> String {
    let Spread { min, median, max } = spread;
    let gap = if unit.is_empty() { "" } else { " " };
    format!("{min:.2} / **{median:.2}** / {max:.2}{gap}{unit}")
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

/// Returns the table of changes.
pub(crate) fn guard_table(lines: &[Line]) -> String {
    let head = "| row | now / before | now: minimum / **median** / maximum | before |\n| --- | --- | --- | --- |";
    joined(head, lines.iter().map(Line::of_guard))
}

fn joined(head: &str, rows: impl Iterator<Item = String>) -> String {
    rows.fold(head.to_owned(), |table, row| table + "\n" + &row)
}

/// Returns the document with this text between the markers of that name, or `None` if they are missing.
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
