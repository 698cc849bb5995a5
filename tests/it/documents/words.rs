//! Compares the public names of the protocol (frames, commands, parameters, paths, reasons of gaps) with the tables of
//! `docs/protocol.md`. The refusals and the byes are in `claims.rs`, the limits in `limits.rs`.
//!
//! Knows the wire format. Of the source, it knows only the lists that the wire cannot show completely.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use triway::GapReason;
use triway::internal::{Command, parse_command};

use super::document;
use crate::support::{Ask, Program, Reader, Server, Via};

/// Returns the rows of a table of `docs/protocol.md`: the first cell, and another one as words with their marks.
fn rows(heading: &str, column: usize) -> BTreeMap<String, String> {
    let rows = document("docs/protocol.md").table(heading);
    assert!(!rows.is_empty(), "no table `{heading}`");
    rows.into_iter()
        .map(|row| (row[0].clone(), row[column].clone()))
        .collect()
}

/// The contents of the table of frames: each frame with its members, and with its optional members.
struct Shapes(BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>);

impl Shapes {
    fn documented() -> Self {
        let shapes = rows("frame | members", 1).into_iter().map(|(kind, cell)| {
            // The text after a comma is a sentence.
            let cell = cell.split(',').next().unwrap().replace(" or ", "? ");
            let words = cell.split_whitespace();
            let (optional, always): (Vec<&str>, Vec<&str>) =
                words.partition(|word| word.ends_with('?') || *word == "data64");
            let names = |words: Vec<&str>| {
                let names = words.into_iter().map(|word| word.trim_end_matches('?'));
                names.map(ToOwned::to_owned).collect()
            };
            (kind, (names(always), names(optional)))
        });
        Self(shapes.collect())
    }

    /// Checks that a frame has all required members, and no others than these and the optional ones.
    fn check(&self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap();
        let (always, optional) = self
            .0
            .get(kind)
            .unwrap_or_else(|| panic!("`{kind}` is not in the table of frames"));
        let members = members(frame);
        let missing: Vec<_> = always.difference(&members).collect();
        assert!(missing.is_empty(), "{missing:?} in {frame}");
        // A reply also has the fields of its command.
        let known = |name: &&String| always.contains(*name) || optional.contains(*name);
        let more: Vec<_> = members.iter().filter(|name| !known(name)).collect();
        assert!(more.is_empty() || kind == "reply", "{more:?} in {frame}");
    }
}

fn members(frame: &Value) -> BTreeSet<String> {
    let members = frame.as_object().unwrap().keys();
    members.filter(|name| *name != "type").cloned().collect()
}

/// Reads up to a frame of this type, and keeps all frames before it.
async fn read_to(reader: &mut Reader, kind: &str, seen: &mut Vec<Value>) {
    loop {
        let frame = reader.expect().await;
        let is_last = frame["type"] == kind;
        seen.push(frame);
        if is_last {
            return;
        }
    }
}

/// Makes the hub send every type of frame, with each of its members at least once.
async fn every_frame() -> Vec<Value> {
    let server = Server::start();
    let wire = &server.wire;
    let first = wire.publish("lobby", "old").await;
    wire.publish("lobby", "older").await;
    let bytes = "application/octet-stream";
    wire.publish_as("bytes", "", bytes, [0, 255]).await;
    let mut seen = Vec::new();

    let asked = Ask::of(["lobby", "news", "$x/y"]).with("nonce", "n");
    let asked = asked.since(&first).since_of("news", "now");
    let mut reader = wire.open(Via::Ws, &asked.with("heartbeat", 1)).await;
    read_to(&mut reader, "ping", &mut seen).await;
    for command in [
        json!({"type": "publish", "channel": "lobby", "data": 1, "ref": 1}),
        json!({"type": "dance", "ref": 2}),
    ] {
        reader.send(&command).await;
        read_to(&mut reader, "reply", &mut seen).await;
    }
    let behind = Ask::of(["lobby"]).since("all").with("replay", 1);
    let mut behind = wire.open(Via::Sse, &behind).await;
    read_to(&mut behind, "hello", &mut seen).await;
    let gone = Ask::of(["lobby", "news"]).since("old-5");
    let mut gone = wire.open(Via::Sse, &gone).await;
    read_to(&mut gone, "event", &mut seen).await;
    let all = Ask::of(["bytes"]).since("all");
    let mut all = wire.open(Via::Poll, &all).await;
    read_to(&mut all, "event", &mut seen).await;
    let refused = Ask::of(["lobby"]).since("nonsense");
    let mut refused = wire.open(Via::Ws, &refused).await;
    read_to(&mut refused, "bye", &mut seen).await;
    let _drained = server.drain();
    read_to(&mut reader, "bye", &mut seen).await;
    seen
}

