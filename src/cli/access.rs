//! `triway access explain`: which channel rule and which claim decide about a channel.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::outlet::print;
use super::token::token_of;
use crate::auth::jwt::check_jwt;
use crate::auth::{ApiKeys, Audience, ChannelRules, Grants};
use crate::config::{CredentialConfig, CredentialFlags, channel_rules};
use crate::hub::now_ms;
use crate::protocol::{ChannelName, Refusal};

const EXAMPLES: &str = "\
Examples:
  triway access explain --token eyJhbGciOi… read room/42 --jwt-secret-file jwt-secret
  triway access explain publish room/42 --config triway.toml";

/// The arguments of `triway access`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AccessOptions {
    #[command(subcommand)]
    action: AccessAction,
}

#[derive(Debug, Subcommand)]
enum AccessAction {
    /// Show whether a client may read or publish, and why
    Explain(Box<ExplainOptions>),
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    Read,
    Publish,
}

/// A client, and what it wants to do.
#[derive(Args, Debug)]
struct ExplainOptions {
    /// What the client wants to do
    action: Action,
    /// The channel
    channel: String,
    /// The client's token; `-` reads it from standard input (default: no credential)
    #[arg(
        long,
        env = "TRIWAY_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// TOML file with the channel rules of the hub
    #[arg(long, env = "TRIWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    credentials: CredentialFlags,
}

pub(super) fn run(options: AccessOptions) -> anyhow::Result<()> {
    let AccessAction::Explain(options) = options.action;
    let text = explain(&options)?;
    print(&format!("{text}\n"))
}

fn explain(options: &ExplainOptions) -> anyhow::Result<String> {
    let channel = ChannelName::new(&options.channel)?;
    let rules = options.config.as_deref().map(channel_rules).transpose()?;
    let rules = rules.unwrap_or_default();
    let credentials = credentials_of(options)?;
    let grants = match &options.token {
        Some(token) => match grants(&token_of(token)?, credentials) {
            Ok(grants) => grants.by_credential(),
            Err(refusal) => return Ok(format!("refused: {}", refusal.detail)),
        },
        None if credentials.is_set() => Grants::nothing(),
        None => Grants::everything(),
    };
    let now_s = now_ms() / 1_000;
    let (allowed, reach) = match options.action {
        Action::Read => (
            grants.may_read(&rules, &channel, None, now_s),
            grants.read_patterns(),
        ),
        Action::Publish => (
            grants.may_publish(&rules, &channel, now_s),
            grants.publish_patterns(),
        ),
    };
    let verdict = match &allowed {
        Ok(()) => "allowed".to_owned(),
        Err(refusal) => format!("refused: {}", refusal.detail),
    };
    let client = match (grants.user(), grants.is_server(), options.token.is_some()) {
        (Some(user), _, _) => format!("user {user:?}"),
        (None, true, _) => "API key".to_owned(),
        (None, false, true) => "a client with a credential".to_owned(),
        (None, false, false) => "a client without a credential".to_owned(),
    };
    Ok(format!(
        "{verdict}\n  rule    {}\n  client  {client}\n  names   {reach}",
        rule_of(&rules, &channel, options.action)
    ))
}

/// Returns the sources of credentials: those of the command line, or else those of the file.
fn credentials_of(options: &ExplainOptions) -> anyhow::Result<CredentialConfig> {
    let own = CredentialConfig::new(&options.credentials)?;
    let Some(path) = options.config.as_ref().filter(|_| !own.is_set()) else {
        return Ok(own);
    };
    let arguments = [
        "triway".into(),
        "serve".into(),
        "--config".into(),
        path.into(),
    ];
    match super::parse(arguments).map(super::Invocation::flags) {
        Ok(Some(flags)) => Ok(CredentialConfig::new(&flags.credentials)?),
        _ => Ok(own),
    }
}

fn grants(token: &str, credentials: CredentialConfig) -> Result<Grants, Refusal> {
    match (credentials.api_keys, credentials.jwt) {
        (Some((_, keys)), _) if ApiKeys::is_key(token) => ApiKeys::new(keys).grants(token),
        (_, Some(jwt)) => Ok(check_jwt(token, &jwt.keys, &jwt.options, now_ms() / 1_000)?),
        _ => Err(Refusal::new(
            crate::protocol::Code::Unauthorized,
            "the hub does not accept credentials of this form; give its keys (--jwt-secret-file, --jwt-key, --api-keys)",
        )),
    }
}

/// Returns the rule that decides about a channel, in words.
fn rule_of(rules: &ChannelRules, channel: &ChannelName, action: Action) -> String {
    let name = channel.as_str();
    let name = name.strip_prefix("$presence/").unwrap_or(name);
    if name.starts_with(['@', '$']) {
        return "fixed: an inbox is read by its owner, and the hub's own channels by nobody"
            .to_owned();
    }
    let found = rules
        .as_slice()
        .iter()
        .enumerate()
        .find(|(_, rule)| rule.pattern.matches(name));
    let (place, audience) = match found {
        None => ("no rule matches".to_owned(), Audience::default()),
        Some((index, rule)) => {
            let audience = match action {
                Action::Read => rule.read,
                Action::Publish => rule.publish,
            };
            (
                format!("number {} (match = \"{}\")", index + 1, rule.pattern),
                audience,
            )
        }
    };
    let word = match action {
        Action::Read => "read",
        Action::Publish => "publish",
    };
    let meaning = match audience {
        Audience::Anyone => "every client",
        Audience::User => "every client with a valid credential",
        Audience::Owner => "the user whose id stands at {user}",
        Audience::Grant => "clients whose credential names the channel",
        Audience::Server => "API keys",
        Audience::Nobody => "no client",
    };
    format!("{place}: {word} = \"{audience}\", {meaning}")
}
