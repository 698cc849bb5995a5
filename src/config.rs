//! The configuration: turns parsed flags into the options of each module.
//!
//! Precedence: command line, environment, TOML file, built-in default. `config/file.rs` makes clap apply this order.

mod channels;
mod credentials;
mod environment;
mod file;
mod flags;
mod units;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::ChannelRules;
use crate::protocol::DATA_BYTES_CEILING;
use crate::{broker, http, hub, presence, server, session};

pub use channels::channel_rules;
pub use credentials::{CredentialConfig, CredentialFlags, KeyEntry, KeyFile, read_api_keys};
pub use environment::{BadVariable, check_environment, unknown_variables};
pub use file::{BadFile, with_defaults};
pub use flags::Flags;
use units::bound;
pub(crate) use units::parse_time;

/// The configuration of a hub, by module.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The bounds of the hub's memory.
    pub hub: hub::HubOptions,
    /// The limits on the size and rate of publishes.
    pub broker: broker::BrokerOptions,
    /// The grace period of presence.
    pub presence: presence::PresenceOptions,
    /// The limits and times of sessions.
    pub session: session::SessionOptions,
    /// The allowed origins and hosts, and how credentials arrive.
    pub http: http::HttpOptions,
    /// The sources of credentials.
    pub credentials: CredentialConfig,
    /// The channel rules.
    pub rules: ChannelRules,
    /// The limits and timeouts of connections.
    pub server: server::Options,
    /// The secret that signs session keys. Without one, the hub generates one at each start.
    pub secret: Option<String>,
}

/// An error in flags that are each valid: a conflict between them, or a secret file that cannot be used.
#[derive(Debug)]
pub enum BadConfig {
    /// Other machines could reach the address, the program checks no credentials, and `--open` is not set.
    NotOpen {
        /// The address to listen on.
        listen: SocketAddr,
    },
    /// Both `--secret` and `--secret-file` are set.
    TwoSecrets,
    /// A flag about JWTs is given, and no key that verifies them.
    NoKeys {
        /// The flag.
        flag: &'static str,
    },
    /// The configuration file has an error.
    Rules(BadFile),
    /// A file cannot be read, or does not hold what it should.
    File {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file.
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
                 --jwt-key, --api-keys …     require credentials (docs/auth.md)\n  \
                 --open                   allow everybody",
                port = listen.port(),
            ),
            Self::TwoSecrets => f.write_str("use only one of --secret and --secret-file"),
            Self::NoKeys { flag } => write!(
                f,
                "{flag} needs --jwt-secret-file, --jwt-key or --jwks-url: no key verifies a token"
            ),
            Self::Rules(bad) => bad.fmt(f),
            Self::File { path, cause } => write!(f, "{}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for BadConfig {}

impl Config {
    /// Returns whether clients can name this hub in `Host`: it listens on loopback, or a host or origin is configured.
    #[must_use]
    pub fn is_named(&self) -> bool {
        let local = self.listen.ip().to_canonical().is_loopback();
        local || !self.http.hosts.is_empty() || !self.http.origins.is_empty()
    }

    /// Returns the options that these flags describe.
    ///
    /// # Errors
    /// Returns [`BadConfig`] if the flags conflict or the secret file cannot be used.
    pub fn new(flags: Flags) -> Result<Self, BadConfig> {
        let reachable = !flags.listen.ip().to_canonical().is_loopback();
        let credentials = CredentialConfig::new(&flags.credentials)?;
        let rules = flags.config.as_deref().map(channel_rules).transpose();
        let rules = rules.map_err(BadConfig::Rules)?.unwrap_or_default();
        if reachable && !flags.open && !credentials.is_set() {
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
            http: http::HttpOptions {
                refuse_forwarded: !flags.open && !credentials.is_set(),
                ..http_options(&flags)
            },
            credentials,
            rules,
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
        // Without a burst, a client may publish as many events at once as the rate allows per second.
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
        token_max_age: flags.credentials.token_max_age,
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
        // A peer that has acknowledged nothing for two heartbeats has missed two pings. Linux counts the time of a
        // closed window too. That case belongs to the write timeout, so the peer timeout is always longer.
        peer_timeout: peer_timeout(&flags),
        drain: flags.drain,
        trusted_proxies: flags.trusted_proxy,
        ..server::Options::default()
    }
}

/// The least difference between the peer timeout and the write timeout. It lets the write timeout close a slow reader
/// first.
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
    let bad = |cause| BadConfig::File {
        path: path.clone(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error: io::Error| bad(error.to_string()))?;
    flags::parse_secret(text.trim_end())
        .map(Some)
        .map_err(|error| bad(error.to_string()))
}
