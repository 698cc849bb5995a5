//! Every flag of `triway serve`, typed: one field is one flag, one environment variable and one TOML key.
//!
//! Knows how a value is written, and its default. How values work together is decided in `config`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::CredentialFlags;
use super::units::{ExpectedUnit, parse_count, parse_size, parse_time};
use crate::http::{HostPort, Origin};
use crate::protocol::DATA_BYTES_CEILING;
use crate::server::Network;

/// The flags of `triway serve`.
///
/// Sizes accept `KiB`, `MiB` and `GiB`; times accept `ms`, `s`, `m` and `h`; 0 means none.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Address to listen on
    #[arg(long, env = "TRIWAY_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7333", value_parser = parse_listen)]
    #[arg(help_heading = "Listening")]
    pub listen: SocketAddr,
    /// Allow everybody who reaches the address to read and write every channel
    ///
    /// Required for an address that other machines can reach if no credentials are configured.
    #[arg(long, env = "TRIWAY_OPEN", value_parser = BoolishValueParser::new(), help_heading = "Listening")]
    pub open: bool,
    /// Read settings from this TOML file; flags and environment override it
    #[arg(
        long,
        env = "TRIWAY_CONFIG",
        value_name = "FILE",
        help_heading = "Listening"
    )]
    pub config: Option<PathBuf>,
    /// What to log: a level, or filters such as `info,triway=debug`
    #[arg(
        long,
        env = "TRIWAY_LOG",
        value_name = "FILTER",
        default_value = "info",
        value_parser = parse_log,
        help_heading = "Listening"
    )]
    pub log: String,

    /// Allow pages of this origin, such as `https://example.com` (repeatable; default: only the hub's own)
    #[arg(long, env = "TRIWAY_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    #[arg(help_heading = "Access")]
    pub origin: Vec<String>,
    /// Accept this name as `Host` (repeatable; `*` leaves the check to the proxy in front)
    #[arg(long, env = "TRIWAY_HOST", value_name = "HOST", value_delimiter = ',', value_parser = parse_host)]
    #[arg(help_heading = "Access")]
    pub host: Vec<String>,
    /// Trust the `X-Forwarded-…` headers of this proxy: an address or a block such as `10.0.0.0/8` (repeatable)
    #[arg(
        long,
        env = "TRIWAY_TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    #[arg(help_heading = "Access")]
    pub trusted_proxy: Vec<Network>,
    /// Secret that signs session keys, at least 16 bytes; use one for all nodes (default: a new one at each start)
    #[arg(long, env = "TRIWAY_SECRET", value_name = "TEXT", hide_env_values = true, value_parser = parse_secret)]
    #[arg(help_heading = "Access")]
    pub secret: Option<String>,
    /// File that contains the secret, which keeps it out of process lists
    #[arg(
        long,
        env = "TRIWAY_SECRET_FILE",
        value_name = "FILE",
        help_heading = "Access"
    )]
    pub secret_file: Option<PathBuf>,
    /// Also accept credentials as `?token=` (logs and browser histories keep addresses)
    #[arg(long, env = "TRIWAY_TOKEN_IN_QUERY", value_parser = BoolishValueParser::new(), help_heading = "Access")]
    pub token_in_query: bool,
    /// Also accept credentials in the cookie of this name
    #[arg(
        long,
        env = "TRIWAY_COOKIE",
        value_name = "NAME",
        help_heading = "Access"
    )]
    pub cookie: Option<String>,

    #[command(flatten)]
    pub credentials: CredentialFlags,

    /// Events that each channel keeps
    #[arg(long, env = "TRIWAY_HISTORY_EVENTS", value_name = "COUNT", default_value = "1000", value_parser = parse_count)]
    #[arg(help_heading = "History")]
    pub history_events: usize,
    /// Data that each channel keeps; the newest event always stays
    #[arg(long, env = "TRIWAY_HISTORY_BYTES", value_name = "SIZE", default_value = "1MiB", value_parser = parse_size)]
    #[arg(help_heading = "History")]
    pub history_bytes: usize,
    /// Age at which each channel discards events
    #[arg(long, env = "TRIWAY_HISTORY_AGE", value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    #[arg(help_heading = "History")]
    pub history_age: Duration,
    /// Memory of all channels together; beyond it the largest discards events first
    #[arg(long, env = "TRIWAY_HISTORY_TOTAL", value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    #[arg(help_heading = "History")]
    pub history_total: usize,

    /// Data of one event, 16MiB at most
    #[arg(long, env = "TRIWAY_MAX_DATA", value_name = "SIZE", default_value = "64KiB", value_parser = parse_data_size)]
    #[arg(help_heading = "Limits")]
    pub max_data: usize,
    /// Memory of all request bodies and unfinished WebSocket messages, beyond the first 16KiB of each
    #[arg(long, env = "TRIWAY_BODIES_TOTAL", value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    #[arg(help_heading = "Limits")]
    pub bodies_total: usize,
    /// Channels that one session reads, without its inboxes
    #[arg(long, env = "TRIWAY_SESSION_CHANNELS", value_name = "COUNT", default_value = "100", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub session_channels: usize,
    /// Channels on the hub
    #[arg(long, env = "TRIWAY_HUB_CHANNELS", value_name = "COUNT", default_value = "100000", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub hub_channels: usize,
    /// Open connections
    #[arg(long, env = "TRIWAY_CONNECTIONS", value_name = "COUNT", default_value = "100000", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub connections: usize,
    /// Open connections of one client address; not for loopback
    #[arg(long, env = "TRIWAY_ADDRESS_CONNECTIONS", value_name = "COUNT", default_value = "1000", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub address_connections: usize,
    /// Publishes per second of one session
    #[arg(long, env = "TRIWAY_PUBLISH_RATE", value_name = "COUNT", default_value = "100", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub publish_rate: usize,
    /// Publishes that one session may send at once
    #[arg(long, env = "TRIWAY_PUBLISH_BURST", value_name = "COUNT", default_value = "200", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub publish_burst: usize,
    /// Publishes per second of all anonymous sessions of one client address; not for loopback
    #[arg(long, env = "TRIWAY_ADDRESS_PUBLISH_RATE", value_name = "COUNT", default_value = "1000", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub address_publish_rate: usize,
    /// Publishes that these sessions may send at once
    #[arg(long, env = "TRIWAY_ADDRESS_PUBLISH_BURST", value_name = "COUNT", default_value = "2000", value_parser = parse_count)]
    #[arg(help_heading = "Limits")]
    pub address_publish_burst: usize,

    /// Longest time between two pings to a reader, 1s to 60s
    #[arg(long, env = "TRIWAY_HEARTBEAT", value_name = "TIME", default_value = "15s", value_parser = parse_heartbeat)]
    #[arg(help_heading = "Times")]
    pub heartbeat: Duration,
    /// How long the hub holds a poll, 60s at most
    #[arg(long, env = "TRIWAY_POLL_WAIT", value_name = "TIME", default_value = "25s", value_parser = parse_poll_wait)]
    #[arg(help_heading = "Times")]
    pub poll_wait: Duration,
    /// How long a member stays present after its connection broke
    #[arg(long, env = "TRIWAY_PRESENCE_GRACE", value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    #[arg(help_heading = "Times")]
    pub presence_grace: Duration,
    /// How long a request head may take, from its first byte to its last
    #[arg(long, env = "TRIWAY_HEAD_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    #[arg(help_heading = "Times")]
    pub head_timeout: Duration,
    /// How long a request body may take
    #[arg(long, env = "TRIWAY_BODY_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    #[arg(help_heading = "Times")]
    pub body_timeout: Duration,
    /// How long the hub keeps a connection without a request
    #[arg(long, env = "TRIWAY_IDLE_TIMEOUT", value_name = "TIME", default_value = "75s", value_parser = parse_time)]
    #[arg(help_heading = "Times")]
    pub idle_timeout: Duration,
    /// Close a reader that reads nothing for this long; its cursor still works
    #[arg(long, env = "TRIWAY_WRITE_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    #[arg(help_heading = "Times")]
    pub write_timeout: Duration,
    /// How long clients may take to leave when the hub shuts down
    #[arg(long, env = "TRIWAY_DRAIN", value_name = "TIME", default_value = "20s", value_parser = parse_time)]
    #[arg(help_heading = "Times")]
    pub drain: Duration,
}

