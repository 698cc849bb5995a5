//! `triway serve`: prints where it listens and what to try, then serves until a signal arrives.
//!
//! The library builds the hub.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::ApiKeys;
use crate::config::{self, Config, CredentialConfig};
use crate::embed::{Builder, Hub};
use crate::http::JwtVerifier;
use crate::metrics::Metrics;
use crate::server;
use anyhow::Context;
use tokio::sync::oneshot;

use super::authorizer::Authorizer;
use super::key_set;
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
    let (hub, mut options) = build(config)?;
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
fn build(config: Config) -> anyhow::Result<(Hub, server::Options)> {
    let metrics = Metrics::default();
    let builder = Hub::builder().metrics(metrics.clone()).with(|builder| {
        builder.hub = config.hub;
        builder.broker = config.broker;
        builder.presence = config.presence;
        builder.session = config.session;
        builder.http = config.http;
    });
    let mut credentials = config.credentials;
    let api_keys = credentials.api_keys.take();
    let api_keys = api_keys.map(|(path, keys)| (path, ApiKeys::new(keys)));
    let builder = match &api_keys {
        Some((_, keys)) => builder.api_keys(keys.clone()),
        None => builder,
    };
    let builder = with_credentials(builder, credentials)?.channel_rules(config.rules);
    let builder = match &config.secret {
        Some(secret) => builder.secret(secret.as_bytes()),
        None => builder,
    };
    let options = server::Options {
        metrics,
        ..config.server
    };
    let hub = builder.build();
    if let Some((path, keys)) = api_keys {
        tokio::spawn(watch_api_keys(path, keys, hub.clone()));
    }
    Ok((hub, options))
}

/// Returns the builder with the verifier of tokens and the authorizer.
fn with_credentials(
    mut builder: Builder,
    credentials: CredentialConfig,
) -> anyhow::Result<Builder> {
    if let Some(jwt) = credentials.jwt {
        for key in &jwt.skipped {
            tracing::warn!(%key, "left out a key of a JWK set");
        }
        builder = builder.jwt(match jwt.url {
            Some(url) => key_set::verifier(jwt.keys, jwt.options, url)?,
            None => Arc::new(JwtVerifier::new(jwt.keys, jwt.options)),
        });
    }
    if let Some((url, cookies)) = credentials.authorizer {
        let authorizer = Authorizer::new(url, cookies)?;
        builder = builder.authorize(move |asked| {
            let authorizer = authorizer.clone();
            async move { authorizer.grants(asked).await }
        });
    }
    Ok(builder)
}

/// How often the file of API keys is looked at.
const API_KEYS_EVERY: Duration = Duration::from_secs(1);

/// Reads the API keys again when their file changes. A file that cannot be used leaves the keys as they are.
async fn watch_api_keys(path: PathBuf, keys: ApiKeys, hub: Hub) {
    let modified = |path: &PathBuf| {
        std::fs::metadata(path)
            .and_then(|facts| facts.modified())
            .ok()
    };
    let mut read_at = modified(&path);
    let mut ticks = tokio::time::interval(API_KEYS_EVERY);
    loop {
        ticks.tick().await;
        let now = modified(&path);
        if now == read_at {
            continue;
        }
        read_at = now;
        match config::read_api_keys(&path) {
            Ok(read) => {
                tracing::info!(count = read.len(), "read the API keys again");
                for id in keys.replace(read) {
                    hub.revoke_credential(&id);
                }
            }
            Err(error) => tracing::warn!(%error, "kept the API keys as they were"),
        }
    }
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
