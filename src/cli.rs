//! The command line: `serve` (the default), `pub`, `sub`, `bench`, `key`, `token`, `revoke` and `access`.
//!
//! Knows how arguments become a command; each command is a file of its own.

mod access;
mod attach;
mod authorizer;
mod backoff;
mod bench;
mod capped;
mod configure;
mod frames;
mod key;
mod key_set;
mod outlet;
mod program;
mod publish;
mod remote;
mod revoke;
mod serve;
mod signals;
mod subscribe;
mod token;

pub(crate) use outlet::{ReaderGone, tell};
pub use program::main;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, BadConfig, BadFile, BadVariable, Config, Flags};

const EXAMPLES: &str = "\
Examples:
  triway                            Listen on http://127.0.0.1:7333
  triway serve --help               Show every setting
  triway sub lobby                  Read the channel lobby
  triway pub lobby hello            Publish to it
  curl -N localhost:7333/sse/lobby  Read it with curl";

/// One broadcast hub with three transports: WebSocket, Server-Sent Events and long polling
#[derive(Debug, Parser)]
#[command(name = "triway", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: ProgramCommand,
}

#[derive(Debug, Subcommand)]
enum ProgramCommand {
    /// Run the hub (the default command)
    ///
    /// Sizes accept KiB, MiB and GiB, times ms, s, m and h; 0 means none. You can also set each flag in the
    /// environment (TRIWAY_HISTORY_EVENTS=500) or in a TOML file (history-events = 500).
    Serve(Box<Flags>),
    /// Publish events
    Pub(publish::PublishOptions),
    /// Read channels: one line per event; reconnects after a restart of the hub
    Sub(subscribe::SubscribeOptions),
    /// Compare WebSocket, SSE and long polling on one hub: latency, CPU, memory and lost events
    Bench(Box<bench::PlanOptions>),
    /// Write, check and show settings
    Config(configure::ConfigOptions),
    /// Make, list and revoke API keys of back ends
    Key(key::KeyOptions),
    /// Sign and inspect JSON Web Tokens
    Token(token::TokenOptions),
    /// Refuse what was issued to a user, a session or a token, and end its readers
    Revoke(revoke::RevokeOptions),
    /// Explain who may read a channel and publish to it
    Access(access::AccessOptions),
}

impl Arguments {
    /// What is logged, and how much of it.
    pub(crate) fn log(&self) -> &str {
        match &self.command {
            ProgramCommand::Serve(flags) => &flags.log,
            _ => "error",
        }
    }

    /// The TOML file of a command that reads settings.
    fn file(&self) -> Option<&Path> {
        let flags = match &self.command {
            ProgramCommand::Serve(flags) => flags,
            ProgramCommand::Config(options) => options.flags()?,
            _ => return None,
        };
        flags.config.as_deref()
    }

    /// Whether the work is for all cores. Clients work one after the other, and `bench` measures what one thread of
    /// its own costs.
    pub(crate) fn wants_all_cores(&self) -> bool {
        matches!(self.command, ProgramCommand::Serve(_))
    }
}

/// Why there is nothing to run.
pub(crate) enum Complaint {
    /// clap's own: a usage error, or a wish for help.
    Usage(clap::Error),
    File(BadFile),
    Variable(BadVariable),
}

impl Complaint {
    pub(crate) fn tell(&self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                // Nowhere to complain to is no reason to fail in another way.
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX))
            }
            Self::File(error) => {
                tell(error);
                ExitCode::from(2)
            }
            Self::Variable(error) => {
                tell(error);
                ExitCode::from(2)
            }
        }
    }
}

impl From<clap::Error> for Complaint {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

/// A command with its arguments.
pub(crate) struct Invocation {
    arguments: Arguments,
    /// The same arguments, with the source of each value.
    matches: ArgMatches,
}

impl Invocation {
    /// Returns the settings of `serve`.
    fn flags(self) -> Option<Flags> {
        match self.arguments.command {
            ProgramCommand::Serve(flags) => Some(*flags),
            _ => None,
        }
    }

    pub(crate) fn log(&self) -> &str {
        self.arguments.log()
    }

