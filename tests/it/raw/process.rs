//! The program as a separate process, so that a test can measure its memory, CPU time and descriptors.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::exact_bytes::{Answer, Wire, get, in_time, post};

/// A running `triway serve`. Dropping it kills the process by its id.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    errors: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::limited(arguments, "").await
    }

    /// Starts the program under limits of the shell, such as `ulimit -n 64`.
    pub(crate) async fn limited(arguments: &[&str], limit: &str) -> Self {
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRIWAY_")) {
            command.env_remove(name);
        }
        let script = format!("{limit}\nexec \"$0\" \"$@\"");
        command.args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_triway"),
            "serve",
            "--listen",
            "127.0.0.1:0",
        ]);
        command.args(["--log", "warn"]).args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let errors = Arc::new(Mutex::new(String::new()));
        let mut stderr = child.stderr.take().unwrap();
        let said = errors.clone();
        tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
                said.lock()
                    .push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(address) = line.strip_prefix("triway listening on http://") {
                    return address.parse().unwrap();
                }
            }
            panic!(
                "it ended before it said where it listens: {}",
                errors.lock()
            );
        };
        let address = in_time(told).await;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            address,
            child,
            errors,
        }
    }

    /// Returns the standard error output so far.
    pub(crate) fn errors(&self) -> String {
        self.errors.lock().clone()
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::to(self.address).await
    }

    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Wire {
        let mut wire = self.connect().await;
        wire.send(bytes).await;
        wire
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(get(target)).await.answer().await
    }

    pub(crate) async fn publish(&self, channel: &str, text: &[u8]) -> Answer {
        let request = post(
            &format!("/pub/{channel}"),
            &[("Content-Type", "text/plain")],
            text,
        );
        self.send(request).await.answer().await
    }

    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        self.get("/metrics").await.sample(sample)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Returns the resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Returns the CPU time so far.
    pub(crate) fn cpu(&self) -> Duration {
        /// On all usual Linux systems, the kernel counts in hundredths of a second.
        const TICKS_PER_S: u64 = 100;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 1_000 / TICKS_PER_S)
    }

    pub(crate) async fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status()
            .await;
        assert!(sent.unwrap().success());
    }

    /// Waits for the end of the process. Returns its exit code, or `None` if a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        in_time(self.child.wait()).await.unwrap().code()
    }
}
