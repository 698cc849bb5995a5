//! The options of `triway bench`, and the checked plan that results from them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, value_parser};
use reqwest::Url;
use serde::{Serialize, Serializer};

use super::frame::NUMBER_DIGITS;
use super::meter::EVENTS_MAX;
use super::post;
use crate::cli::remote::{parse_url, token_of};
use crate::cli::subscribe::Via;

/// Descriptors for everything except readers: the runtime, files, the terminal, the child process.
const OWN_DESCRIPTORS: u64 = 64;
/// The largest payload, in bytes: the largest data that a hub can be configured to accept.
const PAYLOAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The most readers of one run. They share the ports of one address, and Linux provides 28,000 of them.
const READERS_MAX: u64 = 27_000;
/// The most events in flight for each publisher. A channel's log keeps this many by default, and more could not all be
/// read.
const WINDOW_MAX: i64 = 1_000;
/// Events of a channel that a hub keeps by default.
pub(super) const DEFAULT_HISTORY: usize = 1_000;
/// The most members that publish. Each has its own connection.
const PUBLISHERS_MAX: usize = 1_000;
/// The longest measurement, in seconds. The records of more events would not fit.
const SECONDS_MAX: f64 = 3_600.0;
/// Random bytes in the names of channels, so that two benches on one hub never share a channel.
const TAG_BYTES: usize = 4;

const EXAMPLES: &str = "\
Examples:
  triway bench                                     Compare the transports: 1,000 readers, one event in flight
  triway bench --window 64 --html report.html      Throughput at saturation
  triway bench --rate 200 --seconds 30             Latency at a steady rate
  triway bench --readers 9500 --events 100         Memory and connect time of many readers
  triway bench --url http://127.0.0.1:7333 --server-pid 4711";

/// Compare WebSocket, SSE and long polling on one hub
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanOptions {
    /// A running hub (default: a child process on a free port)
    #[arg(long, value_name = "URL", value_parser = parse_url, help_heading = "The hub")]
    url: Option<Url>,
    /// Process of that hub, to measure its CPU time and memory
    #[arg(long, value_name = "PID", requires = "url", help_heading = "The hub")]
    server_pid: Option<u32>,
    /// Token to send to that hub; process lists show it, so prefer TRIWAY_TOKEN or --token-file
    #[arg(
        long,
        env = "TRIWAY_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        help_heading = "The hub"
    )]
    token: Option<String>,
    /// File that contains the token; it takes precedence over a token
    #[arg(
        long,
        env = "TRIWAY_TOKEN_FILE",
        value_name = "FILE",
        help_heading = "The hub"
    )]
    token_file: Option<PathBuf>,

    /// Transports to compare
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "ws,sse,poll",
        help_heading = "Workload"
    )]
    transport: Vec<Via>,
    /// Number of readers
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = value_parser!(u64).range(1..=READERS_MAX))]
    #[arg(help_heading = "Workload")]
    readers: u64,
    /// Number of channels; the readers are spread over them
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = value_parser!(u64).range(1..=READERS_MAX))]
    #[arg(help_heading = "Workload")]
    channels: u64,
    /// Number of publishers, or `all`: each reader publishes in its channel, over its own transport
    #[arg(long, value_name = "COUNT|all", default_value = "1", value_parser = parse_publishers, help_heading = "Workload")]
    publishers: Publishers,
    /// Events in flight per publisher: it sends the next one when all readers have received one [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..=WINDOW_MAX), conflicts_with = "rate")]
    #[arg(help_heading = "Workload")]
    window: Option<u32>,
    /// Events per second on a fixed schedule, instead of a window; latency counts from the schedule
    #[arg(long, value_name = "COUNT", value_parser = parse_rate, help_heading = "Workload")]
    rate: Option<f64>,
    /// Bytes of data in an event
    #[arg(long, value_name = "BYTES", default_value = "32", value_parser = value_parser!(u64).range(NUMBER_DIGITS as u64..=PAYLOAD_BYTES_MAX))]
    #[arg(help_heading = "Workload")]
    payload: u64,
    /// Connections that are opened at the same time
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = value_parser!(u64).range(1..=READERS_MAX))]
    #[arg(help_heading = "Workload")]
    connecting: u64,

    /// Seconds for which a round measures each transport
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = parse_seconds, help_heading = "Length")]
    seconds: Duration,
    /// Events with which a round measures each transport, instead of a time
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u64).range(1..=EVENTS_MAX as u64 / 2), conflicts_with = "seconds")]
    #[arg(help_heading = "Length")]
    events: Option<u64>,
    /// Rounds, each of all transports in turn
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = value_parser!(u64).range(1..=100))]
    #[arg(help_heading = "Length")]
    rounds: u64,

    /// Write the figures as JSON; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) json: Option<PathBuf>,
    /// Write the figures as a self-contained page with plots
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) html: Option<PathBuf>,
    /// Print no progress and no table
    #[arg(long, help_heading = "Report")]
    pub(super) quiet: bool,
}

/// Which members publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishers {
    All,
    Some(usize),
}

