//! The environment variables. clap reads them too, but reports an error under the name of the flag; this check names
//! the variable.
//!
//! This file knows no particular flag.

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::Command;

use super::file::{check, nearest};

/// An environment variable with an invalid value.
#[derive(Debug)]
pub struct BadVariable {
    name: String,
    complaint: String,
}

impl fmt::Display for BadVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, complaint } = self;
        write!(f, "environment variable {name}: {complaint}")
    }
}

impl std::error::Error for BadVariable {}

/// The prefix of every variable of the program.
const PREFIX: &str = "TRIWAY_";
/// Variables that Kubernetes sets for a service named `triway`.
const KUBERNETES: [&str; 2] = ["TRIWAY_SERVICE_", "TRIWAY_PORT"];

/// Returns a warning for each variable with the program's prefix that no command reads.
pub fn unknown_variables(command: &Command, given: impl Iterator<Item = OsString>) -> Vec<String> {
    let subcommands = command.get_subcommands().flat_map(Command::get_arguments);
    let known: Vec<String> = subcommands
        .filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let is_unknown = |name: &String| {
        name.starts_with(PREFIX)
            && !known.contains(name)
            && !KUBERNETES.iter().any(|prefix| name.starts_with(prefix))
    };
    let names = given.map(|name| name.to_string_lossy().into_owned());
    let warning = |name: String| match nearest(&name, known.iter().map(String::as_str)) {
        Some(near) => format!("unknown environment variable {name}; did you mean {near}?"),
        None => format!("unknown environment variable {name}"),
    };
    names.filter(is_unknown).map(warning).collect()
}

/// Checks the variables of a command's flags. Skips flags that are on the command line, because the command line
/// takes precedence.
///
/// # Errors
/// Returns [`BadVariable`] if a variable has a value that its flag does not accept.
pub fn check_environment(
    command: &Command,
    given: &[OsString],
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<(), BadVariable> {
    let is_given = |name: &str| {
        given.iter().any(|word| {
            let word = word.to_string_lossy();
            let flag = word.strip_prefix("--").unwrap_or_default();
            flag.split('=').next() == Some(name)
        })
    };
    for arg in command.get_arguments() {
        let (Some(name), Some(flag)) = (arg.get_env(), arg.get_long()) else {
            continue;
        };
        let Some(value) = variable(name).filter(|_| !is_given(flag)) else {
            continue;
        };
        let checked = match value.into_string() {
            Ok(text) => check(arg, vec![text]).map(drop),
            Err(_) => Err("its value is not UTF-8".to_owned()),
        };
        checked.map_err(|complaint| BadVariable {
            name: name.to_string_lossy().into_owned(),
            complaint,
        })?;
    }
    Ok(())
}
