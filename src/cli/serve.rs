//! `triway serve`: prints where it listens and what to try, then serves until a signal arrives.
//!
//! The library builds the hub.

use std::io::Write;
use std::net::SocketAddr;

use crate::config::Config;
use crate::embed::Hub;
use crate::metrics::Metrics;
use crate::server;
use anyhow::Context;
use tokio::sync::oneshot;

use super::signals::{self, Signals};

/// Serves until the first signal, then drains. A second signal ends the program at once.
pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let named = config.is_named();
    let listen = config.listen;
    let listener = server::listen_with(listen, config.server.peer_timeout)
        .with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let mut signals = Signals::new()?;
    signals::ignore_the_others();
    let (hub, mut options) = build(config);
    options.reader = Some(hub.reader());
    let (tell, told) = oneshot::channel();
    // Resolves at the first signal, or when the sender is dropped.
    let told = async { told.await.unwrap_or_default() };
    let serving = server::serve(listener, hub.router(), options, told, move || hub.drain());
    start_lines(address, named);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "started");
    tokio::select! {
        outcome = serving => {
            let drained = outcome?;
            if drained.cut > 0 {
                tracing::warn!(cut = drained.cut, "cut the connections that remained after the drain");
            }
        }
        // One future receives both signals in turn. Signals that arrive before the first one is received count as one.
        () = async { signals.next().await; let _ = tell.send(()); signals.next().await } => {
            tracing::warn!("second signal: exiting at once");
        }
    }
    Ok(())
}

/// Returns the hub of this configuration and the options of its accept loop. Both count into the same metrics.
fn build(config: Config) -> (Hub, server::Options) {
    let metrics = Metrics::default();
    let builder = Hub::builder().metrics(metrics.clone()).with(|builder| {
        builder.hub = config.hub;
        builder.broker = config.broker;
        builder.presence = config.presence;
        builder.session = config.session;
        builder.http = config.http;
    });
    let builder = match &config.secret {
        Some(secret) => builder.secret(secret.as_bytes()),
        None => builder,
    };
    (
        builder.build(),
        server::Options {
            metrics,
            ..config.server
        },
    )
}

/// Prints the first lines, for a terminal or a supervisor.
fn start_lines(address: SocketAddr, named: bool) {
    let base = format!("http://{address}");
    let mut lines = format!("triway listening on {base}\n");
    lines += &format!(
        "\n  read   curl -N {base}/sse/lobby\n  write  curl -d hello {base}/pub/lobby\n  chat   {base}/\n\n"
    );
    if !address.ip().is_loopback() && !named {
        lines += "  The hub refuses requests with a name as Host. Allow a name with --host, or a page's origin with --origin.\n\n";
    }
    // Serve even if standard output is closed.
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(lines.as_bytes())
        .and_then(|()| stdout.flush());
}