/// The shortest secret, in bytes. A shorter one could be guessed by trial.
const SECRET_BYTES_MIN: usize = 16;
/// The bounds of the heartbeat. A shorter one is needless traffic. A longer one outlasts the idle timeouts of proxies
/// (`docs/protocol.md`).
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);
const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// The longest hold of a poll (`docs/protocol.md`).
const POLL_WAIT_MAX: Duration = Duration::from_secs(60);

/// The log levels, from the fewest lines to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a log filter. A part without `=` must be a level: any other word would name a module, and only that module
/// would be logged.
fn parse_log(text: &str) -> Result<String, ExpectedUnit> {
    const EXPECTED: ExpectedUnit = ExpectedUnit(
        "a level (off, error, warn, info, debug or trace), or levels of modules, such as info,triway=debug",
    );
    let level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let part = |part: &str| match part.rsplit_once('=') {
        Some((target, word)) => !target.is_empty() && level(word),
        None => level(part),
    };
    let is_filter = !text.is_empty() && text.split(',').all(|each| part(each.trim()));
    is_filter.then(|| text.to_owned()).ok_or(EXPECTED)
}

fn parse_listen(text: &str) -> Result<SocketAddr, ExpectedUnit> {
    const EXPECTED: ExpectedUnit = ExpectedUnit(
        "an address with a port, such as 127.0.0.1:7333, [::1]:7333 or localhost:7333",
    );
    let loopback = text
        .strip_prefix("localhost:")
        .or_else(|| text.strip_prefix(':'));
    match loopback {
        Some(port) => port
            .parse()
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .map_err(|_| EXPECTED),
        None => text.parse().map_err(|_| EXPECTED),
    }
}

