//! The TOML file: its keys are the flags of a command, and its values become their defaults.
//!
//! Clap then applies the order of precedence: command line, environment, this file, built-in default. This file knows
//! no particular flag.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use clap::builder::OsStr;
use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};

use super::channels;

/// The least similarity (Jaro-Winkler, 0 to 1) at which a known key is suggested for an unknown one.
const LIKENESS_MIN: f64 = 0.7;
/// Flags that are no keys: the one that names the file, and clap's own.
const NOT_KEYS: [&str; 3] = ["config", "help", "version"];

/// An error in a configuration file, with its position.
#[derive(Debug)]
pub struct BadFile {
    path: String,
    line: Option<usize>,
    complaint: String,
}

impl BadFile {
    pub(super) fn new(path: &Path, line: Option<usize>, complaint: String) -> Self {
        let path = path.display().to_string();
        Self {
            path,
            line,
            complaint,
        }
    }
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.complaint)
    }
}

impl std::error::Error for BadFile {}

/// Returns the command with the values of the file as the defaults of its flags.
///
/// # Errors
/// Returns [`BadFile`] if the file cannot be read, is not TOML, has a key that is no flag, or has a value that the
/// flag does not accept.
pub fn with_defaults(command: Command, path: &Path) -> Result<Command, BadFile> {
    let bad = |line, complaint| BadFile::new(path, line, complaint);
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(None, format!("cannot be read: {error}")))?;
    let line_at = |span: Range<usize>| text[..span.start.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(&text).map_err(|error| {
        bad(
            error.span().map(line_at),
            format!("is not TOML: {}", error.message()),
        )
    })?;
    let mut command = command;
    let mut settings: Vec<_> = table.get_ref().iter().collect();
    // The table sorts by name; errors are reported in the order of the file.
    settings.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in settings {
        let name = key.get_ref().as_ref();
        if name == channels::KEY {
            continue;
        }
        let Some(arg) = flag(&command, name) else {
            return Err(bad(Some(line_at(key.span())), unknown(&command, name)));
        };
        let texts = texts(arg, value.get_ref()).and_then(|texts| check(arg, texts));
        let texts = texts.map_err(|complaint| {
            bad(
                Some(line_at(value.span())),
                format!("`{name}`: {complaint}"),
            )
        })?;
        let id = arg.get_id().clone();
        command = command.mut_arg(id, |arg| arg.default_values(texts.into_iter().map(leak)));
    }
    Ok(command)
}

/// Leaks a default value. Clap keeps its defaults for the whole life of the program, and the file is read only once.
fn leak(text: String) -> OsStr {
    OsStr::from(&*Box::leak(text.into_boxed_str()))
}

fn keys(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = command
        .get_arguments()
        .filter_map(|arg| Some((arg.get_long()?, arg)));
    named.filter(|(name, _)| !NOT_KEYS.contains(name))
}

fn flag<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    keys(command)
        .find(|(key, _)| *key == name)
        .map(|(_, arg)| arg)
}

fn unknown(command: &Command, name: &str) -> String {
    let written = name.to_lowercase().replace('_', "-");
    match nearest(&written, keys(command).map(|(key, _)| key)) {
        Some(key) => format!("unknown key `{name}`; did you mean `{key}`?"),
        None => format!("unknown key `{name}`; the keys are the flags of `triway serve --help`"),
    }
}

/// Returns the name that is most like an unknown one, if any is.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &'a str| (strsim::jaro_winkler(known, name), known);
    let best = known.map(likeness).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .map(|(_, known)| known)
}

/// Returns a value as it would be written on the command line, or a list of values for a flag that may be repeated.
fn texts(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let repeatable = matches!(arg.get_action(), ArgAction::Append);
    match value {
        DeValue::Array(values) if repeatable => values
            .iter()
            .map(|value| text(arg, value.get_ref()))
            .collect(),
        value => Ok(vec![text(arg, value)?]),
    }
}

fn text(arg: &Arg, value: &DeValue<'_>) -> Result<String, String> {
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    match value {
        DeValue::Boolean(value) if is_switch => Ok(value.to_string()),
        value if is_switch => Err(format!(
            "expected true or false, found {}",
            value.type_str()
        )),
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        other => {
            let found = other.type_str();
            // The flag's own parser describes best what it accepts, and it does so for any invalid value.
            Err(match check(arg, vec!["\u{0}".into()]) {
                Err(complaint) if complaint.contains("expected") => {
                    format!(
                        "{}, found {found}",
                        complaint.trim_end_matches(", found \"\\0\"")
                    )
                }
                _ => format!("expected a string, found {found}"),
            })
        }
    }
}

/// Checks values with the parser of their flag, so that the caller can report the position of an invalid one.
pub(super) fn check(arg: &Arg, texts: Vec<String>) -> Result<Vec<String>, String> {
    // The flag alone, without an environment variable, a default or a requirement that could hide an error.
    let alone = arg
        .clone()
        .env(None::<&str>)
        .default_value(None::<&str>)
        .required(false);
    // A switch has a value everywhere except on the command line.
    let alone = match arg.get_action() {
        ArgAction::SetTrue => alone.action(ArgAction::Set).num_args(1),
        _ => alone,
    };
    let probe = Command::new("probe")
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(alone);
    let name = arg.get_long().unwrap_or_default();
    for text in &texts {
        let asked = probe
            .clone()
            .try_get_matches_from([format!("--{name}={text}")]);
        if let Err(error) = asked {
            let expected = std::error::Error::source(&error)
                .map_or_else(|| error.kind().to_string(), ToString::to_string);
            let is_secret = arg.is_hide_env_values_set();
            return Err(if is_secret {
                expected
            } else {
                format!("{expected}, found {text:?}")
            });
        }
    }
    Ok(texts)
}