#[tokio::test]
async fn the_frames_table_is_what_the_hub_says() {
    let shapes = Shapes::documented();
    let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for frame in every_frame().await {
        shapes.check(&frame);
        let kind = frame["type"].as_str().unwrap().to_owned();
        said.entry(kind).or_default().extend(members(&frame));
    }
    for (kind, (always, optional)) in shapes.0 {
        let said = said.remove(&kind).unwrap_or_default();
        let unsaid: Vec<_> = always
            .union(&optional)
            .filter(|one| !said.contains(*one))
            .collect();
        assert!(unsaid.is_empty(), "{kind}: {unsaid:?} was never said");
    }
}

/// Returns the name of a command. A new command does not compile here until it has one.
fn word(command: &Command) -> &'static str {
    match command {
        Command::Publish(_) => "publish",
        Command::Subscribe { .. } => "subscribe",
        Command::Unsubscribe { .. } => "unsubscribe",
        Command::Presence { .. } => "presence",
        Command::History { .. } => "history",
        Command::Ping => "ping",
        Command::Leave => "leave",
    }
}

const COMMANDS: [&str; 7] = [
    "publish",
    "subscribe",
    "unsubscribe",
    "presence",
    "history",
    "ping",
    "leave",
];

/// Returns the members of a command or of its reply: the words of a cell without marks and defaults.
fn words(cell: &str) -> Vec<&str> {
    let words = cell.split_whitespace();
    let words = words.filter(|word| *word != "or" && !word.starts_with('('));
    words.map(|word| word.trim_end_matches('?')).collect()
}

