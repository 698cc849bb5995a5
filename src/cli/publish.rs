//! `triway pub`: publishes one event, or each line of standard input as one.
//!
//! Every event has an idempotency key. If a response is lost, the event is sent again, and it is still published once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::protocol::PublishAnswer;
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::backoff::Backoff;
use super::outlet::{print, tell};
use super::remote::{self, Remote, Trouble, accepted};

/// How long one event is retried: longer than a restart of the hub takes, but not forever.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one attempt may wait for its response.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Random bytes of a generated key: enough that two keys never collide.
const KEY_BYTES: usize = 16;

const EXAMPLES: &str = "\
If the hub cannot be reached or requests a pause, the command sends the event again for up to 60 s. It prints the
reason to standard error.

Examples:
  triway pub lobby 'hello all'
  triway pub lobby '{\"text\":\"hi\"}' --json --name chat
  tail -f app.log | triway pub logs -";

/// The options of `triway pub`.
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PublishOptions {
    /// The channel to publish to
    channel: String,
    /// The data of the event; `-` publishes each line of standard input as one event
    #[arg(default_value = "-", allow_hyphen_values = true)]
    data: String,
    /// The event's name, by which readers can filter
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Send the data as JSON instead of text
    #[arg(long)]
    json: bool,
    /// Idempotency key: the same key publishes once; with `-`, each line adds its number
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    remote: remote::RemoteOptions,
}

/// Publishes, and prints the id of each event. If standard output is closed, the command ends at the next id and not
/// earlier: its purpose is publishing.
pub(super) async fn run(options: PublishOptions) -> anyhow::Result<()> {
    let publisher = PublishClient {
        remote: Remote::new(options.remote.clone())?,
        options,
        has_waited: AtomicBool::new(false),
    };
    if publisher.options.data != "-" {
        let data = publisher.options.data.clone().into_bytes();
        let key = publisher.options.key.clone().map_or_else(random_key, Ok)?;
        return publisher.publish(data, &key).await;
    }
    let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
    let mut number = 0_u64;
    while let Some(mut line) = lines.next_segment().await.context("standard input")? {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        number += 1;
        let key = publisher
            .options
            .key
            .as_ref()
            .map(|key| format!("{key}/{number}"))
            .map_or_else(random_key, Ok)?;
        publisher
            .publish(line, &key)
            .await
            .with_context(|| format!("line {number}"))?;
    }
    Ok(())
}

struct PublishClient {
    remote: Remote,
    options: PublishOptions,
    /// Whether a pause that the hub requested was reported.
    has_waited: AtomicBool,
}

impl PublishClient {
    async fn publish(&self, data: Vec<u8>, key: &str) -> anyhow::Result<()> {
        let content_type = match str::from_utf8(&data) {
            Ok(text) if self.options.json => {
                serde_json::from_str::<serde::de::IgnoredAny>(text)
                    .context("the data is not JSON")?;
                "application/json"
            }
            Ok(_) => "text/plain; charset=utf-8",
            Err(_) if self.options.json => bail!("the data is not JSON: it is not UTF-8"),
            Err(_) => "application/octet-stream",
        };
        let began = Instant::now();
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let (what, after) = match self.attempt(data.clone(), key, content_type).await {
                Ok(published) => {
                    return print(&format!("{}\n", published.id));
                }
                Err(Trouble::Final(what)) => bail!(what),
                Err(Trouble::Passing { what, after }) => (what, after),
            };
            let wait = after.unwrap_or_else(|| backoff.next());
            if began.elapsed() + wait > PATIENCE {
                bail!("{}: {what}", self.remote.name());
            }
            // Report an outage once. Report a requested pause once per run: a rate limit may request one for each line.
            let is_known = match after {
                Some(_) => self.has_waited.swap(true, Ordering::Relaxed),
                None => std::mem::replace(&mut told, true),
            };
            if !is_known {
                tell(format_args!(
                    "{}: {what}; trying again for up to {} s",
                    self.remote.name(),
                    PATIENCE.as_secs()
                ));
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(
        &self,
        data: Vec<u8>,
        key: &str,
        content_type: &str,
    ) -> Result<PublishAnswer, Trouble> {
        let PublishOptions { channel, name, .. } = &self.options;
        // Clients and proxies normalise such segments in a path.
        let is_normalised = channel
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."));
        let in_query = is_normalised.then_some(("channels", channel.as_str()));
        let in_path = if is_normalised { "" } else { channel };
        let named = name.as_deref().map(|name| ("name", name));
        let query = remote::query(in_query.into_iter().chain(named));
        let request = self
            .remote
            .post(self.remote.address("pub", in_path, &query))
            .header("content-type", content_type)
            .header("idempotency-key", key)
            .timeout(ANSWER_LIMIT)
            .body(data);
        let answer = accepted(request.send().await?).await?.bytes().await?;
        serde_json::from_slice(&answer)
            .map_err(|_| Trouble::Final("the answer is not from a triway hub".into()))
    }
}

fn random_key() -> anyhow::Result<String> {
    let mut random = [0; KEY_BYTES];
    getrandom::fill(&mut random).context("cannot get random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}