    pub(crate) fn wants_all_cores(&self) -> bool {
        self.arguments.wants_all_cores()
    }
}

/// Returns the arguments, completed by the environment and the TOML file.
pub(crate) fn parse(given: impl IntoIterator<Item = OsString>) -> Result<Invocation, Complaint> {
    let given = with_default_command(given.into_iter().collect());
    let plain = command();
    for warning in config::unknown_variables(&plain, std::env::vars_os().map(|(name, _)| name)) {
        tell(format_args!("warning: {warning}"));
    }
    if let Some(named) = named(&plain, &given) {
        config::check_environment(named, &given, |name| std::env::var_os(name))
            .map_err(Complaint::Variable)?;
    }
    let matches = plain.clone().try_get_matches_from(&given)?;
    if has_visible_token(&matches) {
        tell("warning: process lists show --token; use TRIWAY_TOKEN or --token-file");
    }
    let arguments = Arguments::from_arg_matches(&matches)?;
    let Some(path) = arguments.file() else {
        return Ok(Invocation { arguments, matches });
    };
    let mut bad = None;
    let mut layer = |command: clap::Command| {
        config::with_defaults(command.clone(), path).unwrap_or_else(|error| {
            bad = Some(error);
            command
        })
    };
    let layered = plain
        .mut_subcommand("serve", &mut layer)
        .mut_subcommand("config", |config| {
            let config = config.mut_subcommand("check", &mut layer);
            config.mut_subcommand("show", &mut layer)
        });
    if let Some(error) = bad {
        return Err(Complaint::File(error));
    }
    let matches = layered.try_get_matches_from(&given)?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    Ok(Invocation { arguments, matches })
}

/// Returns the command that the arguments name, which may stand below another one.
fn named<'a>(root: &'a clap::Command, given: &[OsString]) -> Option<&'a clap::Command> {
    let named = root.find_subcommand(given.get(1)?)?;
    let below = given.get(2).and_then(|name| named.find_subcommand(name));
    Some(below.unwrap_or(named))
}

/// Returns whether a token is on the command line.
fn has_visible_token(matches: &ArgMatches) -> bool {
    let Some((_, matches)) = matches.subcommand() else {
        return false;
    };
    let source = |matches: &ArgMatches| {
        let has_token = matches.ids().any(|id| id == "token");
        has_token.then(|| matches.value_source("token")).flatten()
    };
    source(matches) == Some(clap::parser::ValueSource::CommandLine)
}

/// The variables are told once, by their rule; repeated for each flag they bury the help.
fn command() -> clap::Command {
    let hide = |arg: clap::Arg| arg.hide_env(true);
    let mut command = Arguments::command();
    for name in [
        "serve", "pub", "sub", "bench", "config", "key", "token", "revoke", "access",
    ] {
        command = command.mut_subcommand(name, |command| command.mut_args(hide));
    }
    command
}

/// `triway` and `triway --listen …` mean `triway serve …`.
fn with_default_command(mut given: Vec<OsString>) -> Vec<OsString> {
    let first = given
        .get(1)
        .map(|first| first.to_string_lossy().into_owned());
    let is_own = |first: &str| {
        ["-h", "--help", "-V", "--version"].contains(&first) || !first.starts_with('-')
    };
    if !first.as_deref().is_some_and(is_own) {
        given.insert(given.len().min(1), "serve".into());
    }
    given
}

/// Does what was asked.
pub(crate) async fn run(invocation: Invocation) -> anyhow::Result<()> {
    let Invocation { arguments, matches } = invocation;
    match arguments.command {
        ProgramCommand::Serve(flags) => {
            let config =
                Config::new(*flags).map_err(|error: BadConfig| anyhow::anyhow!("{error}"))?;
            serve::run(config).await
        }
        ProgramCommand::Pub(options) => publish::run(options).await,
        ProgramCommand::Sub(options) => subscribe::run(options).await,
        ProgramCommand::Bench(options) => bench::run(*options).await,
        ProgramCommand::Config(options) => configure::run(options, &command(), &matches),
        ProgramCommand::Key(options) => key::run(options),
        ProgramCommand::Token(options) => token::run(options),
        ProgramCommand::Revoke(options) => revoke::run(options).await,
        ProgramCommand::Access(options) => access::run(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &[&str]) -> Arguments {
        let invocation = parse(
            std::iter::once("triway")
                .chain(given.iter().copied())
                .map(OsString::from),
        )
        .unwrap_or_else(|_| panic!("{given:?}"));
        invocation.arguments
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        for given in [
            &[][..],
            &["serve"],
            &["--open"],
            &["--listen", "127.0.0.1:0"],
        ] {
            assert!(
                matches!(parsed(given).command, ProgramCommand::Serve(_)),
                "{given:?}"
            );
        }
        assert!(matches!(
            parsed(&["pub", "lobby", "hi"]).command,
            ProgramCommand::Pub(_)
        ));
    }

    #[test]
    fn every_setting_has_an_environment_variable_of_its_name() {
        let command = command();
        let serve = command.find_subcommand("serve").unwrap();
        let flags: Vec<_> = serve
            .get_arguments()
            .filter(|arg| arg.get_id() != "help")
            .collect();
        assert!(flags.len() > 25, "{}", flags.len());
        for arg in flags {
            let long = arg.get_long().unwrap();
            let expected = format!("TRIWAY_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(
                arg.get_env().unwrap().to_str(),
                Some(&*expected),
                "--{long}"
            );
            assert!(
                arg.get_help_heading().is_some() && arg.get_help().is_some(),
                "--{long}"
            );
        }
    }
}
