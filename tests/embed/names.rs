//! The public names of the crate: a list that changes only on purpose.

use std::collections::BTreeSet;
use std::path::Path;

/// One name per line. The names of `server` follow it.
const LISTED: &str = include_str!("public-names.txt");

/// Compiles the names, and compares them with the list.
#[allow(unused_imports, reason = "that they are there is what is tested")]
mod all {
    use triway::server::{BadNetwork, Drained, FastPath, Network, Options, listen, serve};
    use triway::{
        Access, Action, ApiKey, ApiKeys, Audience, BadCursor, BadKey, BadRule, BrokerOptions,
        Builder, ChannelName, ChannelPattern, ChannelRule, ChannelRules, Code, Credentials, Cursor,
        Data, Epoch, Event, EventName, Feed, Gap, GapReason, Grants, History, HttpOptions, Hub,
        HubOptions, Item, JwtOptions, JwtVerifier, KeyHash, KeyScope, KeySet, Member, Members,
        Message, Metrics, Peer, PresenceOptions, Published, Publishing, Rate, Reach, Reached,
        Refusal, SessionInfo, SessionOptions, Since, SkippedKey,
    };
}

fn source(path: &str) -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(package.join(path)).unwrap()
}

/// Returns the names of each `pub` item at the left margin that is not hidden.
fn names(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut lines = source.lines();
    let mut is_hidden = false;
    while let Some(line) = lines.next() {
        if line.starts_with("#[doc(hidden)]") {
            is_hidden = true;
        }
        let Some(item) = line.strip_prefix("pub ") else {
            continue;
        };
        if std::mem::take(&mut is_hidden) {
            continue;
        }
        let mut item = item.replace("async fn", "fn");
        if let Some(path) = item.strip_prefix("use ") {
            let mut path = path.to_owned();
            while !path.contains(';') {
                path += lines.next().unwrap_or(";");
            }
            names.extend(imported(&path));
            continue;
        }
        item = item.split_once(' ').unwrap_or_default().1.to_owned();
        let end = item.find(|c: char| !c.is_alphanumeric() && c != '_');
        names.insert(item[..end.unwrap_or(item.len())].to_owned());
    }
    names
}

/// Returns the names that a `use` creates: the last ones of its paths, or those after `as`.
fn imported(path: &str) -> Vec<String> {
    let path = path.trim().trim_end_matches(';').trim_end_matches('}');
    let list = path.rsplit_once('{').map_or(path, |(_, list)| list);
    let name = |one: &str| {
        let last = one.rsplit_once(" as ").or_else(|| one.rsplit_once("::"));
        last.map_or(one, |(_, name)| name).trim().to_owned()
    };
    let names = list.split(',').map(name);
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_public_names_are_those_of_the_list() {
    let mut shown = names(&source("src/lib.rs"));
    let of_server = names(&source("src/server.rs"));
    shown.extend(of_server.iter().map(|name| format!("server::{name}")));
    let listed: BTreeSet<String> = LISTED.lines().map(str::to_owned).collect();
    let only = |some: &BTreeSet<String>, others: &BTreeSet<String>| -> Vec<String> {
        some.difference(others).cloned().collect()
    };
    let (new, gone) = (only(&shown, &listed), only(&listed, &shown));
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:?}, gone: {gone:?}; change tests/embed/public-names.txt if this is meant"
    );
}

#[test]
fn each_name_of_the_list_compiles() {
    let text = source("tests/embed/names.rs");
    let begin = text.find("mod all {").unwrap();
    let block = &text[begin..begin + text[begin..].find("\n}").unwrap()];
    let words: BTreeSet<&str> = block.split(|c: char| !c.is_alphanumeric()).collect();
    for name in LISTED.lines() {
        let name = name.rsplit("::").next().unwrap_or(name);
        assert!(words.contains(name), "{name} is not used above");
    }
}
