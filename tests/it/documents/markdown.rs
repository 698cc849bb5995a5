//! As much of Markdown as our documents use: fenced blocks, links, headings and tables.
//!
//! Pure; knows no document.

use std::path::{Path, PathBuf};

/// A document, its path from the package's folder.
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A fenced block.
pub(super) struct Block {
    /// What stands behind the opening fence, such as `sh run`.
    pub(super) info: String,
    pub(super) text: String,
    /// The line of the opening fence.
    pub(super) line: usize,
}

impl Document {
    pub(super) fn read(path: &Path) -> Self {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&whole);
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The fenced blocks, in their order.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => {
                    open = Some(Block {
                        info: info.trim().to_owned(),
                        text: String::new(),
                        line: index + 1,
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name());
        blocks
    }

    /// The text without its fenced blocks.
    pub(super) fn prose(&self) -> String {
        let mut fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let fence = line.starts_with("```");
            fenced ^= fence;
            if !fenced && !fence {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        prose
    }

    /// Where its links lead to, outside ones left out.
    pub(super) fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let ends = prose.split("](").skip(1);
        ends.filter_map(|rest| rest.split(')').next())
            .filter(|link| !link.contains("://"))
            .map(str::to_owned)
            .collect()
    }

    /// The names by which a browser finds its headings.
    pub(super) fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim().to_lowercase());
        headings
            .map(|heading| {
                let kept = heading
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }

    /// The rows of the table whose first heading is this one, as cells without backticks.
    pub(super) fn table(&self, first_heading: &str) -> Vec<Vec<String>> {
        let head = format!("| {first_heading} |");
        let rows = self
            .text
            .lines()
            .skip_while(|line| !line.starts_with(&head))
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells
                .map(|cell| cell.replace('`', "").trim().to_owned())
                .collect()
        })
        .collect()
    }
}

/// Whether a line of a document says what a line of a real run says: ids, times and keys differ, and `…` stands
/// for anything.
pub(super) fn says(documented: &str, real: &str) -> bool {
    let real = without_chance(real);
    match after(documented, real.trim()) {
        Some((0, rest)) => rest.is_empty() || documented.ends_with('…'),
        _ => false,
    }
}

/// What follows, in a text without chance, behind what a line of a document says; and at which byte that begins.
pub(super) fn after<'a>(documented: &str, real: &'a str) -> Option<(usize, &'a str)> {
    let documented = without_chance(documented);
    let mut parts = documented.trim().split('…');
    let begins = real.find(parts.next()?)?;
    let first = documented.trim().split('…').next()?.len();
    let mut rest = &real[begins + first..];
    for part in parts {
        rest = &rest[rest.find(part)? + part.len()..];
    }
    Some((begins, rest))
}

/// The text with each id, session id and time replaced by a word for its kind.
pub(super) fn without_chance(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || c == '-' {
            word.push(c);
            continue;
        }
        out.push_str(kind(&word).unwrap_or(&word));
        word.clear();
        out.push(c);
    }
    out
}

/// What kind of chance word this is, where it is one.
fn kind(word: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if word.len() == 26 && triway::internal::is_session_id(word) {
        return Some("SESSION");
    }
    match word.split_once('-') {
        Some((epoch, offset)) if epoch.len() == 8 && digits(offset) => Some("ID"),
        None if digits(word) && (word.len() == 10 || word.len() == 13) => Some("TIME"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_no_difference_and_everything_else_is() {
        assert!(says(
            r#"{"id":"k3x9q2ab-4","time":1795178011200}"#,
            r#"{"id":"00000000-17","time":1795178011999}"#
        ));
        assert!(says(r#"{"key":"…","more":1}"#, r#"{"key":"a.b","more":1}"#));
        assert!(says("a …", "a b c") && says("… b", "a b"));
        assert!(!says("a …", "b c") && !says("a", "a b") && !says("a … c", "a b c d"));
        assert!(!says("hello", "hallo"));
    }

    #[test]
    fn blocks_links_headings_and_tables_are_found() {
        let document = Document {
            path: "x.md".into(),
            text: "# A b: `c`\n[x](y.md#z) [o](https://o)\n```sh run\n# no heading\n```\n| a | b |\n| --- | --- |\n| `1` | 2 |\n"
                .into(),
        };
        assert_eq!(document.anchors(), ["a-b-c"]);
        assert_eq!(document.links(), ["y.md#z"]);
        assert_eq!(document.table("a"), [["1", "2"]]);
        let blocks = document.blocks();
        assert_eq!(
            (blocks[0].info.as_str(), blocks[0].text.as_str()),
            ("sh run", "# no heading\n")
        );
    }
}
