//! Rust source as tokens with their lines: without comments, without the contents of strings and, on request, without
//! tests.
//!
//! Knows nothing of this crate.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::ops::Range;

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// The tokens of a source, in order. Delimiters are tokens too.
pub(super) struct Code {
    tokens: Vec<Token>,
}

struct Token {
    /// The token as written. A literal is a pair of empty quotes.
    text: String,
    is_word: bool,
    /// The line number, from 1.
    line: usize,
    at: Range<usize>,
    /// The number of groups around it. A delimiter is outside of its own group.
    depth: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// Its first line, from 1.
    pub(super) line: usize,
    /// The number of lines with code other than literals.
    pub(super) lines: usize,
}

impl Code {
    pub(super) fn of(text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{error}"));
        let mut code = Self { tokens: Vec::new() };
        code.add(stream, 0);
        code
    }

    /// Parses the source of a file without its `#[cfg(test)]` items: tests may use modules that code may not use.
    pub(super) fn without_tests(text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error}"));
        let mut tests = Tests::default();
        tests.visit_file(&file);
        let mut code = Self::of(text);
        let in_test = |token: &Token| {
            let mut found = tests.found.iter();
            found.any(|test| test.contains(&token.at.start))
        };
        code.tokens.retain(|token| !in_test(token));
        code
    }

    fn add(&mut self, stream: TokenStream, depth: usize) {
        let mut trees = stream.into_iter().peekable();
        while let Some(tree) = trees.next() {
            match tree {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    let (opens, closes) = (group.span_open(), group.span_close());
                    self.push(open, false, opens.start(), opens.byte_range(), depth);
                    self.add(group.stream(), depth + 1);
                    self.push(close, false, closes.start(), closes.byte_range(), depth);
                }
                TokenTree::Ident(word) => {
                    let span = word.span();
                    let word = word.to_string();
                    self.push(&word, true, span.start(), span.byte_range(), depth);
                }
                TokenTree::Literal(literal) => {
                    let span = literal.span();
                    self.push("\"\"", false, span.start(), span.byte_range(), depth);
                }
                TokenTree::Punct(mark) if mark.as_char() == '#' && skip_comment(&mut trees) => {}
                TokenTree::Punct(mark) => {
                    let span = mark.span();
                    let is_second = mark.as_char() == ':' && self.ends_with_joint_colon(&span);
                    if is_second && let Some(first) = self.tokens.last_mut() {
                        first.text.push(':');
                        continue;
                    }
                    let text = mark.as_char().to_string();
                    self.push(&text, false, span.start(), span.byte_range(), depth);
                }
            }
        }
    }

    fn ends_with_joint_colon(&self, next: &proc_macro2::Span) -> bool {
        self.tokens
            .last()
            .is_some_and(|last| last.text == ":" && last.at.end == next.byte_range().start)
    }

    fn push(
        &mut self,
        text: &str,
        is_word: bool,
        start: LineColumn,
        at: Range<usize>,
        depth: usize,
    ) {
        self.tokens.push(Token {
            text: text.to_owned(),
            is_word,
            line: start.line,
            at,
            depth,
        });
    }

    pub(super) fn has_word(&self, word: &str) -> bool {
        let mut tokens = self.tokens.iter();
        tokens.any(|token| token.is_word && token.text == word)
    }

    /// Returns the lines that have code, each as its tokens with spaces between them.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.tokens.chunk_by(|a, b| a.line == b.line);
        let texts = |line: &[Token]| -> Vec<String> {
            line.iter().map(|token| token.text.clone()).collect()
        };
        lines.map(|line| texts(line).join(" ")).collect()
    }

    /// Returns every path that begins with `crate` or `super`, with braces expanded: `crate::a::{b, c::d}` is `crate a
    /// b` and `crate a c d`.
    pub(super) fn paths(&self) -> Vec<Vec<&str>> {
        let mut found = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let begins = token.is_word && ["crate", "super"].contains(&&*token.text);
            // Skip `pub(crate)`, and the second `super` of `super::super`.
            let follows = at > 0 && self.text(at - 1) == "::";
            if begins && !follows && self.text(at + 1) == "::" {
                self.tree(at, &mut Vec::new(), &mut found);
            }
        }
        found
    }

    /// Reads one path or tree of a `use`, and returns where it ends.
    fn tree<'a>(
        &'a self,
        mut at: usize,
        prefix: &mut Vec<&'a str>,
        found: &mut Vec<Vec<&'a str>>,
    ) -> usize {
        let length = prefix.len();
        loop {
            if self.text(at) == "{" {
                at += 1;
                while !matches!(self.text(at), "" | "}") {
                    at = self.tree(at, prefix, found);
                    // `as Name` does not change the target.
                    while !matches!(self.text(at), "" | "," | "}") {
                        at += 1;
                    }
                    at += usize::from(self.text(at) == ",");
                }
                at += 1;
                break;
            }
            prefix.push(self.text(at));
            at += 1;
            if self.text(at) != "::" || self.text(at + 1) == "<" {
                found.push(prefix.clone());
                break;
            }
            at += 1;
        }
        prefix.truncate(length);
        at
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    pub(super) fn functions(&self) -> Vec<Function<'_>> {
        let starts = self.tokens.windows(2).enumerate();
        // `fn(u8) -> u8` is a type.
        let starts = starts.filter(|(_, pair)| pair[0].text == "fn" && pair[1].is_word);
        starts
            .filter_map(|(at, pair)| self.function(at, &pair[1].text))
            .collect()
    }

    /// Returns the function at this `fn`, unless it has no body.
    fn function<'a>(&'a self, at: usize, name: &'a str) -> Option<Function<'a>> {
        let rest = &self.tokens[at..];
        let first = &rest[0];
        let outside = |token: &&Token| token.depth == first.depth;
        let mut ends = rest.iter().filter(outside);
        if ends.find(|token| ["{", ";"].contains(&&*token.text))?.text == ";" {
            return None;
        }
        let end = ends.find(|token| token.text == "}")?.at.end;
        let body = rest.iter().take_while(|token| token.at.end <= end);
        let said = body.filter(|token| token.text != "\"\"");
        let lines: BTreeSet<usize> = said.map(|token| token.line).collect();
        Some(Function {
            name,
            line: first.line,
            lines: lines.len(),
        })
    }
}

