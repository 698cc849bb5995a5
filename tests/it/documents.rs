//! Checks the documents: their commands run, their links have targets, their tables match the source.
//!
//! Rust snippets are compiled as doc tests (`src/lib.rs`). These tests check all other claims of the documents.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod auth;
mod beside;
mod claims;
mod client;
mod limits;
mod markdown;
mod shell;
mod words;

use std::path::Path;

use markdown::Document;

/// All documents.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/auth.md",
    "docs/benchmarks.md",
    "docs/client.md",
    "docs/networks.md",
    "docs/operate.md",
    "docs/protocol.md",
    "docs/proxies.md",
    "docs/troubleshooting.md",
    "examples/curl.md",
];

/// Shell lines that no test runs, with the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo run --release", "it is how this program was built"),
    ("./scripts/test", "it is what runs this test"),
    (
        "cargo install --path .",
        "it builds for minutes, and installs for the user",
    ),
    (
        "cargo bench --bench micro",
        "minutes; clippy compiles it with all targets",
    ),
    ("cargo bench --bench credentials", "minutes"),
    ("cargo bench --bench ratios", "ten minutes"),
    (
        "cargo bench --bench ratios -- --row \"LP fan-out\"",
        "a minute",
    ),
    ("cargo bench --bench ratios -- --write", "ten minutes"),
    (
        "cargo bench --bench ratios -- --short",
        "`./scripts/test --all` runs it",
    ),
    (
        "cargo bench --bench ratios -- --before OLD-TRIWAY",
        "it needs a build of an earlier commit",
    ),
];

/// The text after an opening fence. Shell and TOML without `run` must be listed in [`NOT_RUN`].
const KINDS: &[&str] = &[
    "",
    "sh run",
    "sh",
    "text output",
    "text",
    "text websocket",
    "json",
    "html",
    "js",
    "js run",
    "python",
    "rust,no_run",
    "toml run",
    "nginx",
    "apache",
    "haproxy",
    "caddy",
    "ini",
];

fn document(path: &str) -> Document {
    Document::read(Path::new(path))
}

fn run(path: &str, least: usize) {
    let ran = shell::run(&document(path));
    assert!(ran >= least, "{path}: only {ran} blocks ran");
}

#[test]
fn every_command_of_the_readme_runs() {
    run("README.md", 2);
}

#[test]
fn every_command_of_the_shell_examples_runs() {
    run("examples/curl.md", 12);
}

#[test]
fn every_command_of_the_protocol_runs_and_says_what_stands_there() {
    run("docs/protocol.md", 4);
}

#[test]
fn every_command_and_setting_of_operate_runs() {
    run("docs/operate.md", 2);
}

#[test]
fn every_command_of_the_benchmarks_runs() {
    run("docs/benchmarks.md", 1);
}

#[test]
fn nothing_that_looks_like_a_command_is_left_out() {
    for path in DOCUMENTS {
        for block in document(path).blocks() {
            let place = format!("{path}:{}", block.line);
            assert!(
                KINDS.contains(&block.info.as_str()),
                "{place}: `{}`",
                block.info
            );
            // The test of the page itself runs them.
            let left_out = block.info == "sh" && path != &"docs/auth.md";
            for line in block.text.lines().filter(|_| left_out) {
                let command = line.split(" #").next().unwrap_or_default().trim();
                assert!(
                    NOT_RUN.iter().any(|(known, _)| *known == command),
                    "{place}: `{command}`"
                );
            }
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for path in DOCUMENTS {
        let from = document(path);
        for link in from.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => Path::new(path).to_owned(),
                _ => Path::new(path).parent().unwrap().join(file),
            };
            let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(&target);
            assert!(whole.exists(), "{path}: {link}");
            if !anchor.is_empty() {
                let anchors = Document::read(&target).anchors();
                assert!(
                    anchors.iter().any(|known| known == anchor),
                    "{path}: {link}: {anchors:?}"
                );
            }
        }
    }
}

#[test]
fn the_changelog_groups_each_release_by_kind() {
    let changelog = document("CHANGELOG.md").prose();
    let mut release = None;
    let mut kind = None;
    for line in changelog.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            assert!(release.is_some(), "{heading}: no release above it");
            assert!(
                ["Added", "Changed", "Fixed", "Security"].contains(&heading),
                "{heading}"
            );
            kind = Some(heading);
        } else if let Some(heading) = line.strip_prefix("## ") {
            (release, kind) = (Some(heading), None);
        } else if line.starts_with("- ") {
            assert!(kind.is_some(), "{line}: no kind above it");
        }
    }
    assert!(kind.is_some(), "nothing is listed");
}

/// Before the first release, nothing is changed or fixed.
#[test]
fn an_unreleased_version_has_no_changes() {
    let changelog = document("CHANGELOG.md");
    let releases: Vec<&str> = changelog.text.split("\n## ").skip(1).collect();
    if let [first] = releases[..] {
        assert!(!first.contains("### Changed") && !first.contains("### Fixed"));
    }
}

/// The map names the existing files and no others.
#[test]
fn the_map_is_of_this_source() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let architecture = document("docs/architecture.md");
    for (folder, ending) in [("src", "rs"), ("web", "js")] {
        for entry in std::fs::read_dir(package.join(folder)).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|found| found == ending) {
                let name = entry.file_name().display().to_string();
                assert!(architecture.text.contains(&name), "{folder}/{name}");
            }
        }
    }
    let is_path = |word: &&str| word.ends_with(".rs") || word.ends_with(".js");
    let words = architecture
        .text
        .split(|c: char| !c.is_alphanumeric() && !"/._-".contains(c));
    for word in words.filter(is_path) {
        let places = [
            "",
            "src/",
            "src/protocol/",
            "src/transport/ws/",
            "src/transport/",
            "web/",
            "src/broker/",
            "src/hub/",
        ];
        let exists = places
            .iter()
            .any(|place| package.join(place).join(word).exists());
        assert!(exists, "docs/architecture.md: {word}");
    }
}

#[test]
fn documents_are_short() {
    for (path, lines_max) in [("README.md", 100), ("docs/architecture.md", 200)] {
        let lines = document(path).text.lines().count();
        assert!(lines <= lines_max, "{path}: {lines} lines");
    }
}
