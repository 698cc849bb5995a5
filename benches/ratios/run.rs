//! The processes: a server on one core, the load on another, and the result of the load.
//!
//! This module knows no row and no ratio.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::nchan::Nchan;
use crate::rows::{Floor, Load, Workload};
use crate::users::{Dialect, Users};

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
    /// The triway that `--before` names.
    Before,
}

impl Side {
    fn dialect(self) -> Dialect {
        match self {
            Self::Floor(Floor::Nchan) => Dialect::Nchan,
            _ => Dialect::Triway,
        }
    }
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
    /// The triway of the commit before: measured in turn with the one that serves, which must not be worse
    #[arg(long, value_name = "FILE")]
    pub(crate) before: Option<PathBuf>,
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
    address: SocketAddr,
    /// Kept open: a process that writes to a closed pipe may end.
    _lines: Lines<BufReader<ChildStdout>>,
    /// The files of nginx.
    _nchan: Option<Nchan>,
}

impl Server {
    async fn start(side: Side, place: &Place) -> anyhow::Result<Self> {
        let mut nchan = None;
        let mut command = match side {
            Side::Floor(Floor::Nchan) => nchan.insert(Nchan::new()?).command(),
            Side::Floor(floor) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args([FLOOR_ARGUMENT, floor.name()]);
                command
            }
            Side::Triway | Side::Before => {
                let before = place.programs.before.as_ref();
                let before = before.filter(|_| side == Side::Before);
                let mut command = Command::new(before.unwrap_or(&place.programs.server));
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
        let address = timeout(START_LIMIT, async {
            match &nchan {
                Some(nchan) => nchan.listening().await,
                None => listening(&mut lines).await,
            }
        });
        let address = address.await.context("a server does not listen")??;
        Ok(Self {
            child,
            address,
            _lines: lines,
            _nchan: nchan,
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

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<SocketAddr> {
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("listening on http://") {
            return Ok(address.trim().trim_end_matches('/').parse()?);
        }
    }
    bail!("a server ended before it said where it listens")
}

/// Loads a fresh server once, and returns the result of `triway bench` or of the plain clients.
pub(crate) async fn once(side: Side, workload: &Workload, place: &Place) -> anyhow::Result<Value> {
    let server = Server::start(side, place).await?;
    let id = server.child.id().context("a server ended")?;
    let result = match &workload.load {
        Load::Bench { transport, options } => {
            let mut command = Command::new(&place.programs.load);
            command.args(["bench", "--url", &format!("http://{}", server.address)]);
            command.args(["--server-pid", &id.to_string()]);
            command.args(["--transport", transport]);
            command.args(options.split_whitespace());
            load(command).await
        }
        Load::Users {
            task,
            count,
            seconds,
        } => {
            let users = Users {
                address: server.address,
                dialect: side.dialect(),
                count: *count,
                seconds: *seconds,
                cpu_ns: &|| cpu_ns(id),
            };
            users.run(*task)
        }
    };
    server.end().await?;
    result
}

/// Returns the CPU time that all threads of a process used, in ns.
fn cpu_ns(process: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between the two reads.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let ns = text.split_whitespace().next();
        sum += ns.context("no CPU time")?.parse::<u64>()?;
    }
    Ok(sum)
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
