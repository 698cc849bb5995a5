//! Compares tables and examples of the documents with the source that they describe.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use triway::Code;
use triway::internal::ByeReason;

use super::document;
use super::markdown::says;
use crate::support::{Program, in_time};

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all text files in a folder with one of these endings, as (path, text), sorted.
fn texts(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut folders = vec![package().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let ending = path
                .extension()
                .and_then(|ending| ending.to_str())
                .unwrap_or_default();
            if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("dist") {
                folders.push(path);
            } else if endings.contains(&ending) {
                let name = path.strip_prefix(package()).unwrap().display().to_string();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_refusal_table_is_every_code_with_its_status_and_bye() {
    let rows = document("docs/protocol.md").table("code | status");
    let documented: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row[0], row[1], row[2]))
        .collect();
    let known = |code: &Code| {
        let (status, text, ..) = code.facts();
        format!("{text} {status} {}", code.bye().facts().0)
    };
    let known: BTreeSet<String> = Code::ALL.iter().map(known).collect();
    assert_eq!(documented, known);
}

#[test]
fn the_bye_table_is_every_reason() {
    const ALL: [ByeReason; 11] = [
        ByeReason::Drain,
        ByeReason::Expired,
        ByeReason::Slow,
        ByeReason::Silent,
        ByeReason::Gap,
        ByeReason::Busy,
        ByeReason::BadRequest,
        ByeReason::Unauthorized,
        ByeReason::Forbidden,
        ByeReason::Limit,
        ByeReason::Newer,
    ];
    let rows = document("docs/protocol.md").table("code | reason");
    let documented: Vec<(String, String)> = rows
        .iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let known = ALL.map(|reason| (reason.facts().0.to_string(), reason.facts().1.to_owned()));
    assert_eq!(documented, known);
    for row in rows {
        let comes_back = row[0].as_str() < "3500";
        assert_eq!(row[2].starts_with("yes"), comes_back, "{row:?}");
    }
}

#[test]
fn the_settings_table_is_what_help_says() {
    let help = Command::new(env!("CARGO_BIN_EXE_triway"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut flags: Vec<(String, String)> = Vec::new();
    for line in help.lines().map(str::trim) {
        if let Some(flag) = line.strip_prefix("--") {
            let name = flag.split(' ').next().unwrap();
            flags.push((name.to_owned(), String::new()));
        } else if let Some(default) = line.strip_prefix("[default: ") {
            flags.last_mut().unwrap().1 = default.trim_end_matches(']').to_owned();
        }
    }
    let rows = document("docs/operate.md").table("flag");
    assert_eq!(rows.len(), flags.len(), "{flags:?}");
    for (row, (name, default)) in rows.iter().zip(flags) {
        let variable = format!("TRIWAY_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!((&row[0], &row[1]), (&format!("--{name}"), &variable));
        let key = if name == "config" { "" } else { &name };
        assert_eq!(row[2], key);
        let has_none = ["", "false"].contains(&row[3].as_str()) || name == "secret";
        assert!(
            row[3] == default || (has_none && default.is_empty()),
            "--{name}: {default}"
        );
        assert!(
            !row[4].is_empty() && !row[5].is_empty(),
            "--{name}: unit and words"
        );
    }
}

#[test]
fn the_metrics_table_is_what_is_counted() {
    let source = std::fs::read_to_string(package().join("src/metrics.rs")).unwrap()
        + &std::fs::read_to_string(package().join("src/http/health.rs")).unwrap();
    let counted = source.split(".register(").skip(1).map(|rest| {
        let name = rest.split('"').nth(1).unwrap();
        name.to_owned()
    });
    let rows = document("docs/operate.md").table("metric");
    let documented = rows.iter().map(|row| {
        let name = row[0].trim_start_matches("triway_");
        name.trim_end_matches("_total").to_owned()
    });
    assert_eq!(
        documented.collect::<BTreeSet<_>>(),
        counted.collect::<BTreeSet<_>>()
    );
}

#[test]
fn every_must_has_a_test() {
    let protocol = document("docs/protocol.md");
    let told: Vec<String> = protocol
        .prose()
        .split("**MUST-")
        .skip(1)
        .map(|rest| format!("MUST-{}", rest.split("**").next().unwrap()))
        .collect();
    let unique: BTreeSet<&String> = told.iter().collect();
    assert_eq!(unique.len(), told.len(), "a name stands for one rule");
    let rows = protocol.table("rule");
    let listed: BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(unique, listed);

    let sources: Vec<(String, String)> = [
        texts("src", &["rs"]),
        texts("tests", &["rs"]),
        texts("web", &["js"]),
    ]
    .concat();
    let table = protocol
        .text
        .lines()
        .filter(|line| line.starts_with("| MUST-"));
    for row in table {
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            // The title of a script is an argument of its runner, or a member. A title with a transport is a template.
            let spelled = match test.strip_suffix('…') {
                Some(beginning) => vec![format!("`{beginning}${{")],
                None => vec![
                    format!("fn {test}("),
                    format!("('{test}'"),
                    format!(", '{test}'"),
                    format!(": '{test}'"),
                ],
            };
            let is_there = |text: &str| spelled.iter().any(|test| text.contains(test));
            let exists = sources.iter().any(|(_, text)| is_there(text));
            assert!(exists, "no test `{test}`: {row}");
        }
    }
}

#[test]
fn examples_of_frames_are_frames() {
    let mut kinds = BTreeSet::new();
    for block in document("docs/protocol.md").blocks() {
        if block.info != "json" {
            continue;
        }
        for line in block.text.lines() {
            let frame: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            kinds.insert(frame["type"].as_str().unwrap().to_owned());
        }
    }
    let all = ["bye", "event", "gap", "hello", "ping", "refused", "reply"];
    assert_eq!(
        kinds.iter().collect::<Vec<_>>(),
        all.iter().collect::<Vec<_>>()
    );
}

/// Plays the conversation in the document: sends what the client sends, and waits for what the hub sends.
#[tokio::test]
async fn the_websocket_conversation_goes_as_it_stands_there() {
    use futures_util::{SinkExt as _, StreamExt as _};
    let program = Program::start(&[]).await;
    program.wire.publish("lobby", "hello").await;
    let protocol = document("docs/protocol.md");
    let block = protocol
        .blocks()
        .into_iter()
        .find(|block| block.info == "text websocket")
        .unwrap();
    let mut lines = block.text.lines();
    let path = lines.next().unwrap().strip_prefix("> GET ").unwrap();
    let url = format!("ws://{}{path}", program.wire.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut heard: Vec<String> = Vec::new();
    for line in lines {
        if let Some(command) = line.strip_prefix("> ") {
            socket.send(Message::text(command)).await.unwrap();
            continue;
        }
        // A publisher's own event may arrive before its reply, so the order is not checked.
        while !heard.iter().any(|real| says(line, real)) {
            let message = in_time(line, socket.next()).await.unwrap().unwrap();
            let text = message.into_text().unwrap().to_string();
            assert!(
                !text.contains("\"type\":\"ping\""),
                "nothing says\n{line}\nin {heard:#?}"
            );
            heard.push(text);
        }
    }
}
