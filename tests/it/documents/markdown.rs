//! The parts of a document that tests read: its fenced blocks, links, headings and tables.
//!
//! Pure; knows no document.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, OffsetIter, Options, Parser, Tag, TagEnd};

/// A document, with its path from the package's folder.
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A fenced block.
pub(super) struct Block {
    /// The text after the opening fence, such as `sh run`.
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

    /// Returns the fenced blocks in order.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let line = self.text[..range.start].lines().count() + 1;
                    let is_closed = self.text[range].trim_end().ends_with("```");
                    assert!(is_closed, "{}:{line}: a fence is not closed", self.name());
                    is_open = true;
                    blocks.push(Block {
                        info: info.to_string(),
                        text: String::new(),
                        line,
                    });
                }
                Event::Text(text) if is_open => {
                    let block = blocks.last_mut().expect("one is open");
                    block.text.push_str(&text);
                }
                Event::End(TagEnd::CodeBlock) => is_open = false,
                _ => {}
            }
        }
        blocks
    }

    /// Returns the text without its fenced blocks.
    pub(super) fn prose(&self) -> String {
        let mut prose = String::new();
        let mut end = 0;
        for (event, range) in self.events() {
            if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) = event {
                prose.push_str(&self.text[end..range.start]);
                end = range.end;
            }
        }
        prose + &self.text[end..]
    }

    /// Returns the targets of its links, without external ones.
    pub(super) fn links(&self) -> Vec<String> {
        let links = self.events().filter_map(|(event, _)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.to_string())
            }
            _ => None,
        });
        links.filter(|link| !link.contains("://")).collect()
    }

    /// Returns the anchors of its headings.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.texts(|end| matches!(end, TagEnd::Heading(_)));
        let anchor = |heading: String| {
            let kept = heading.to_lowercase();
            let kept = kept
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.into_iter().map(anchor).collect()
    }

    /// Returns the rows of the table whose first headings are these, joined by `|`. The cells have no markup.
    pub(super) fn table(&self, first_headings: &str) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Table(_)) => rows.clear(),
                Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
                Event::Start(Tag::TableCell) => {
                    let row = rows.last_mut().expect("a cell stands in a row");
                    row.push(String::new());
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                        cell.push_str(&text);
                    }
                }
                Event::End(TagEnd::Table) => {
                    let head = rows.remove(0).join(" | ") + " | ";
                    if head.starts_with(&format!("{first_headings} | ")) {
                        return rows;
                    }
                    rows.clear();
                }
                _ => {}
            }
        }
        Vec::new()
    }

    /// Returns the text of every element that ends with such a tag.
    fn texts(&self, ends: impl Fn(TagEnd) -> bool) -> Vec<String> {
        let mut texts = Vec::new();
        let mut inside: Option<String> = None;
        for (event, _) in self.events() {
            match (event, &mut inside) {
                (Event::Start(tag), None) if ends(tag.to_end()) => inside = Some(String::new()),
                (Event::End(end), Some(_)) if ends(end) => texts.extend(inside.take()),
                (Event::Text(text) | Event::Code(text), Some(inside)) => inside.push_str(&text),
                _ => {}
            }
        }
        texts
    }

    fn events(&self) -> OffsetIter<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }
}

/// Returns whether a line of a document matches a line of a real run: ids, times and keys differ, and `…` matches any
/// text.
pub(super) fn says(documented: &str, real: &str) -> bool {
    let real = without_chance(real);
    match after(documented, real.trim()) {
        Some((0, rest)) => rest.is_empty() || documented.ends_with('…'),
        _ => false,
    }
}

/// Returns the rest of a text without random parts after a match of a document's line, and the byte at which it begins.
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

/// Returns the text with a placeholder for each id, session id and time.
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

/// Returns the kind of a random word, if it is one.
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
