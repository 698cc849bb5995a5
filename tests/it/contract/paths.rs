//! The paths through a server to one hub. Their responses are the same.

use tokio::task::JoinHandle;
use triway::Builder;
use triway::Hub;
use triway::server;

use crate::support::{Server, Wire};

/// A hub and one path to it. Its port closes when it is dropped.
pub(super) struct Path {
    pub(super) name: &'static str,
    pub(super) wire: Wire,
    _ours: Option<Server>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Path {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Starts a separate hub for each path: plain sockets without hyper, hyper with a socket handover, and nested in the
/// server of another app.
pub(super) fn all(change: impl Fn(&mut Builder)) -> Vec<Path> {
    let plain = Server::with(&change);
    vec![
        Path {
            name: "plain",
            wire: plain.wire.clone(),
            _ours: Some(plain),
            task: None,
        },
        by_router("hyper", &change, false),
        by_router("nested", &change, true),
    ]
}

fn by_router(name: &'static str, change: &impl Fn(&mut Builder), is_nested: bool) -> Path {
    let hub = Hub::builder()
        .with(|builder| {
            builder.broker.rate = None;
            change(builder);
        })
        .build();
    let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let router = hub.router();
    let task = if is_nested {
        let app = axum::Router::new().nest("/nested", router.clone());
        // The stories send their requests to the root.
        let app = app.fallback_service(router);
        tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        })
    } else {
        let options = server::Options::default();
        let served = server::serve(listener, router, options, std::future::pending(), || {});
        tokio::spawn(async move {
            served.await.unwrap();
        })
    };
    Path {
        name,
        wire: Wire::at(address),
        _ours: None,
        task: Some(task),
    }
}
