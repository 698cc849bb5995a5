//! The processes: a server on one core, the load on another, and the result of the load.
//!
//! This module knows no row and no ratio.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::rows::{Floor, Workload};

/// Longest time until a server prints its address.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longest time for one run of the load. The longest run needs a tenth of it.
const LOAD_LIMIT: Duration = Duration::from_secs(90);
/// The hidden argument that turns this program into a floor.
pub(crate) const FLOOR_ARGUMENT: &str = "--serve-as";
/// Options that lift the default limits on one client. The load is one address with thousands of connections, and one
/// member that publishes as fast as its events are read.
const UNBOUND: [&str; 6] = [
    "--publish-rate",
    "0",
    "--address-connections",
    "0",
    "--connections",
    "0",
];

/// The server of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Floor(Floor),
    Triway,
}

/// The programs, and the cores for the server and the load.
pub(crate) struct Place {
    programs: Programs,
    server: CpuSet,
    load: CpuSet,
    is_apart: bool,
}

/// The triway that serves and the triway that loads. The default is the build that cargo made with this bench.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Programs {
    /// The triway that serves
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_triway"))]
    server: PathBuf,
    /// The triway whose `bench` loads
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_triway"))]
    load: PathBuf,
}

impl Place {
    /// Chooses the first two cores that this process may use.
    pub(crate) fn find(programs: Programs) -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("which cores are there?")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = cores.next().context("no core")?;
        let load = cores.next();
        let only = |core| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        Ok(Self {
            programs,
            server: only(server),
            load: only(load.unwrap_or(server)),
            is_apart: load.is_some(),
        })
    }

    /// Returns true if the load has a core of its own.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Moves this thread to the server's core. Child processes inherit the core of the thread that starts them.
    fn for_server(&self) -> anyhow::Result<()> {
        sched_setaffinity(None, &self.server).context("cannot choose a core")
    }

    /// Moves this thread to the core of the load, for its further work.
    pub(crate) fn for_load(&self) -> anyhow::Result<()> {
        sched_setaffinity(None, &self.load).context("cannot choose a core")
    }
}

/// A running server.
struct Server {
    child: Child,
    url: String,
    /// Kept open, because a write to a closed pipe may end the server.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    async fn start(side: Side, place: &Place) -> anyhow::Result<Self> {
        let mut command = match side {
            Side::Floor(floor) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args([FLOOR_ARGUMENT, floor.name()]);
                command
            }
            Side::Triway => {
                let mut command = Command::new(&place.programs.server);
                command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"]);
                command.args(UNBOUND);
                command
            }
        };
        without_settings(&mut command);
        place.for_server()?;
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        place.for_load()?;
        let mut child = started.context("cannot start a server")?;
        let stdout = child.stdout.take().context("a child's output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = timeout(START_LIMIT, listening(&mut lines)).await;
        let url = url.context("a server does not say where it listens")??;
        Ok(Self {
            child,
            url,
            _lines: lines,
        })
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot end a server")
    }
}

/// Removes triway's settings from the environment, because they would change the measurement.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRIWAY_") {
            command.env_remove(name);
        }
    }
}

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("listening on http://") {
            return Ok(format!("http://{}", address.trim()));
        }
    }
    bail!("a server ended before it said where it listens")
}

/// Loads a fresh server once. Returns the result of `triway bench`.
pub(crate) async fn once(side: Side, workload: &Workload, place: &Place) -> anyhow::Result<Value> {
    let server = Server::start(side, place).await?;
    let id = server.child.id().context("a server ended")?;
    let mut command = Command::new(&place.programs.load);
    command.args(["bench", "--url", &server.url]);
    command.args(["--server-pid", &id.to_string()]);
    command.args(["--transport", workload.transport]);
    command.args(workload.options.split_whitespace());
    let result = load(command).await;
    server.end().await?;
    result
}

async fn load(mut command: Command) -> anyhow::Result<Value> {
    without_settings(&mut command);
    command
        .args(["--rounds", "1", "--quiet", "--json", "-"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LOAD_LIMIT, command.output()).await;
    let output = output.context("the load does not end")??;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("the load failed: {}", why.trim());
    }
    let told: Value = serde_json::from_slice(&output.stdout).context("what the load says")?;
    let result = told
        .pointer("/results/0")
        .context("the load has no result")?;
    if let Some(trouble) = result["trouble"].as_str() {
        bail!("the load had trouble: {trouble}");
    }
    let wrong = ["lost", "twice", "reordered"]
        .iter()
        .any(|count| result[count].as_u64().unwrap_or(0) > 0);
    if wrong {
        bail!("events were lost, doubled or out of order: {result}");
    }
    Ok(result.clone())
}
