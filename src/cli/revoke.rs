//! `triway revoke`: ends the sessions of a user, one session, or what came from one credential.

use anyhow::bail;
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::outlet::print;
use super::remote::{Remote, RemoteOptions, accepted};

const EXAMPLES: &str = "\
The token must be an API key with the scope admin.

Examples:
  triway key new ops --scope admin --api-keys keys.toml
  TRIWAY_TOKEN=twk_… triway revoke --user ann
  triway revoke --jti 0ffpCCEe --token-file ops.key";

/// The arguments of `triway revoke`.
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RevokeOptions {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    remote: RemoteOptions,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Subject {
    /// Refuse every credential of this user that was issued until now, and end the user's readers
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// End this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Refuse the token with this `jti`, and end its readers
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    ended: usize,
    /// Seconds since 1970.
    until: i64,
}

pub(super) async fn run(options: RevokeOptions) -> anyhow::Result<()> {
    let Subject { user, session, jti } = options.subject;
    let body = match (user, session, jti) {
        (Some(id), _, _) => json!({"user": id}),
        (_, Some(id), _) => json!({"session": id}),
        (_, _, Some(id)) => json!({"jti": id}),
        _ => bail!("use one of --user, --session and --jti"),
    };
    let remote = Remote::new(options.remote)?;
    let request = remote.post(remote.address("revoke", "", ""));
    let request = request.header("content-type", "application/json");
    let response = accepted(request.body(body.to_string()).send().await?).await?;
    let answer: Answer = serde_json::from_slice(&response.bytes().await?)?;
    let until = jiff::Timestamp::from_second(answer.until)?;
    print(&format!(
        "ended {} sessions; remembered until {until}\n",
        answer.ended
    ))
}