/// Skips the rest of a doc comment, which is `#[doc = "…"]` or `#![doc = "…"]` as tokens.
fn skip_comment(trees: &mut Peekable<impl Iterator<Item = TokenTree> + Clone>) -> bool {
    let mut ahead = trees.clone();
    let mut next = ahead.next();
    if matches!(&next, Some(TokenTree::Punct(mark)) if mark.as_char() == '!') {
        next = ahead.next();
    }
    let Some(TokenTree::Group(group)) = next else {
        return false;
    };
    let first = group.stream().into_iter().next();
    let is_comment = matches!(first, Some(TokenTree::Ident(word)) if word == "doc");
    if is_comment {
        *trees = ahead;
    }
    is_comment
}

/// Finds the items that are for tests only.
#[derive(Default)]
struct Tests {
    /// The nodes that an attribute may apply to, from the outermost.
    around: Vec<Range<usize>>,
    found: Vec<Range<usize>>,
}

impl Tests {
    fn within(&mut self, node: Range<usize>, visit: impl FnOnce(&mut Self)) {
        self.around.push(node);
        visit(self);
        self.around.pop();
    }
}

impl Visit<'_> for Tests {
    fn visit_attribute(&mut self, attribute: &syn::Attribute) {
        let is_test = attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "test");
        if is_test {
            self.found.extend(self.around.last().cloned());
        }
    }

    fn visit_item(&mut self, item: &syn::Item) {
        let node = item.span().byte_range();
        self.within(node, |tests| visit::visit_item(tests, item));
    }

    fn visit_impl_item(&mut self, item: &syn::ImplItem) {
        let node = item.span().byte_range();
        self.within(node, |tests| visit::visit_impl_item(tests, item));
    }

    fn visit_field(&mut self, field: &syn::Field) {
        let node = field.span().byte_range();
        self.within(node, |tests| visit::visit_field(tests, field));
    }

    fn visit_stmt(&mut self, statement: &syn::Stmt) {
        let node = statement.span().byte_range();
        self.within(node, |tests| visit::visit_stmt(tests, statement));
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "a // b {\n/* c /* d */ { */ \"e \\\" {\" r#\"f \" {\"# '{' b'}' &'g h\n/// doc\nbr\"{\" //! i\n";
    let code = Code::of(text);
    assert_eq!(code.lines(), ["a", "\"\" \"\" \"\" \"\" & ' g h", "\"\""]);
    assert!(code.has_word("h") && !code.has_word("b") && !code.has_word("doc"));
}

#[test]
fn tests_are_left_out() {
    let text = "fn a() {}\n/// Doc.\n#[cfg(test)]\nmod t {\n fn b() { x() }\n}\n#[cfg(test)]\nmod u;\n\
                #[cfg(test)] use v::{w};\n#[cfg(unix)] fn c() {}\nimpl D { #[cfg(test)] fn e() {} fn f() {} }";
    let code = Code::without_tests(text);
    let lines = code.lines();
    assert_eq!(
        lines,
        [
            "fn a ( ) { }",
            "# [ cfg ( unix ) ] fn c ( ) { }",
            "impl D { fn f ( ) { } }"
        ]
    );
}

#[test]
fn paths_are_opened() {
    let code = "use crate::a::{self, b::{C, D as E}, f::*}; pub(crate) fn x() -> super::super::g::H { \
                crate::i::<T>(); not_crate::j::k; m!(crate::l) }";
    assert_eq!(
        Code::of(code).paths(),
        [
            vec!["crate", "a", "self"],
            vec!["crate", "a", "b", "C"],
            vec!["crate", "a", "b", "D"],
            vec!["crate", "a", "f", "*"],
            vec!["super", "super", "g", "H"],
            vec!["crate", "i"],
            vec!["crate", "l"],
        ]
    );
}

#[test]
fn functions_are_measured() {
    let code = "fn a(x: [u8; 2]) {\n  b\n\n}\ntrait T { fn c(&self); }\ntype F = fn(u8);\nm! { fn d() {\n} }";
    let function = |name, line, lines| Function { name, line, lines };
    assert_eq!(
        Code::of(code).functions(),
        [function("a", 1, 3), function("d", 7, 2)]
    );
}
