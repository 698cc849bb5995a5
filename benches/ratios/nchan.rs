//! nginx with its module nchan, as Debian packages it (`libnginx-mod-nchan`): a widely used hub, in one process.
//!
//! Knows the place of its files and its settings. Measures nothing.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// The files of the program and the module in Debian.
const PROGRAM: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
/// The pause between two attempts to connect while nginx starts.
const STEP: Duration = Duration::from_millis(20);

/// A folder with its settings, removed when dropped.
pub(crate) struct Nchan {
    folder: PathBuf,
    address: SocketAddr,
}

impl Nchan {
    /// Writes the settings.
    pub(crate) fn new() -> anyhow::Result<Self> {
        if !Path::new(MODULE).exists() || !Path::new(PROGRAM).exists() {
            bail!("not installed (apt-get install nginx-light libnginx-mod-nchan)");
        }
        // nginx cannot report its port. A port that is free now is most likely still free a moment later.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = format!("triway-ratios-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir(&folder).context("no folder for nginx")?;
        let nchan = Self { folder, address };
        std::fs::write(nchan.settings_path(), nchan.settings())?;
        Ok(nchan)
    }

    fn settings_path(&self) -> PathBuf {
        self.folder.join("nginx.conf")
    }

    fn settings(&self) -> String {
        let (folder, address) = (self.folder.display(), self.address);
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
            .concat();
        format!(
            r"
load_module {MODULE};
worker_processes 1;
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_requests 100000000;
{temporary}
    server {{
        listen {address} backlog=4096;
        location ~ ^/pub/(.+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 1000;
            nchan_message_timeout 1h;
        }}
        location ~ ^/poll/(.+)$ {{
            nchan_subscriber longpoll;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
    }}
}}
"
        )
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(self.settings_path());
        command.arg("-p").arg(&self.folder);
        command
    }

    /// Waits until nginx listens.
    pub(crate) async fn listening(&self) -> anyhow::Result<SocketAddr> {
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            tokio::time::sleep(STEP).await;
        }
        Ok(self.address)
    }
}

impl Drop for Nchan {
    fn drop(&mut self) {
        // If this fails, the folder stays among the temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
