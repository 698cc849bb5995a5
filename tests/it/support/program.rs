//! The program `triway` as a child process. Dropping it ends the process by its own id.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Wire, in_time};

/// A running `triway serve`.
pub(crate) struct Program {
    pub(crate) wire: Wire,
    child: Child,
}

impl Program {
    /// Starts the program on a port that the system chooses.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), arguments).await
    }

    /// Starts the program at this address, as after a restart.
    pub(crate) async fn start_at(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_triway"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRIWAY_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["serve", "--listen", &address.to_string(), "--log", "warn"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("triway listening on http://") {
                    return url.parse().unwrap();
                }
            }
            panic!("triway ended before it said where it listens");
        };
        let wire = Wire::at(in_time("the start line of triway", told).await);
        // Drain the rest of the output, so that the pipe does not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { wire, child }
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Ends it without warning, like `kill -9`.
    pub(crate) async fn kill_9(mut self) {
        self.child.start_kill().unwrap();
        in_time("the end of a killed triway", self.child.wait())
            .await
            .unwrap();
    }

    /// Sends SIGTERM to it.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits for its end and returns its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let status = in_time("the end of triway", self.child.wait()).await;
        status.unwrap().code()
    }
}
