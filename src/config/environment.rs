//! The environment variables. clap reads them too, but reports an error under the name of the flag; this check names
//! the variable.
//!
//! This file knows no particular flag.

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::Command;

use super::file::check;

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