fn parse_origin(text: &str) -> Result<String, ExpectedUnit> {
    const EXPECTED: ExpectedUnit =
        ExpectedUnit("an origin with scheme and host, such as https://example.com");
    let text = text.trim().to_ascii_lowercase();
    let is_origin = Origin::parse(&text).is_some() && !text.ends_with('/') && !text.contains('*');
    is_origin.then_some(text).ok_or(EXPECTED)
}

fn parse_host(text: &str) -> Result<String, ExpectedUnit> {
    let text = text.trim().to_ascii_lowercase();
    let is_host = text == "*" || (HostPort::parse(&text).is_some() && !text.contains('*'));
    if is_host {
        Ok(text)
    } else {
        Err(ExpectedUnit(
            "a host name such as example.com or example.com:8080, or * for any",
        ))
    }
}

pub(super) fn parse_secret(text: &str) -> Result<String, ExpectedUnit> {
    let long_enough = text.len() >= SECRET_BYTES_MIN;
    if long_enough {
        Ok(text.to_owned())
    } else {
        Err(ExpectedUnit("a secret of at least 16 bytes"))
    }
}

fn parse_heartbeat(text: &str) -> Result<Duration, ExpectedUnit> {
    let heartbeat = parse_time(text)?;
    let fits = (HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&heartbeat);
    if fits {
        Ok(heartbeat)
    } else {
        Err(ExpectedUnit("a time from 1s to 60s"))
    }
}

fn parse_poll_wait(text: &str) -> Result<Duration, ExpectedUnit> {
    let wait = parse_time(text)?;
    if wait <= POLL_WAIT_MAX {
        Ok(wait)
    } else {
        Err(ExpectedUnit("a time of at most 60s"))
    }
}

fn parse_data_size(text: &str) -> Result<usize, ExpectedUnit> {
    let size = parse_size(text)?;
    if size <= DATA_BYTES_CEILING {
        Ok(size)
    } else {
        Err(ExpectedUnit("a size of at most 16MiB"))
    }
}
