//! Support that all tests share: a hub in process or as a program, and clients that speak the protocol.
//!
//! This module knows the protocol. It knows nothing of the server's internals except how to build a hub. Every wait
//! has a deadline.

#![allow(dead_code, unused_imports, reason = "each story uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod dice;
mod follower;
mod frames;
mod program;
mod reader;
mod relay;
mod tally;
mod wire;

use std::fmt::Debug;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use triway::Builder;
use triway::Hub;
use triway::server::{self, Drained, Options};

pub(crate) use dice::Dice;
pub(crate) use follower::{Follower, Told, parts};
pub(crate) use program::Program;
pub(crate) use reader::{Ask, End, Reader};
pub(crate) use relay::{Fate, Relay};
pub(crate) use tally::Tally;
pub(crate) use wire::{Answer, Wire, encode};

/// Longest time of a step, unless the hub is broken. It is long because test machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The transports, named as in the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Via {
    Ws,
    Sse,
    Poll,
}

impl Via {
    pub(crate) const ALL: [Self; 3] = [Self::Ws, Self::Sse, Self::Poll];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }

    /// Returns the next transport. Three calls return to the first one.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Ws => Self::Sse,
            Self::Sse => Self::Poll,
            Self::Poll => Self::Ws,
        }
    }
}

/// Waits for a future, but not forever. `what` names what did not arrive.
pub(crate) async fn in_time<T>(what: impl Debug, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what:?}"),
    }
}

/// Polls a condition until it is true.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(what, looked).await;
}

/// A hub in this process, behind the crate's own accept loop. Its port closes when it is dropped.
pub(crate) struct Server {
    pub(crate) wire: Wire,
    pub(crate) hub: Hub,
    shutdown: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<Drained>>,
}

impl Server {
    /// Starts a hub with the default options, but without a publish rate.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts a hub with changed options. It has no publish rate unless `change` sets one.
    pub(crate) fn with(change: impl FnOnce(&mut Builder)) -> Self {
        Self::with_options(change, Options::default())
    }

    /// Starts a hub with changed options, including those of the accept loop.
    pub(crate) fn with_options(change: impl FnOnce(&mut Builder), options: Options) -> Self {
        let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let wire = Wire::at(listener.local_addr().unwrap());
        let hub = Hub::builder()
            .metrics(options.metrics.clone())
            .with(|builder| {
                builder.broker.rate = None;
                change(builder);
            })
            .build();
        let (shutdown, shut) = oneshot::channel::<()>();
        let told = async {
            shut.await.ok();
        };
        let draining = hub.clone();
        let on_drain = move || draining.drain();
        let options = Options {
            reader: Some(hub.reader()),
            ..options
        };
        let serving = tokio::spawn(server::serve(
            listener,
            hub.router(),
            options,
            told,
            on_drain,
        ));
        Self {
            wire,
            hub,
            shutdown,
            serving,
        }
    }

    /// Begins the drain. Returns the task that ends with it.
    pub(crate) fn drain(self) -> JoinHandle<std::io::Result<Drained>> {
        self.shutdown.send(()).unwrap();
        self.serving
    }
}
