//! The arrows of `docs/architecture.md`: which folder may use which, and how large a file or function may become. A
//! change of the design is a change of the tables in this file, visible in review.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

mod source;

use source::{Code, Function};

/// The folders of `src`, from the bottom up. A folder may use the folders before it, and itself. Only whole folders are
/// listed, because a line for a part of a folder could hide a cycle.
const FOLDERS: &[&str] = &[
    "protocol",
    "metrics",
    "hub",
    "auth",
    "broker",
    "presence",
    "session",
    "transport",
    "fanout",
    "server",
    "http",
    "embed",
    "config",
    "cli",
    "main",
];

/// Modules of one folder that must not use each other.
const SIBLINGS: &[&str] = &["transport/ws", "transport/sse", "transport/poll"];

/// Modules in which time and randomness are arguments, and which never wait.
const PURE: &[&str] = &["protocol", "hub/log"];

/// The map of the crate: it may name every module, and no module may name it.
const ROOT: &str = "lib";

/// Names that pure modules must not use.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "parking_lot",
    "getrandom",
];

/// The most lines of a file. A longer file covers more than one concept.
const FILE_LINES_MAX: usize = 500;

/// The most lines of code in a function. A longer one does not fit on a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Equal lines of two transports, in percent of the shorter one, from which on they are copies of each other.
const EQUAL_PERCENT_MAX: usize = 20;

/// Letters and digits that a line needs to be compared.
const EQUAL_LINE_LETTERS_MIN: usize = 10;

/// The folders with source files, and the endings of these files.
const TREES: &[(&str, &[&str])] = &[
    ("src", &["rs"]),
    ("tests", &["rs"]),
    ("benches", &["rs"]),
    ("examples", &["rs"]),
    ("web", &["js", "mjs", "html", "css"]),
];

/// Folders with generated files.
const MADE: &[&str] = &["node_modules", "dist", "target"];

/// One file, with its path from the package's folder.
struct File {
    path: String,
    text: String,
}

impl File {
    /// Returns `transport/ws/codec` for `src/transport/ws/codec.rs`.
    fn module(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.strip_suffix(".rs").unwrap_or(path)
    }

    fn is_test(&self) -> bool {
        self.module().ends_with("/tests") || self.module().contains("/tests/")
    }

    /// Returns the code without comments, strings and tests.
    fn code(&self) -> Code {
        if self.is_test() {
            return Code::of("");
        }
        Code::without_tests(&self.text)
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(tree: &str, endings: &[&str]) -> Vec<File> {
    let mut folders = vec![package().join(tree)];
    let mut paths: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let ending = path.extension().unwrap_or_default();
            if path.is_dir() && !MADE.iter().any(|made| name == *made) {
                folders.push(path);
            } else if endings.iter().any(|wanted| ending == *wanted) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let file = |path: PathBuf| File {
        path: path
            .strip_prefix(package())
            .expect("lies in the package")
            .to_str()
            .expect("our names are ASCII")
            .to_owned(),
        text: fs::read_to_string(path).expect("can be read"),
    };
    paths.into_iter().map(file).collect()
}

fn all_files() -> Vec<File> {
    let of_tree = |(tree, endings): &(&str, &[&str])| files(tree, endings);
    TREES.iter().flat_map(of_tree).collect()
}

/// Returns the place of a folder in the order.
fn rank(folder: &str) -> Option<usize> {
    FOLDERS.iter().position(|listed| *listed == folder)
}

/// Returns the sibling that these segments are in.
fn sibling<S: AsRef<str>>(segments: &[S]) -> Option<&'static str> {
    let start: Vec<_> = segments.iter().take(2).map(AsRef::as_ref).collect();
    let start = start.join("/");
    SIBLINGS.iter().find(|module| **module == start).copied()
}

/// Returns the error in the arrow from one module to another, both as segments.
fn broken_arrow(from: &[&str], to: &[&str]) -> Option<&'static str> {
    let siblings = sibling(from).zip(sibling(to));
    let Some(target) = to.first().and_then(|folder| rank(folder)) else {
        return Some("it names no folder of the list; name the module, not a re-export");
    };
    if siblings.is_some_and(|(one, other)| one != other) {
        Some("transports know nothing of each other")
    } else if Some(target) > rank(from[0]) {
        Some("arrows go down")
    } else {
        None
    }
}

