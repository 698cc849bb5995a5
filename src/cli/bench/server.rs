//! The hub that is measured: a child process, or a hub that is already running.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Url;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::link::BenchTarget;
use super::machine;

/// How long the child process may take to print its address.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Limits that a benchmark would reach: many members share one address, one member publishes for all, and readers lag
/// by everything in flight.
const WITHOUT_LIMITS: &[&str] = &[
    "--publish-rate=0",
    "--max-data=16MiB",
    "--history-bytes=0",
    "--address-connections=0",
    "--connections=0",
    "--hub-channels=0",
    "--log=warn",
];

/// The hub that is measured.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) target: Arc<BenchTarget>,
    /// The process whose CPU time and memory are measured.
    pub(super) process: Option<u32>,
    /// Killed when it is dropped.
    _child: Option<Child>,
}

impl Server {
    /// Returns a hub that is already running.
    pub(super) fn at(url: &Url, token: Option<&str>, process: Option<u32>) -> anyhow::Result<Self> {
        let target = Arc::new(target(url, token)?);
        Ok(Self {
            target,
            process,
            _child: None,
        })
    }

    /// Starts a child process that serves on a free port and keeps `history` events. It gets its own core if there are
    /// two.
    pub(super) async fn start(cores: Option<Cores>, history: usize) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the file of this program")?;
        let mut command = Command::new(program);
        // Settings in the environment are meant for other hubs.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRIWAY_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen=127.0.0.1:0"])
            .args(WITHOUT_LIMITS)
            .arg(format!("--history-events={history}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // The child process and its threads inherit the cores of this thread, so they need not be moved later.
        cores.inspect(|cores| _ = machine::pin(&[cores.server]));
        let child = command.spawn().context("cannot start `triway serve`");
        cores.inspect(|cores| _ = machine::pin(&[cores.load]));
        let mut child = child?;
        let out = child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        let mut out = BufReader::new(out);
        timeout(START_LIMIT, out.read_line(&mut line))
            .await
            .with_context(|| format!("`triway serve` printed nothing within {START_LIMIT:?}"))??;
        let Some(url) = line.trim().strip_prefix("triway listening on ") else {
            bail!("`triway serve` did not print its address: {line:?}");
        };
        Ok(Self {
            target: Arc::new(target(&Url::parse(url)?, None)?),
            process: child.id(),
            _child: Some(child),
        })
    }

    /// Returns whether the load goes over a network.
    pub(super) fn is_foreign(&self) -> bool {
        !self.target.address.ip().is_loopback()
    }
}

fn target(url: &Url, token: Option<&str>) -> anyhow::Result<BenchTarget> {
    let (host, port) = (
        url.host_str().context("the address has a host")?,
        url.port_or_known_default().unwrap_or(80),
    );
    let address: SocketAddr = (host.trim_matches(['[', ']']), port)
        .to_socket_addrs()
        .with_context(|| format!("cannot find {host}"))?
        // A name such as localhost may have IPv4 and IPv6 addresses, and a hub listens on only one of them.
        .min_by_key(SocketAddr::is_ipv6)
        .with_context(|| format!("{host} has no address"))?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    Ok(BenchTarget {
        address,
        prefix: url.path().trim_end_matches('/').to_owned(),
        headers: format!(
            "Host: {host}:{port}\r\n{}",
            authorization.unwrap_or_default()
        ),
    })
}

/// One core for the server, another for the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) server: usize,
    pub(super) load: usize,
}

impl Cores {
    /// Returns the first and the last core that this process may use, if there are two.
    pub(super) fn apart() -> Option<Self> {
        let cores = machine::cores_of(None)?;
        match &cores[..] {
            [server, .., load] => Some(Self {
                server: *server,
                load: *load,
            }),
            _ => None,
        }
    }
}