#[test]
fn the_commands_table_is_what_the_hub_parses() {
    let rows = rows("command | members", 1);
    let documented: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(documented, BTreeSet::from(COMMANDS));
    for (kind, cell) in &rows {
        let mut command = json!({"type": kind, "ref": 1});
        for member in words(cell).into_iter().filter(|one| *one != "data64") {
            command[member] = match member {
                "limit" | "bytes" | "data" => json!(1),
                "since" => json!("all"),
                _ => json!("a"),
            };
        }
        let parse = |command: &Value| parse_command(command.to_string().as_bytes(), None).command;
        assert_eq!(word(&parse(&command).unwrap()), kind);
        // A known member has a type. `data` accepts any JSON, and is required.
        for member in words(cell) {
            let mut wrong = command.clone();
            match member {
                "data" => drop(wrong.as_object_mut().unwrap().remove(member)),
                _ => wrong[member] = json!([]),
            }
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }
}

#[tokio::test]
async fn the_commands_table_has_the_fields_of_each_reply() {
    let server = Server::start();
    let mut reader = server.wire.open(Via::Ws, &Ask::of(["a"])).await;
    let always = BTreeSet::from(["type", "ref", "ok"]);
    for (kind, cell) in rows("command | members", 2) {
        // `history` is documented with its path, and `leave` has no fields.
        if ["history", "leave"].contains(&kind.as_str()) {
            continue;
        }
        reader
            .send(&json!({"type": kind, "ref": 1, "channel": "b", "data": 1}))
            .await;
        let reply = reader.expect_type("reply").await;
        let fields = reply.as_object().unwrap().keys().map(String::as_str);
        let fields: BTreeSet<&str> = fields.filter(|name| !always.contains(name)).collect();
        assert_eq!(fields, words(&cell).into_iter().collect(), "{reply}");
    }
}

#[test]
fn the_gaps_table_is_every_reason() {
    // A new reason does not compile here until it is listed.
    let is_listed = |reason: GapReason| match reason {
        GapReason::Evicted | GapReason::Expired | GapReason::Restart | GapReason::Unknown => {
            reason.as_str()
        }
    };
    let known = [
        GapReason::Evicted,
        GapReason::Expired,
        GapReason::Restart,
        GapReason::Unknown,
    ];
    let documented: BTreeSet<String> = rows("reason | meaning", 1).into_keys().collect();
    assert_eq!(
        documented,
        known.map(|reason| is_listed(reason).to_owned()).into()
    );
}

/// Returns a query that is refused for each parameter, because only a known parameter is read.
fn wrong_values() -> Vec<(&'static str, String)> {
    let long = |count| "n".repeat(count);
    vec![
        ("early", "poll/a?early=7".to_owned()),
        ("echo", "poll/a?echo=7".to_owned()),
        ("format", "poll/a?format=x".to_owned()),
        ("heartbeat", "sse/a?heartbeat=0".to_owned()),
        ("info", "poll/a?info=%7B".to_owned()),
        ("nonce", format!("poll/a?nonce={}", long(65))),
        ("presence", "poll/a?presence=7".to_owned()),
        ("probe", "sse/a?probe=7".to_owned()),
        ("replay", "poll/a?replay=-1".to_owned()),
        ("since", "poll/a?since=x".to_owned()),
        ("since.NAME", "poll/a?since.b=now".to_owned()),
        ("wait", "poll/a?wait=61".to_owned()),
        ("why", format!("poll/a?why={}", long(33))),
    ]
}

#[tokio::test]
async fn the_parameters_table_is_what_a_reader_may_ask() {
    let server = Server::start();
    let mut known = BTreeSet::new();
    for (name, address) in wrong_values() {
        let answer = server.wire.get(&format!("/{address}")).await;
        assert_eq!(answer.status, 400, "{address}: {}", answer.text());
        known.insert(name.to_owned());
    }
    // An unknown key begins another session (MUST-session-1).
    known.insert("session".to_owned());
    let documented: BTreeSet<String> = rows("parameter | values", 1).into_keys().collect();
    assert_eq!(documented, known);
}

#[tokio::test]
async fn the_addresses_table_has_the_methods_of_each() {
    let program = Program::start(&[]).await;
    for (addresses, cell) in rows("address | methods", 1) {
        let methods = cell.split(|c: char| !c.is_ascii_uppercase());
        let documented: BTreeSet<&str> = methods
            .filter(|word| ["GET", "POST", "HEAD", "DELETE", "CONNECT"].contains(word))
            .collect();
        for address in addresses.split_whitespace() {
            let path = address
                .replace("{channel}", "a")
                .replace("{code}", "forbidden")
                .replace("{channels}", "a")
                .replace('…', "chat.js");
            let answer = program.wire.ask(program.wire.request("PATCH", &path)).await;
            assert_eq!(answer.status, 405, "{path}");
            let allowed = answer.header("allow").to_owned();
            let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).collect();
            assert!(allowed.is_superset(&documented), "{path}: {allowed:?}");
            // A GET includes HEAD, and a POST of `/ws` gets the same response as a GET without Upgrade.
            let may_be_silent = |one: &&str| *one == "HEAD" || (path == "/ws/a" && *one == "POST");
            let more: Vec<_> = allowed
                .difference(&documented)
                .filter(|one| !may_be_silent(one))
                .collect();
            assert!(more.is_empty(), "{path}: {more:?}");
        }
    }
}