/// Resolves a path in the file at `module`, as segments from the root.
fn resolve<'a>(module: &'a str, path: &[&'a str]) -> Vec<&'a str> {
    let mut place: Vec<&str> = module.split('/').collect();
    let ups = path.iter().take_while(|part| **part == "super").count();
    if ups == 0 {
        place.clear();
    }
    place.truncate(place.len().saturating_sub(ups));
    place.extend(&path[ups.max(1)..]);
    place
}

/// Returns every arrow of a file that the list does not allow.
fn broken_arrows(file: &File) -> Vec<String> {
    let module = file.module();
    let from: Vec<_> = module.split('/').collect();
    if rank(from[0]).is_none() {
        return vec![format!("{}: its folder is not in the list", file.path)];
    }
    let code = file.code();
    let broken = |path: Vec<&str>| {
        let why = broken_arrow(&from, &resolve(module, &path))?;
        Some(format!("{} uses {}: {why}", file.path, path.join("::")))
    };
    code.paths().into_iter().filter_map(broken).collect()
}

#[track_caller]
fn none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn arrows_only_go_down() {
    let sources = files("src", &["rs"]);
    assert!(!sources.is_empty());
    let broken: Vec<_> = sources
        .iter()
        .filter(|file| file.module() != ROOT && !file.is_test())
        .flat_map(broken_arrows)
        .collect();
    none(&broken);
}

#[test]
fn pure_modules_have_no_clock_lock_or_async() {
    let mut broken = Vec::new();
    let is_pure = |file: &File| {
        PURE.iter()
            .any(|pure| file.module() == *pure || file.module().starts_with(&format!("{pure}/")))
    };
    for file in files("src", &["rs"]).into_iter().filter(is_pure) {
        let code = file.code();
        for word in IMPURE {
            if code.has_word(word) {
                broken.push(format!("{}: `{word}` in a pure module", file.path));
            }
        }
    }
    none(&broken);
}

#[test]
fn files_and_functions_fit() {
    let mut broken = Vec::new();
    for File { path, text } in all_files() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{path}: {lines} lines of {FILE_LINES_MAX}"));
        }
        if !path.ends_with(".rs") {
            continue;
        }
        for Function { name, line, lines } in Code::of(&text).functions() {
            if lines > FUNCTION_LINES_MAX {
                broken.push(format!(
                    "{path}:{line}: {name} has {lines} lines of {FUNCTION_LINES_MAX}"
                ));
            }
        }
    }
    none(&broken);
}

#[test]
fn nothing_is_unsafe() {
    let broken: Vec<_> = all_files()
        .into_iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter(|file| Code::of(&file.text).has_word("unsafe"))
        .map(|file| format!("{}: `unsafe`", file.path))
        .collect();
    none(&broken);
}

/// Returns the lines of a transport's files that are long enough to compare, with their counts.
fn lines_of(transport: &str) -> HashMap<String, usize> {
    let mut lines = HashMap::new();
    for file in files("src/transport", &["rs"]) {
        let segments: Vec<_> = file.module().split('/').collect();
        if sibling(&segments) == Some(transport) {
            count_lines(&file.code(), &mut lines);
        }
    }
    lines
}

fn count_lines(code: &Code, lines: &mut HashMap<String, usize>) {
    for line in code.lines() {
        let letters = line.chars().filter(|c| c.is_alphanumeric()).count();
        let is_import = line.starts_with("use ") || line.starts_with("pub");
        if letters >= EQUAL_LINE_LETTERS_MIN && !is_import {
            *lines.entry(line).or_default() += 1;
        }
    }
}

/// Returns how many lines of one transport are also in the other, in percent of the shorter one.
fn equal_percent(one: &HashMap<String, usize>, other: &HashMap<String, usize>) -> usize {
    let both = |(line, count): (&String, &usize)| *count.min(other.get(line).unwrap_or(&0));
    let equal: usize = one.iter().map(both).sum();
    let shorter = one.values().sum::<usize>().min(other.values().sum());
    equal * 100 / shorter.max(1)
}

#[test]
fn transports_are_no_copies_of_each_other() {
    let mut broken = Vec::new();
    for (n, one) in SIBLINGS.iter().enumerate() {
        for other in &SIBLINGS[n + 1..] {
            let percent = equal_percent(&lines_of(one), &lines_of(other));
            if percent >= EQUAL_PERCENT_MAX {
                broken.push(format!("{percent} % of the lines of {one} are in {other}"));
            }
        }
    }
    none(&broken);
}

#[test]
fn the_list_refuses_what_it_should() {
    let broken = |path: &str, text: &str| {
        let (path, text) = (path.to_owned(), text.to_owned());
        broken_arrows(&File { path, text }).len()
    };
    assert_eq!(
        broken(
            "src/hub.rs",
            "use crate::{hub::feed::Feed, protocol::Cursor};"
        ),
        0
    );
    assert_eq!(
        broken(
            "src/hub.rs",
            "use crate::{hub::log::Log, session::Session};"
        ),
        1
    );
    assert_eq!(broken("src/hub.rs", "fn f() { super::http::x() }"), 1);
    assert_eq!(
        broken(
            "src/hub.rs",
            "// crate::http\n#[cfg(test)] mod t { use crate::http; }"
        ),
        0
    );
    assert_eq!(
        broken("src/hub.rs", "use crate::Hub;"),
        1,
        "a re-export hides an arrow"
    );
    assert_eq!(broken("src/other.rs", ""), 1, "not in the list");
    assert_eq!(
        broken("src/transport/ws.rs", "use crate::transport::Pace;"),
        0
    );
    assert_eq!(
        broken("src/transport/ws/codec.rs", "use super::frame::text;"),
        0
    );
    assert_eq!(broken("src/transport/sse.rs", "use super::ws::frame;"), 1);
    assert_eq!(
        broken("src/transport/ws.rs", "use crate::transport::{self, poll};"),
        1
    );
    assert_eq!(
        broken("src/transport.rs", "use crate::server::socket::Reader;"),
        1
    );
    assert_eq!(broken("src/http/error.rs", "use crate::config::Config;"), 1);
}

#[test]
fn copies_are_found() {
    let lines = |code: &str| {
        let mut lines = HashMap::new();
        count_lines(&Code::of(code), &mut lines);
        lines
    };
    let one = lines("{let batch = feed.next().await;\n}\nwrite_the_frame(batch);");
    let other = lines(
        "{let batch = feed.next().await;\n}\nanswer_the_poll(batch);\nanswer_the_poll(batch);",
    );
    assert_eq!(equal_percent(&one, &other), 50);
    assert_eq!(equal_percent(&one, &lines("{\n}")), 0);
}
