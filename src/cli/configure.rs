//! `triway config`: writes a settings file, checks one, and shows which settings are in force and where they come from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Subcommand};

use super::outlet::print;
use crate::config::{Config, Flags};

const EXAMPLES: &str = "\
Examples:
  triway config init triway.toml
  triway config check --config triway.toml
  TRIWAY_LISTEN=:8000 triway config show --config triway.toml";

/// What stands above the settings of a new file.
const INTRODUCTION: &str = "\
# Settings of a triway hub: triway serve --config FILE
#
# Each line shows a default. Remove the `#` in front of a setting to change it. Flags and the environment override this
# file. `triway config check --config FILE` checks it.
";

/// Channel rules of a new file.
const RULES: &str = "
# Who may read and publish (docs/auth.md). The first rule that matches decides. Without a rule, a channel requires a grant.

# [[channel]]
# match = \"user/{user}/*\"
# read = \"owner\"
# publish = \"server\"

# [[channel]]
# match = \"news/*\"
# read = \"anyone\"
# publish = \"server\"
# presence = false
";

/// The arguments of `triway config`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigOptions {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Write a file with every setting, commented out
    Init {
        /// The new file
        #[arg(default_value = "triway.toml")]
        path: PathBuf,
    },
    /// Check the settings as `serve` would, and show the channel rules as understood
    Check(Box<Flags>),
    /// Show every setting in force, and where it comes from
    Show(Box<Flags>),
}

impl ConfigOptions {
    /// Returns the flags of a command that reads settings.
    pub(super) fn flags(&self) -> Option<&Flags> {
        match &self.action {
            ConfigAction::Init { .. } => None,
            ConfigAction::Check(flags) | ConfigAction::Show(flags) => Some(flags),
        }
    }
}

/// Runs the command. `root` is the whole program, and `matches` are its arguments.
pub(super) fn run(
    options: ConfigOptions,
    root: &Command,
    matches: &ArgMatches,
) -> anyhow::Result<()> {
    let serve = root
        .find_subcommand("serve")
        .context("there is no `serve`")?;
    match options.action {
        ConfigAction::Init { path } => init(serve, &path),
        ConfigAction::Check(flags) => print(&check(*flags)?),
        ConfigAction::Show(_) => {
            let below = |matches: &ArgMatches| matches.subcommand().map(|(_, below)| below.clone());
            let matches = below(matches).as_ref().and_then(below);
            print(&shown(serve, &matches.context("there is nothing to show")?))
        }
    }
}

/// Returns the flags that may stand in a file.
fn settings(serve: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = serve
        .get_arguments()
        .filter_map(|arg| Some((arg.get_long()?, arg)));
    named.filter(|(name, _)| !["config", "help", "version"].contains(name))
}

fn init(serve: &Command, path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} exists already; choose another name", path.display());
    }
    let mut text = INTRODUCTION.to_owned();
    let mut heading = None;
    for (name, arg) in settings(serve) {
        let its = arg.get_help_heading();
        if heading != its {
            heading = its;
            let _ = write!(text, "\n# {}\n", heading.unwrap_or_default());
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = arg.get_default_values().first();
        let default = default.map(|value| value.to_string_lossy().into_owned());
        let value = match (default, arg.get_action()) {
            (Some(value), _) => value,
            (None, ArgAction::SetTrue) => "false".to_owned(),
            (None, ArgAction::Append) => "[]".to_owned(),
            (None, _) => String::new(),
        };
        let _ = write!(text, "\n# {help}\n# {name} = {}\n", toml_value(&value));
    }
    text += RULES;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    print(&format!("wrote {}\n", path.display()))
}

/// Returns a value as TOML: numbers, switches and lists as they are, everything else as a string.
fn toml_value(text: &str) -> String {
    let is_plain = text.parse::<u64>().is_ok() || ["true", "false", "[]"].contains(&text);
    if is_plain {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

fn check(flags: Flags) -> anyhow::Result<String> {
    let config = Config::new(flags).map_err(|bad| anyhow::anyhow!("{bad}"))?;
    let mut text = String::from("the settings are valid\n");
    let sources = &config.credentials;
    let mut kinds = Vec::new();
    if let Some((_, keys)) = &sources.api_keys {
        kinds.push(format!("{} API keys", keys.len()));
    }
    if sources.jwt.is_some() {
        kinds.push("JWTs".to_owned());
    }
    if sources.authorizer.is_some() {
        kinds.push("an authorizer".to_owned());
    }
    let _ = match kinds.as_slice() {
        [] => writeln!(
            text,
            "credentials: none; channels without a rule are open to every client"
        ),
        kinds => writeln!(text, "credentials: {}", kinds.join(", ")),
    };
    for (index, rule) in config.rules.as_slice().iter().enumerate() {
        let members = if rule.presence { "shown" } else { "hidden" };
        let _ = writeln!(
            text,
            "rule {}: {} may be read by {}, published to by {}; members are {members}",
            index + 1,
            rule.pattern,
            rule.read,
            rule.publish
        );
    }
    let otherwise = if kinds.is_empty() { "anyone" } else { "grant" };
    let _ = writeln!(
        text,
        "other channels: read by {otherwise}, published to by {otherwise}"
    );
    Ok(text)
}

fn shown(serve: &Command, matches: &ArgMatches) -> String {
    let mut text = String::new();
    for (name, arg) in settings(serve) {
        let id = arg.get_id().as_str();
        let values: Vec<String> = matches
            .get_raw(id)
            .into_iter()
            .flatten()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            // A file changes the defaults.
            Some(_) if values != defaults && !is_off(arg, &values) => "file",
            Some(_) => "default",
            None => continue,
        };
        let value = match values.as_slice() {
            _ if arg.is_hide_env_values_set() => "\"…\"".to_owned(),
            [one] if !matches!(arg.get_action(), ArgAction::Append) => toml_value(one),
            many => format!("{many:?}"),
        };
        let _ = writeln!(text, "{name} = {value}  # {source}");
    }
    text
}

/// Reports whether a switch has its built-in default, which the command does not list.
fn is_off(arg: &Arg, values: &[String]) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue) && values == ["false"]
}
