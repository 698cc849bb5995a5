//! `triway sub`: prints one line per event, across restarts of the hub and cuts of the network.
//!
//! Continues from its cursor each time, and reports gaps on standard error. Knows no wire format.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::attach::{self, Wish};
use super::backoff::Backoff;
use super::frames::{Flow, FrameReader, OutputFormat};
use super::outlet::{reader_gone, tell};
use super::remote::{self, Remote, Trouble};

const EXAMPLES: &str = "\
Examples:
  triway sub lobby
  triway sub lobby,news --since last:20 --format data
  triway sub lobby --via poll --count 1";

/// The options of `triway sub`.
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SubscribeOptions {
    /// One or more channels, separated by commas
    channels: String,
    /// The transport to read over
    #[arg(long, value_enum, default_value_t = Via::Ws)]
    via: Via,
    /// Where to begin: now, all, last:20, a duration such as 10m, or an id
    #[arg(long, value_name = "START", default_value = "now")]
    since: String,
    /// What each line contains
    #[arg(long, value_enum, default_value_t = OutputFormat::Full)]
    format: OutputFormat,
    /// Exit after this number of events
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    remote: remote::RemoteOptions,
}

/// A transport, as arguments and reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Via {
    /// WebSocket
    Ws,
    /// Server-Sent Events
    Sse,
    /// Long polling
    Poll,
}

impl Via {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }

    /// Returns the name to display.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ws => "WebSocket",
            Self::Sse => "SSE",
            Self::Poll => "long polling",
        }
    }
}

/// Reads until the requested number of events was printed, standard output is closed, or the hub refuses for good.
pub(super) async fn run(options: SubscribeOptions) -> anyhow::Result<()> {
    tokio::select! {
        outcome = read(options) => outcome,
        () = reader_gone() => Ok(()),
    }
}

async fn read(options: SubscribeOptions) -> anyhow::Result<()> {
    let remote = Remote::new(options.remote)?;
    let wish = Wish {
        remote: &remote,
        channels: &options.channels,
        since: &options.since,
    };
    let mut reader = FrameReader::new(options.format, options.count);
    let mut backoff = Backoff::default();
    let mut told = false;
    loop {
        let outcome = match options.via {
            Via::Ws => attach::ws(&wish, &mut reader).await,
            Via::Sse => attach::sse(&wish, &mut reader).await,
            Via::Poll => attach::poll(&wish, &mut reader).await,
        };
        if reader.reopen() {
            backoff.reset();
            told = false;
        }
        let (what, after) = match outcome {
            Ok(Flow::Enough) => return Ok(()),
            Ok(Flow::Again(after)) => ("the hub is shutting down".to_owned(), Some(after)),
            Ok(Flow::On) => ("ended".to_owned(), None),
            Err(Trouble::Passing { what, after }) => (what, after),
            Err(Trouble::Final(what)) => bail!("{}: {what}", remote.name()),
        };
        // Report an outage once, since it may last for hours.
        if !std::mem::replace(&mut told, true) {
            tell(format_args!("{}: {what}; trying again", remote.name()));
        }
        // Add jitter to the hub's delay. Otherwise, all clients with the same delay would reconnect at once.
        let wait: Duration = after.unwrap_or_default() + backoff.next();
        tokio::time::sleep(wait).await;
    }
}
