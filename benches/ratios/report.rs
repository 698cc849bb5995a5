//! The tables: on the terminal, and between their markers in the document.
//!
//! Pure: texts in, texts out. What the documented figures mean is for `ratio`.

use super::ratio::Spread;

/// What was measured of one row.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Which floor.
    pub(crate) floor: &'static str,
    pub(crate) target: f64,
    /// Whether the target is told in `unit`, not as a ratio.
    pub(crate) is_absolute: bool,
    pub(crate) unit: &'static str,
    pub(crate) ours: Option<Spread>,
    pub(crate) floors: Option<Spread>,
    pub(crate) ratio: Option<Spread>,
    pub(crate) others: &'static str,
    /// The most that other processes took of the machine in one of its runs.
    pub(crate) busy_share: f64,
}

impl Line {
    /// What the target is about.
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

    /// The row of the table of targets.
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

    /// The row of the table that the guard reads.
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

/// The table of targets.
pub(crate) fn table(lines: &[Line]) -> String {
    let head = "| row | target | met | × floor: minimum / **median** / maximum | triway | floor | others |\n| --- | --- | --- | --- | --- | --- | --- |";
    joined(head, lines.iter().map(Line::of_table))
}

/// The table that the guard reads.
pub(crate) fn guard_table(lines: &[Line]) -> String {
    let head = "| row | × floor | noise |\n| --- | --- | --- |";
    joined(head, lines.iter().filter_map(Line::of_guard))
}

fn joined(head: &str, rows: impl Iterator<Item = String>) -> String {
    rows.fold(head.to_owned(), |table, row| table + "\n" + &row)
}

/// The documented ratio of a row of the guard's table, and its noise.
pub(crate) fn documented(document: &str, name: &str) -> Option<(f64, f64)> {
    let (begin, end) = place(document, "guard")?;
    document[begin..end].lines().find_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        (cells.next()? == name).then_some(())?;
        Some((cells.next()?.parse().ok()?, cells.next()?.parse().ok()?))
    })
}

/// The document with this text between the markers of that name; none where they are missing.
pub(crate) fn replaced(document: &str, marker: &str, text: &str) -> Option<String> {
    let (begin, end) = place(document, marker)?;
    Some(format!(
        "{}\n{text}\n{}",
        &document[..begin],
        &document[end..]
    ))
}

/// What lies between the markers of that name.
fn place(document: &str, marker: &str) -> Option<(usize, usize)> {
    let (open, close) = (
        format!("<!-- {marker}: begin -->"),
        format!("<!-- {marker}: end -->"),
    );
    let begin = document.find(&open)? + open.len();
    let end = begin + document[begin..].find(&close)?;
    Some((begin, end))
}
