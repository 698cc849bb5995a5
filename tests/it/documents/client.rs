//! The page of the browser client: its scripts run, and its tables match the names in the source.
//!
//! Knows the client as text and as a program of Node. If Node is not installed, each script prints that and is skipped.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::beside::{folder, is_installed};
use super::document;
use crate::cli::Hub;

const PAGE: &str = "docs/client.md";
/// Scripts need the packages of this folder. The folder's own package name is that of the client.
const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web");

/// Runs Node with these arguments. Fails with its output if Node reports an error.
fn node(arguments: &[&str], script: &str) {
    let ran = Command::new("timeout")
        .args(["20", "node"])
        .args(arguments)
        .current_dir(WEB)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}\n{output}{errors}");
}

#[test]
fn every_script_of_the_client_page_runs() {
    if !is_installed("node") {
        return;
    }
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let scripts = document(PAGE).blocks().into_iter();
    let (run, parsed): (Vec<_>, Vec<_>) = scripts
        .filter(|block| block.info.starts_with("js"))
        .partition(|block| block.info == "js run");
    assert!(run.len() >= 6, "{}", run.len());
    for block in run {
        let script = block.text.replace("localhost:7333", hub.authority());
        node(&["--input-type=module", "-e", &script], &script);
    }
    // A script that needs a page or a bundler is checked for its syntax only.
    let file = folder("documents-client").join("script.mjs");
    for block in parsed {
        std::fs::write(&file, &block.text).unwrap();
        node(&["--check", file.to_str().unwrap()], &block.text);
    }
}

/// Returns the texts between a mark and the quote that follows it, in the source of the client.
fn names_after(mark: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(WEB).unwrap().flatten();
    let scripts = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "js"));
    let mut names = BTreeSet::new();
    for script in scripts {
        let text = std::fs::read_to_string(script.path()).unwrap();
        let found = text.split(mark).skip(1);
        names.extend(found.filter_map(|rest| Some(rest.split_once('\'')?.0.to_owned())));
    }
    names
}

#[test]
fn the_error_table_of_the_client_page_is_every_code() {
    let rows = document(PAGE).table("code of the client | what to do");
    let documented: BTreeSet<String> = rows.iter().map(|row| row[0].replace('…', "")).collect();
    let mut thrown = names_after("new TriwayError('");
    thrown.extend(names_after("mistake('"));
    // These are chosen by a condition, in `web/requests.js`.
    thrown.extend(["timeout", "unreachable"].map(str::to_owned));
    assert_eq!(documented, thrown);
}

#[test]
fn the_option_tables_of_the_client_page_are_those_of_the_source() {
    let source = std::fs::read_to_string(format!("{WEB}/options.js")).unwrap();
    let list = source.split("const OPTIONS = {").nth(1).unwrap();
    let known = list.lines().skip(1).take_while(|line| *line != "}");
    let known: Vec<&str> = known
        .filter_map(|line| Some(line.trim().split_once(':')?.0))
        .collect();
    let rows = document(PAGE).table("option | type and bounds");
    let documented: Vec<&str> = rows.iter().map(|row| &*row[0]).collect();
    assert_eq!(documented, known);

    let rows = document(PAGE).table("option | type | default");
    let of_channel: Vec<String> = rows.iter().map(|row| format!("'{}'", row[0])).collect();
    let checked = format!("expectKnown(options, [{}])", of_channel.join(", "));
    assert!(source.contains(&checked), "{checked}");
}
