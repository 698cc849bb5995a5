//! Rust source as plain text that can be searched: without comments, strings
//! and tests, lines kept where they were.
//!
//! Knows just enough of the language for that, and nothing of this crate.

/// The text with comments and the insides of strings and characters replaced
/// by spaces, so that every brace and word left is code.
pub(super) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = blank_bytes(rest, code.chars().next_back());
        let (part, after) = rest.split_at(taken.unwrap_or(first.len_utf8()));
        match taken {
            Some(_) => code.extend(part.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => code.push_str(part),
        }
        rest = after;
    }
    code
}

/// How many bytes at the start of `rest` are a comment, string or character.
fn blank_bytes(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_bytes(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted_bytes(rest, '"'));
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with('r') && (!in_word || before == Some('b')) {
        let hashes = rest[1..].bytes().take_while(|&b| b == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = 2 + hashes;
            return Some(
                rest[start..]
                    .find(&end)
                    .map_or(rest.len(), |at| start + at + end.len()),
            );
        }
    }
    let mut chars = rest.chars();
    if chars.next() == Some('\'') {
        // A lifetime has no closing quote two characters on.
        let escaped = chars.next() == Some('\\');
        if escaped || chars.next() == Some('\'') {
            return Some(quoted_bytes(rest, '\''));
        }
    }
    None
}

fn block_comment_bytes(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn quoted_bytes(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `code` (of [`code_of`]) with its `#[cfg(test)]` items blanked: tests may
/// reach where code may not.
pub(super) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (before, from_mark) = rest.split_at(at);
        let end = item_bytes(from_mark, MARK.len());
        let (item, after) = from_mark.split_at(end);
        kept.push_str(before);
        kept.extend(item.chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = after;
    }
    kept + rest
}

/// Where the item ends that begins somewhere after `from`: at its closing
/// brace, or at its semicolon if it has no body.
pub(super) fn item_bytes(code: &str, from: usize) -> usize {
    let (mut braces, mut others) = (0, 0);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && others == 0 {
                    return at + 1;
                }
            }
            // A `;` in `[u8; 4]` or in a default argument ends nothing.
            b'(' | b'[' => others += 1,
            b')' | b']' => others -= 1,
            b';' if braces == 0 && others == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path in `code` that begins with `crate` or `super`, with braces
/// opened: `crate::a::{b, c::d}` is `crate a b` and `crate a c d`.
pub(super) fn paths(code: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for start in word_starts(code, &["crate", "super"]) {
        let before = code[..start].trim_end();
        // `pub(crate)`, and the second `super` of `super::super`.
        if !before.ends_with("::") && code[start + 5..].trim_start().starts_with("::") {
            tree(&code[start..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path or tree of a `use`; says how many bytes it took.
fn tree<'a>(code: &'a str, prefix: &mut Vec<&'a str>, found: &mut Vec<Vec<&'a str>>) -> usize {
    let (depth, mut at) = (prefix.len(), 0);
    loop {
        at += spaces(&code[at..]);
        if code[at..].starts_with('{') {
            at += 1;
            while !matches!(code[at..].chars().next(), None | Some('}')) {
                at += tree(&code[at..], prefix, found);
                // `as Name` and `*` lead nowhere else.
                at += code[at..].find([',', '}']).unwrap_or(code.len() - at);
                at += usize::from(code[at..].starts_with(','));
                at += spaces(&code[at..]);
            }
            at = (at + 1).min(code.len());
            break;
        }
        let word = word(&code[at..]);
        prefix.push(word);
        at += word.len();
        let next = at + spaces(&code[at..]);
        let goes_on = code[next..].starts_with("::") && !code[next + 2..].starts_with('<');
        if !goes_on {
            found.push(prefix.clone());
            break;
        }
        at = next + 2;
    }
    prefix.truncate(depth);
    at
}

fn spaces(code: &str) -> usize {
    code.len() - code.trim_start().len()
}

fn word(code: &str) -> &str {
    let end = code.find(|c: char| !is_word(c)).unwrap_or(code.len());
    &code[..end]
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where any of `words` stands in `code` as a whole word.
pub(super) fn word_starts(code: &str, words: &[&str]) -> Vec<usize> {
    let mut starts = Vec::new();
    for wanted in words {
        for (at, _) in code.match_indices(wanted) {
            let before = code[..at].chars().next_back();
            let after = code[at + wanted.len()..].chars().next();
            if !before.is_some_and(is_word) && !after.is_some_and(is_word) {
                starts.push(at);
            }
        }
    }
    starts.sort_unstable();
    starts
}

/// The name, first line (from 1) and number of lines with code of each
/// function with a body.
pub(super) fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    word_starts(code, &["fn"])
        .into_iter()
        .filter_map(|start| {
            let after = code[start + 2..].trim_start();
            let name = word(after);
            let body = &code[start..start + item_bytes(&code[start..], 2)];
            // `fn(u8) -> u8` is a type.
            if name.is_empty() || !body.ends_with('}') {
                return None;
            }
            let line = code[..start].lines().count().max(1);
            let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
            Some((name, line, lines))
        })
        .collect()
}

#[test]
fn comments_and_strings_are_blank() {
    let text =
        "a // b {\n/* c /* d */ { */ \"e \\\" {\" r#\"f \" {\"# '{' '\\'' b'}' &'g h br\"{\"";
    let code = code_of(text);
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "b", "&'g", "h", "b"], "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn tests_are_left_out() {
    let code =
        "fn a() {}\n#[cfg(test)]\nmod t {\n fn b() { x() }\n}\n#[cfg(test)]\nmod u;\nfn c() {}";
    let kept = without_tests(code);
    assert_eq!(
        kept.split_whitespace().collect::<String>(),
        "fna(){}fnc(){}"
    );
    assert_eq!(kept.lines().count(), code.lines().count());
}

#[test]
fn paths_are_opened() {
    let code = "use crate::a::{self, b::{C, D as E}, f::*}; pub(crate) fn x() -> super::super::g::H { \
                crate::i::<T>(); not_crate::j::k }";
    assert_eq!(
        paths(code),
        [
            vec!["crate", "a", "self"],
            vec!["crate", "a", "b", "C"],
            vec!["crate", "a", "b", "D"],
            vec!["crate", "a", "f", ""],
            vec!["super", "super", "g", "H"],
            vec!["crate", "i"],
        ]
    );
}

#[test]
fn functions_are_measured() {
    let code = "fn a(x: [u8; 2]) {\n  b\n\n}\ntrait T { fn c(&self); }\ntype F = fn(u8);\n";
    assert_eq!(functions(code), [("a", 1, 3)]);
}
