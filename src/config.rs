//! The configuration: flags as typed become options as meant, those of each module.
//!
//! Command line, then environment, then TOML file, then the built-in default (`config/file.rs` makes clap do that).

mod environment;
mod file;
mod flags;
mod units;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::DATA_BYTES_CEILING;
use crate::{broker, http, hub, presence, server, session};

pub use environment::{BadVariable, check_environment};
pub use file::{BadFile, with_defaults};
pub use flags::Flags;
use units::bound;

/// What a hub is told to be, by module.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The bounds of the hub's memory.
    pub hub: hub::HubOptions,
    /// The sizes and rates of publishes.
    pub broker: broker::BrokerOptions,
    /// How long the absent are present.
    pub presence: presence::PresenceOptions,
    /// What a session may do, and its pace.
    pub session: session::SessionOptions,
    /// Who may ask, and how credentials come.
    pub http: http::HttpOptions,
    /// The accept loop's limits.
    pub server: server::Options,
    /// What signs session keys; without one each start has its own.
    pub secret: Option<String>,
}

/// Flags that do not go together, or name something that is not there.
#[derive(Debug)]
pub enum BadConfig {
    /// Others could reach the address, no credentials are asked for, and nobody said that this is meant.
    NotOpen {
        /// The address.
        listen: SocketAddr,
    },
    /// A secret is given, and a file that holds one.
    TwoSecrets,
    /// The file of the secret cannot be used.
    SecretFile {
        /// Its path.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen { listen } => write!(
                f,
                "refusing to listen on {listen}: everybody who reaches it could read and write every channel\n\
                 \n\
                 Use one of:\n  \
                 --listen 127.0.0.1:{port}  accept only this machine, such as a proxy that requires credentials\n  \
                 --open                   allow everybody",
                port = listen.port(),
            ),
            Self::TwoSecrets => f.write_str("use only one of --secret and --secret-file"),
            Self::SecretFile { path, cause } => write!(f, "{}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for BadConfig {}

impl Config {
    /// Whether clients can name this hub in their `Host`: on loopback, or by a configured host or origin.
    #[must_use]
    pub fn is_named(&self) -> bool {
        let local = self.listen.ip().to_canonical().is_loopback();
        local || !self.http.hosts.is_empty() || !self.http.origins.is_empty()
    }

    /// The options that these flags mean.
    ///
    /// # Errors
    /// When they do not go together.
    pub fn new(flags: Flags) -> Result<Self, BadConfig> {
        let reachable = !flags.listen.ip().to_canonical().is_loopback();
        if reachable && !flags.open {
            return Err(BadConfig::NotOpen {
                listen: flags.listen,
            });
        }
        Ok(Self {
            listen: flags.listen,
            hub: hub_options(&flags),
            broker: broker_options(&flags),
            presence: presence::PresenceOptions {
                grace: flags.presence_grace,
            },
            session: session_options(&flags),
            secret: secret(&flags)?,
            http: http_options(&flags),
            server: server_options(flags),
        })
    }
}

fn hub_options(flags: &Flags) -> hub::HubOptions {
    hub::HubOptions {
        history_events: bound(flags.history_events),
        history_bytes: bound(flags.history_bytes),
        history_age: bound(flags.history_age),
        history_total: bound(flags.history_total),
        hub_channels: bound(flags.hub_channels),
        ..hub::HubOptions::default()
    }
}

fn broker_options(flags: &Flags) -> broker::BrokerOptions {
    broker::BrokerOptions {
        max_data: bound(flags.max_data).unwrap_or(DATA_BYTES_CEILING),
        rate: rate(flags.publish_rate, flags.publish_burst),
        address_rate: rate(flags.address_publish_rate, flags.address_publish_burst),
    }
}

fn rate(per_second: usize, burst: usize) -> Option<broker::Rate> {
    let per_second = bound(per_second)?;
    Some(broker::Rate {
        per_second: per_second as f64,
        // Without a burst the rate itself is what may come at once.
        burst: bound(burst).unwrap_or(per_second) as f64,
    })
}

fn session_options(flags: &Flags) -> session::SessionOptions {
    session::SessionOptions {
        bodies_total: bound(flags.bodies_total),
        session_channels: bound(flags.session_channels),
        heartbeat: flags.heartbeat,
        poll_wait: flags.poll_wait,
        write_timeout: bound(flags.write_timeout),
        ..session::SessionOptions::default()
    }
}

fn http_options(flags: &Flags) -> http::HttpOptions {
    http::HttpOptions {
        origins: flags.origin.clone(),
        hosts: flags.host.clone(),
        token_in_query: flags.token_in_query,
        cookie: flags.cookie.clone(),
        ..http::HttpOptions::default()
    }
}

fn server_options(flags: Flags) -> server::Options {
    server::Options {
        connections: bound(flags.connections),
        address_connections: bound(flags.address_connections),
        head_timeout: bound(flags.head_timeout),
        body_timeout: bound(flags.body_timeout),
        idle_timeout: bound(flags.idle_timeout),
        write_timeout: bound(flags.write_timeout),
        // A peer that has confirmed nothing for two heartbeats has missed both. Linux counts a closed window too, which
        // is the write limit's business: so never before that.
        peer_timeout: peer_timeout(&flags),
        drain: flags.drain,
        trusted_proxies: flags.trusted_proxy,
        ..server::Options::default()
    }
}

/// How long a write limit is the first to end a peer that takes nothing.
const PEER_TIMEOUT_MARGIN: Duration = Duration::from_secs(10);

fn peer_timeout(flags: &Flags) -> Option<Duration> {
    let write_timeout = bound(flags.write_timeout)?;
    Some((flags.heartbeat * 2).max(write_timeout + PEER_TIMEOUT_MARGIN))
}

fn secret(flags: &Flags) -> Result<Option<String>, BadConfig> {
    let Some(path) = &flags.secret_file else {
        return Ok(flags.secret.clone());
    };
    if flags.secret.is_some() {
        return Err(BadConfig::TwoSecrets);
    }
    let bad = |cause| BadConfig::SecretFile {
        path: path.clone(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error: io::Error| bad(error.to_string()))?;
    flags::parse_secret(text.trim_end())
        .map(Some)
        .map_err(|error| bad(error.to_string()))
}