/// When to publish.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PlanPace {
    Window(u32),
    Rate(f64),
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PlanLength {
    Events(usize),
    #[serde(serialize_with = "seconds")]
    Seconds(Duration),
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Serialize for Publishers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Some(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

/// The checked options.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plan {
    #[serde(serialize_with = "address")]
    pub(super) url: Option<Url>,
    pub(super) server_pid: Option<u32>,
    #[serde(skip)]
    pub(super) token: Option<String>,
    #[serde(rename = "transport")]
    pub(super) transports: Vec<Via>,
    pub(super) readers: usize,
    pub(super) channels: usize,
    pub(super) publishers: Publishers,
    #[serde(flatten)]
    pub(super) pace: PlanPace,
    pub(super) payload: usize,
    pub(super) connecting: usize,
    #[serde(flatten)]
    pub(super) length: PlanLength,
    pub(super) rounds: usize,
    #[serde(skip)]
    pub(super) tag: String,
}

fn address<S: Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(Url::as_str).serialize(serializer)
}

fn parse_publishers(text: &str) -> Result<Publishers, String> {
    match text.parse() {
        _ if text == "all" => Ok(Publishers::All),
        Ok(count @ 1..=PUBLISHERS_MAX) => Ok(Publishers::Some(count)),
        _ => Err(format!(
            "expected a number from 1 to {PUBLISHERS_MAX}, or all"
        )),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=1e6).contains(rate));
    rate.ok_or_else(|| "expected events per second, from 0.1 to 1000000".into())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim_end_matches('s').parse().ok();
    seconds
        .filter(|seconds| (0.1..=SECONDS_MAX).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("expected seconds, from 0.1 to {SECONDS_MAX}"))
}

impl PlanOptions {
    /// Checks the paths of the reports. A run of minutes must not fail at its end because a folder is missing.
    fn check_reports(&self) -> anyhow::Result<()> {
        let dash = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        if dash(&self.json) && dash(&self.html) {
            bail!(
                "--json and --html cannot both be written to standard output; give one of them a file"
            );
        }
        for (flag, path) in [("--json", &self.json), ("--html", &self.html)] {
            let folder = path.as_deref().and_then(Path::parent);
            let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                bail!(
                    "{flag}: there is no folder {}; create it first",
                    folder.display()
                );
            }
        }
        Ok(())
    }
}

impl Plan {
    pub(super) fn new(options: &PlanOptions) -> anyhow::Result<Self> {
        let mut transports = options.transport.clone();
        transports.dedup();
        let mut tag = [0; TAG_BYTES];
        if getrandom::fill(&mut tag).is_err() {
            bail!("cannot get random bytes for the names of channels");
        }
        let plan = Self {
            url: options.url.clone(),
            server_pid: options.server_pid,
            token: token_of(options.token.clone(), options.token_file.as_deref())?,
            transports,
            readers: usize::try_from(options.readers)?,
            channels: usize::try_from(options.channels)?,
            publishers: options.publishers,
            pace: match (options.rate, options.window) {
                (Some(rate), _) => PlanPace::Rate(rate),
                (None, window) => PlanPace::Window(window.unwrap_or(1)),
            },
            payload: usize::try_from(options.payload)?,
            connecting: usize::try_from(options.connecting)?,
            length: match options.events {
                Some(events) => PlanLength::Events(usize::try_from(events)?),
                None => PlanLength::Seconds(options.seconds),
            },
            rounds: usize::try_from(options.rounds)?,
            tag: URL_SAFE_NO_PAD.encode(tag),
        };
        plan.check()?;
        options.check_reports()?;
        Ok(plan)
    }

    /// Checks the arguments together, since clap checks each on its own.
    fn check(&self) -> anyhow::Result<()> {
        if self.channels > self.readers {
            bail!(
                "--channels {} is more than --readers {}: each channel needs a reader",
                self.channels,
                self.readers
            );
        }
        if let (PlanPace::Rate(rate), PlanLength::Seconds(seconds)) = (self.pace, self.length)
            && rate * seconds.as_secs_f64() > EVENTS_MAX as f64 / 2.0
        {
            bail!(
                "--rate {rate} for {seconds:?} is more than {} events; measure for a shorter time",
                EVENTS_MAX / 2
            );
        }
        let needed = (self.readers
            + self
                .publisher_count()
                .min(post::CONNECTIONS_MAX.max(PUBLISHERS_MAX))) as u64
            + OWN_DESCRIPTORS;
        let allowed = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
        if needed > allowed {
            bail!(
                "--readers {} needs {needed} open files, and this process may have {allowed}\n  \
                 Allow more before the start: ulimit -n {needed}, or LimitNOFILE= of a service.",
                self.readers
            );
        }
        Ok(())
    }

    /// Returns how many events a channel's log must hold, so that a reader that lacks everything in flight gets no gap.
    pub(super) fn history(&self) -> usize {
        let members = match self.publishers {
            Publishers::All => self.readers.div_ceil(self.channels),
            Publishers::Some(count) => count,
        };
        match self.pace {
            PlanPace::Window(window) => (members * window as usize * 2).max(DEFAULT_HISTORY),
            PlanPace::Rate(_) => DEFAULT_HISTORY,
        }
    }

    /// Returns the number of members that publish.
    pub(super) fn publisher_count(&self) -> usize {
        match self.publishers {
            Publishers::All => self.readers,
            Publishers::Some(count) => count,
        }
    }
}
